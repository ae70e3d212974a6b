/// Accounting packets as FreeRADIUS writes them to its detail files, for tests.
#pragma once

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace culvert::test {

using Attributes = std::vector<std::pair<std::string, std::string>>;

/// A record: attributes in this order, values as they stand there (quotes and all), Timestamp behind them.
inline std::string detail_record(const Attributes& attributes, uint64_t arrival) {
  std::string text = fmt::format("{:%a %b %e %H:%M:%S %Y}\n", fmt::gmtime(static_cast<std::time_t>(arrival)));
  for (const auto& [name, value] : attributes) text += fmt::format("\t{} = {}\n", name, value);
  return text + fmt::format("\tTimestamp = {}\n\n", arrival);
}

/// "Nov 14 2023 22:13:20 UTC", in quotes.
inline std::string event_timestamp(uint64_t time) {
  return fmt::format("\"{:%b %e %Y %H:%M:%S} UTC\"", fmt::gmtime(static_cast<std::time_t>(time)));
}

inline void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
inline void append_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::app) << content;
}
inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace culvert::test
