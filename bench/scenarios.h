/// The scenarios of culvert-bench, a function a family; each adds its rows to the report. See README.md for
/// what they mean.
#pragma once

#include <cstdint>
#include <string>

#include "report.h"

namespace culvert::bench {

/// How long to measure.
struct Effort {
  bool quick = false;
  std::string only;    ///< scenarios with this in their name; empty: all
  uint64_t fixed = 0;  ///< packets of one scenario in one round, if not 0; then one round is all
  unsigned rounds() const { return fixed != 0 ? 1 : quick ? 2 : 5; }
  /// Packets of one scenario in one round.
  bool wants(const std::string& scenario) const { return scenario.find(only) != scenario.npos; }
  uint64_t packets() const { return fixed != 0 ? fixed : quick ? 1u << 20 : 1u << 23; }
};

/// Established mappings of every carriage, both directions, beside the baseline and the memory limit; and the
/// rate at which they were made.
void measure_established(Report& report, const Effort& effort, uint32_t mappings);

/// Packets that each make a mapping: in a block that is there, and with a new subscriber and his block, on
/// record.
void measure_creation(Report& report, const Effort& effort);

}  // namespace culvert::bench
