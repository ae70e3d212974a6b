#include "table.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <ostream>

namespace culvert::tools {
namespace {

/// Columns on a terminal: bytes that are no continuation of a UTF-8 character.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Table::Table(std::ostream& out, std::vector<Column> columns) : out_(out), columns_(std::move(columns)) {
  for (const Column& c : columns_) widths_.push_back(width_of(c.title));
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (size_t i = 0; i < cells.size(); i++) {
    if (cells[i].empty()) cells[i] = "-";
    widths_[i] = std::max(widths_[i], width_of(cells[i]));
  }
  page_.push_back(std::move(cells));
  rows_++;
  if (page_.size() == kPage) print_page();
}

void Table::finish(std::string_view nothing) {
  if (rows_ == 0) {
    out_ << nothing << '\n';
    return;
  }
  print_page();
}

void Table::print_page() {
  if (!headed_) {
    std::vector<std::string> titles;
    for (const Column& c : columns_) titles.emplace_back(c.title);
    print(titles);
    headed_ = true;
  }
  for (const auto& row : page_) print(row);
  page_.clear();
}

void Table::print(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); i++) {
    const size_t space = widths_[i] - width_of(cells[i]);
    if (i > 0) line.append(2, ' ');
    if (columns_[i].right) line.append(space, ' ');
    line.append(cells[i]);
    if (!columns_[i].right) line.append(space, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out_ << line << '\n';
}

std::string duration_text(int64_t seconds) {
  if (seconds < 0) return "0s";
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 2 * 86400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86400, seconds / 3600 % 24);
}

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  size_t unit = 0;
  while (bytes >= 999.95 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    unit++;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string percent_text(double part, double whole) {
  return whole <= 0 ? "-" : fmt::format("{:.1f}%", 100 * part / whole);
}

std::string time_text(uint64_t millis) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(millis / 1000)));
}

}  // namespace culvert::tools
