/// The scenarios of culvert-bench, a function a family; each adds its rows to the report. See README.md for
/// what they mean.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "report.h"

namespace culvert::bench {

/// How long to measure.
struct Effort {
  bool quick = false;
  std::string only;                            ///< scenarios with this in their name; empty: all
  std::map<std::string, double> instructions;  ///< a packet, by scenario, at 1 k mappings
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

/// What must be cheap: packets that are refused, beside established ones.
void measure_attacks(Report& report, const Effort& effort, uint32_t mappings);

/// Bytes a mapping.
void measure_memory(Report& report);

/// The share of a core that timers take while nothing else happens.
void measure_expiry(Report& report, uint32_t mappings);

}  // namespace culvert::bench
