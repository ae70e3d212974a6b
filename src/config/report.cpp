#include "config/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace culvert::config {
namespace {

constexpr size_t shown_length = 60;

/// Levenshtein distance; both words are short (the caller sees to it).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++) row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

/// Length of the well-formed UTF-8 sequence at the start of `text` (printable, not ASCII control), or 0.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  size_t length = byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc2 ? 2 : 0;
  if (length == 0 || byte(0) >= 0xf5 || text.size() < length) return 0;
  for (size_t i = 1; i < length; i++)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // Overlong forms, surrogates, C1 controls and what lies past U+10FFFF.
  if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;
  if (byte(0) == 0xed && byte(1) >= 0xa0) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) >= 0x90) return 0;
  if (byte(0) == 0xc2 && byte(1) < 0xa0) return 0;
  return length;
}

}  // namespace

std::string Problem::text() const {
  return fmt::format("{}:{}:{}: {}; {}; {}", file, line, column, what, why, fix);
}

void Report::add(Place place, Complaint c) {
  if (problems_.size() >= max_problems) {
    left_out_++;
    return;
  }
  Problem p{file_,
            std::max(place.line, 1),
            std::max(place.column, 1),
            std::move(c.what),
            std::move(c.why),
            std::move(c.fix)};
  auto after = [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  };
  problems_.insert(std::upper_bound(problems_.begin(), problems_.end(), p, after), std::move(p));
}

Problems Report::take() {
  if (left_out_ > 0) {
    Problem last = problems_.back();
    last.what = fmt::format("{} more mistakes are not shown", left_out_);
    last.why = fmt::format("at most {} are listed at once", max_problems);
    last.fix = "correct these first";
    problems_.push_back(std::move(last));
    left_out_ = 0;
  }
  return std::exchange(problems_, {});
}

std::string printable(std::string_view text, size_t most) {
  std::string out;
  while (!text.empty() && out.size() <= most) {
    size_t length = utf8_length(text);
    if (length == 0)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out + (text.empty() ? "" : "…");
}

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", printable(text, shown_length)); }

std::string line_of(Place place) { return fmt::format("line {}", place.line); }

std::string alternatives(const std::vector<std::string>& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); i++)
    out += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  return out;
}

std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates) {
  if (word.empty() || word.size() > 64) return {};
  std::string_view best;
  size_t best_distance = word.size() / 3 + 2;  // further away than this is another word
  for (auto candidate : candidates) {
    size_t distance = edit_distance(word, candidate);
    bool starts = word.size() >= 4 && candidate.starts_with(word);
    if (starts) distance = std::min<size_t>(distance, 2);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace culvert::config
