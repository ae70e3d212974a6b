/// The scenarios of culvert-bench, a function a family; each adds its rows to the report. See README.md for
/// what they mean.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "box.h"
#include "report.h"

namespace culvert::bench {

/// What to measure, and for how long.
struct Effort {
  bool quick = false;
  std::string only;                            ///< scenarios with this in their name; empty: all
  std::vector<std::string>* names = nullptr;   ///< where to put the names of all scenarios: none is measured
  std::map<std::string, double> instructions;  ///< a packet, by scenario, at 1 k mappings
  uint64_t fixed = 0;      ///< packets of one scenario in one round, if not 0; then one round is all
  uint32_t largest = ~0u;  ///< no table has more mappings

  unsigned rounds() const { return fixed != 0 ? 1 : quick ? 2 : 5; }
  /// Packets of one scenario in one round.
  uint64_t packets() const { return fixed != 0 ? fixed : quick ? 1u << 20 : 1u << 23; }
  /// Real time of one scenario in one round, where a rate a second has to be kept.
  double seconds() const { return fixed != 0 ? 0.02 : quick ? 0.4 : 2; }
  uint32_t at_most(uint32_t mappings) const { return std::min(mappings, largest); }
  /// Whether a scenario is to be measured. Families ask before they build anything.
  bool wants(const std::string& family, const std::string& scenario) const {
    const std::string name = family + ": " + scenario;
    if (names != nullptr) names->push_back(name);
    return names == nullptr && name.find(only) != name.npos;
  }
  /// Of some scenarios those that are to be measured.
  std::vector<std::string> wanted(const std::string& family, std::vector<std::string> scenarios) const {
    std::erase_if(scenarios, [&](const std::string& s) { return !wants(family, s); });
    return scenarios;
  }
};

/// established: mappings of every carriage, both directions, beside the baseline and the memory limit; and
/// the rate at which they were made. Returns the box of NAT44, with all its mappings, if there was one.
std::unique_ptr<Box> measure_established(Report& report, const Effort& effort, uint32_t mappings);

/// new: packets that each make a mapping, in a block that is there, or with a new subscriber and his block,
/// on record.
void measure_creation(Report& report, const Effort& effort);

/// attack: what must be cheap; packets that are refused, beside established ones.
void measure_attacks(Report& report, const Effort& effort);

/// expired: packets to a table of which every mapping is past its end and not swept yet.
void measure_expired(Report& report, const Effort& effort);

/// logging: established packets while blocks come and go, on record.
void measure_logging(Report& report, const Effort& effort);

/// listing: established packets while the control core lists all mappings.
void measure_listing(Report& report, const Effort& effort);

/// workers: two of them, and what handing packets over costs.
void measure_workers(Report& report, const Effort& effort);

/// expiry: the share of a core that timers take while nothing else happens. `box`: one of NAT44 to use, or
/// null.
void measure_expiry(Report& report, const Effort& effort, std::unique_ptr<Box> box);

/// memory: bytes a mapping.
void measure_memory(Report& report, const Effort& effort);

}  // namespace culvert::bench
