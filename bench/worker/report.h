/// What a run of culvert-bench found, as a table for people and as JSON for machines and bench/compare.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace culvert::bench {

/// One measured figure.
struct Row {
  std::string scenario;  ///< "nat44 out", "expiry"
  std::string size;      ///< live mappings: "1 k"; empty where that means nothing
  double value = 0;      ///< in `unit`
  std::string unit = "Mpps";
  bool per_packet = true;              ///< value is Mpps: nanoseconds and cycles a packet follow from it
  double baseline = 0;                 ///< Mpps of the baseline measured beside it; 0: none
  double limit = 0;                    ///< Mpps of the memory limit measured beside it; 0: none
  std::optional<double> instructions;  ///< a packet, counted by callgrind
  double resident = 0;                 ///< MiB of the process, as resident_mib(); 0: not measured
  std::string note;
};

class Report {
 public:
  explicit Report(bool quick) : quick_(quick) {}

  /// Prints a heading, or a row, at once: a full run takes minutes.
  void heading(const std::string& text);
  void add(const Row& row);
  /// A scenario that cannot be measured here, and why.
  void missing(const std::string& scenario, const std::string& why);
  /// Throws std::runtime_error when a file cannot be written: better before the measuring than after.
  void check_json(const std::string& path) const;
  /// Everything, with a description of the machine. Throws std::runtime_error when the file cannot be
  /// written.
  void write_json(const std::string& path) const;

 private:
  bool quick_;
  std::vector<Row> rows_;
  std::vector<std::pair<std::string, std::string>> missing_;
};

/// "1 k", "2.5 M".
std::string count_text(uint64_t n);
/// Resident memory of this process, in MiB, with its packet buffers, stacks and program. VmRSS of
/// /proc/self/status holds transparent huge pages but not reserved ones, which tables lie in where there are
/// some: those are its HugetlbPages, and added. 0 without /proc.
double resident_mib();
/// Clock of this core while it works, in GHz; the time stamp counter has a rate of its own.
double core_ghz();

}  // namespace culvert::bench
