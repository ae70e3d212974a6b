#include "log_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "logging/entry_fields.h"

namespace culvert::tools {
namespace {

using logging::Entry;
using logging::EntryField;

/// `ports` says in one what two others say in two.
bool is_wanted(const EntryField& f) { return f.name != "ports"; }

bool is_number(std::string_view name) {
  constexpr std::array<std::string_view, 10> kNumbers = {
      "internal-port", "first-port", "last-port", "destination-port", "worker", "ordinal",
      "peak-mappings", "lifetime",   "count",     "clock-ahead"};
  return std::ranges::find(kNumbers, name) != kNumbers.end();
}

}  // namespace

std::string entry_json(const Entry& e) {
  nlohmann::ordered_json row;
  std::string value;
  for (const EntryField& field : logging::entry_fields()) {
    value.clear();
    if (!is_wanted(field) || !field.append(value, e)) continue;
    std::string name(field.name);
    std::ranges::replace(name, '-', '_');
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (is_number(field.name) && error == std::errc() && end == value.data() + value.size())
      row[name] = number;
    else
      row[name] = value;
  }
  return row.dump();
}

std::string csv_header() {
  std::string line;
  for (const EntryField& field : logging::entry_fields())
    if (is_wanted(field)) (line += line.empty() ? "" : ",") += field.name;
  return line;
}

std::string entry_csv(const Entry& e) {
  std::string line, value;
  bool first = true;
  for (const EntryField& field : logging::entry_fields()) {
    if (!is_wanted(field)) continue;
    if (!std::exchange(first, false)) line += ',';
    value.clear();
    if (!field.append(value, e)) continue;
    // Values are printable ASCII.
    if (value.find_first_of(",\"") == std::string::npos) {
      line += value;
      continue;
    }
    line += '"';
    for (const char c : value) line.append(c == '"' ? 2 : 1, c);
    line += '"';
  }
  return line;
}

}  // namespace culvert::tools
