#include "logging/radius/detail_reader.h"

#include <algorithm>
#include <utility>

namespace culvert::logging::radius {
namespace {

constexpr bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// What stands between quotes, escapes undone; `text` begins behind the first quote. False: there is no
/// second one at its end.
bool unquote(std::string_view text, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '"') return i + 1 == text.size();
    if (c == '\\') {
      if (++i == text.size()) return false;
      c = text[i];
      if (c == 'n') c = '\n';
      if (c == 'r') c = '\r';
      if (c == 't') c = '\t';
      if (is_octal(text[i])) {
        if (text.size() - i < 3 || text[i] > '3' || !is_octal(text[i + 1]) || !is_octal(text[i + 2]))
          return false;
        c = static_cast<char>((text[i] - '0') << 6 | (text[i + 1] - '0') << 3 | (text[i + 2] - '0'));
        i += 2;
      }
    }
    out.push_back(c);
  }
  return false;
}

}  // namespace

DetailReader::DetailReader(std::function<void(const Record&)> on_record, const Place& start)
    : on_record_(std::move(on_record)), at_(start), whole_(start) {}

void DetailReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const bool ended = newline != std::string_view::npos;
    const std::string_view piece = bytes.substr(0, newline);
    at_.offset += piece.size() + (ended ? 1 : 0);
    bytes.remove_prefix(std::min(bytes.size(), piece.size() + 1));
    if (partial_.size() + piece.size() > kMaxLine) too_long_ = true;
    if (!ended) {
      if (!too_long_) partial_.append(piece);
      return;
    }
    at_.lines++;
    if (partial_.empty()) {
      line(piece);
    } else {
      partial_.append(piece.substr(0, too_long_ ? 0 : piece.size()));
      line(partial_);
    }
    partial_.clear();
    too_long_ = false;
  }
}

void DetailReader::line(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty() && !too_long_) {
    if (in_record_) end();
    whole_ = at_;
    return;
  }
  const bool indented = text.starts_with('\t') || text.starts_with(' ');
  if (!indented && in_record_ && !too_long_) {
    builder_.fail("the record is cut off: another one's first line stands in it");
    end();
  }
  if (!in_record_) begin();
  if (too_long_) return builder_.fail("a line longer than detail files have them");
  if (!indented) {
    headed_ = true;
    return;
  }
  if (!headed_) return builder_.fail("the record's first line is missing");
  attribute(text.substr(std::min(text.find_first_not_of("\t "), text.size())));
}

void DetailReader::attribute(std::string_view text) {
  const size_t space = text.find(' ');
  const std::string_view name = text.substr(0, space);
  std::string_view rest = space == std::string_view::npos ? "" : text.substr(space + 1);
  if (rest.starts_with(':') || rest.starts_with('+')) rest.remove_prefix(1);
  if (name.empty() || !rest.starts_with("= ")) return builder_.fail("a line that is no attribute");
  if (!RecordBuilder::matters(name)) return;
  rest.remove_prefix(2);
  AttributeValue value{rest};
  if (rest.starts_with('"')) {
    if (!unquote(rest.substr(1), unescaped_)) return builder_.fail("a value whose quotes do not match");
    value = {unescaped_, true};
  }
  builder_.add(name, value);
}

void DetailReader::begin() {
  builder_.clear();
  in_record_ = true;
  headed_ = false;
  first_line_ = at_.lines;
}

void DetailReader::end() {
  in_record_ = headed_ = false;
  switch (builder_.finish()) {
    case RecordBuilder::Outcome::not_accounting:
      tally_.not_accounting++;
      return;
    case RecordBuilder::Outcome::wrong:
      if (tally_.wrong++ == 0) {
        tally_.wrong_line = first_line_;
        tally_.wrong_why = builder_.why();
      }
      return;
    case RecordBuilder::Outcome::record:
      break;
  }
  tally_.records++;
  if (builder_.unknown_zone() && tally_.unknown_zone++ == 0) tally_.unknown_zone_line = first_line_;
  if (builder_.wild_clock() && tally_.wild_clock++ == 0) tally_.wild_clock_line = first_line_;
  on_record_(builder_.record());
}

}  // namespace culvert::logging::radius
