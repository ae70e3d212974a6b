#include "logging/export/message_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culvert::logging {
namespace {

std::string names() {
  std::string all;
  for (const EntryField& field : entry_fields()) (all += all.empty() ? "" : ", ") += field.name;
  return all;
}

/// What somebody wrote, short and printable enough for a message.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 40));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

}  // namespace

std::variant<MessageTemplate, std::string> MessageTemplate::parse(std::string_view text) {
  if (text.empty()) return "is empty; it is a line like {time} {event} {subscriber} {external}:{ports}";
  if (text.size() > kMaxBytes) return fmt::format("has {} bytes, {} at most", text.size(), kMaxBytes);
  if (std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }))
    return "has a control character; a message is one line of text";
  MessageTemplate made;
  std::string literal;
  for (size_t at = 0; at < text.size(); at++) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      literal += c;
    } else if (at + 1 < text.size() && text[at + 1] == c) {
      literal += c;
      at++;
    } else if (c == '}') {
      return fmt::format("has a }} at byte {} that closes nothing; a brace itself is written }}}}", at + 1);
    } else {
      const size_t close = text.find('}', at);
      if (close == std::string_view::npos)
        return fmt::format("has a {{ at byte {} that nothing closes; a brace itself is written {{{{", at + 1);
      const std::string_view name = text.substr(at + 1, close - at - 1);
      const EntryField* field = find_entry_field(name);
      if (field == nullptr)
        return fmt::format("{{{}}} is no field of an event; there are {}", shown(name), names());
      made.parts_.push_back({std::exchange(literal, {}), field});
      at = close;
    }
  }
  if (!literal.empty()) made.parts_.push_back({std::move(literal)});
  return made;
}

void MessageTemplate::append(std::string& out, const Entry& e) const {
  for (const Part& part : parts_) {
    out += part.text;
    if (part.field != nullptr && !part.field->append(out, e)) out += '-';
  }
}

}  // namespace culvert::logging
