#include "report.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "clock.h"
#include "version.h"

namespace culvert::bench {
namespace {

/// The first value of a key in a file of "key : value" lines.
std::string line_of(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) {
      const size_t at = line.find_first_not_of(" \t:", key.size());
      return at == line.npos ? "" : line.substr(at);
    }
  return "";
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

std::string count_text(uint64_t n) {
  const auto d = static_cast<double>(n);
  return n >= 1'000'000 ? fmt::format("{:.4g} M", d / 1e6)
         : n >= 1000    ? fmt::format("{:.4g} k", d / 1e3)
                        : fmt::format("{}", n);
}

double resident_mib() {
  double kib = 0;
  for (const char* key : {"VmRSS", "HugetlbPages"}) {
    const std::string line = line_of("/proc/self/status", key);
    if (!line.empty()) kib += std::stod(line);
  }
  return kib / 1024;
}

double core_ghz() {
  constexpr uint64_t kSteps = 20'000'000;
  double best = 0;
  for (int round = 0; round < 3; round++) {
    uint64_t x = 1;
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < kSteps; i++)
      asm volatile("imul %0, %0" : "+r"(x));  // 3 cycles, one after the other
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, 3.0 * kSteps / took.count() / 1e9);
  }
  return best;
}

void Report::heading(const std::string& text) {
  fmt::print("\n{}\n  {:<34} {:>6} {:>9} {:>7} {:>7} {:>9} {:>7} {:>7}\n", text, "", "", "Mpps", "ns",
             "cycles", "÷ base", "÷ limit", "instr.");
  std::fflush(stdout);
}

void Report::add(const Row& row) {
  static const double ghz = core_ghz();
  fmt::print("  {:<34} {:>6} ", row.scenario, row.size);
  if (row.per_packet) {
    const double ns = 1e3 / row.value;
    fmt::print("{:>9.2f} {:>7.1f} {:>7.0f} {:>9} {:>7} {:>7}", row.value, ns, ns * ghz,
               row.baseline == 0 ? "" : fmt::format("{:.3f}", row.value / row.baseline),
               row.limit == 0 ? "" : fmt::format("{:.3f}", row.value / row.limit),
               row.instructions ? fmt::format("{:.0f}", *row.instructions) : "");
  } else {
    fmt::print("{:>9.2f} {}", row.value, row.unit);
    if (row.resident != 0) fmt::print(", {:.0f} MiB resident", row.resident);
  }
  fmt::print("{}{}\n", row.note.empty() ? "" : "  ", row.note);
  std::fflush(stdout);
  rows_.push_back(row);
}

void Report::missing(const std::string& scenario, const std::string& why) {
  fmt::print("  {:<41} not measured: {}\n", scenario, why);
  std::fflush(stdout);
  missing_.emplace_back(scenario, why);
}

void Report::check_json(const std::string& path) const {
  if (!std::ofstream(path, std::ios::app)) throw std::runtime_error(path + " cannot be written");
}

void Report::write_json(const std::string& path) const {
  nlohmann::json all;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  all["version"] = CULVERT_VERSION;
  all["time"] = static_cast<uint64_t>(now.count());
  all["quick"] = quick_;
  all["machine"] = {{"cpu", line_of("/proc/cpuinfo", "model name")},
                    {"kernel", first_line("/proc/sys/kernel/osrelease")},
                    {"transparent-huge-pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled")},
                    {"huge-pages", line_of("/proc/meminfo", "HugePages_Total")},
                    {"core-ghz", core_ghz()},
                    {"tsc-ghz", ticks_per_second() / 1e9}};
  for (const Row& r : rows_) {
    nlohmann::json row = {{"scenario", r.scenario}, {"size", r.size}, {"value", r.value}, {"unit", r.unit}};
    if (r.per_packet) row["ns"] = 1e3 / r.value;
    if (r.baseline != 0) row["to-baseline"] = r.value / r.baseline;
    if (r.limit != 0) row["to-limit"] = r.value / r.limit;
    if (r.instructions) row["instructions"] = *r.instructions;
    if (r.resident != 0) row["resident-mib"] = r.resident;
    if (!r.note.empty()) row["note"] = r.note;
    all["rows"].push_back(row);
  }
  for (const auto& [scenario, why] : missing_)
    all["missing"].push_back({{"scenario", scenario}, {"why", why}});
  std::ofstream file(path);
  file << all.dump(2) << '\n';
  file.flush();
  if (!file) throw std::runtime_error(path + " cannot be written");
}

}  // namespace culvert::bench
