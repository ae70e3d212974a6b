/// What a configuration takes at start, to the page, and whether the machine has it: asked before anything is
/// taken, so that too large a capacity is an error with figures and not std::bad_alloc, or the out-of-memory
/// killer an hour later.
///
/// Counted are the tables (dataplane::take_pages), packet buffers, rings, what the ledger's threads take as
/// it grows, and a flat rest for the process. Not counted is what a reload may add: pools that are not in the
/// configuration yet.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"

namespace culvert::control {

/// A worker's part of a figure that is given for the whole box.
inline uint32_t share_of(uint64_t total, unsigned workers) {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (total + workers - 1) / workers));
}

struct MemoryPlan {
  struct Part {
    std::string what;    ///< for people: "mappings"
    std::string leaf;    ///< what to lower; empty: nothing can be
    uint64_t count = 0;  ///< as configured
    uint64_t bytes = 0;
  };
  /// A table, which lies in huge pages wholly or not at all.
  struct Table {
    uint64_t bytes;  ///< of whole pages
  };

  std::vector<Part> parts;
  std::vector<Table> tables;      ///< in the order in which they are taken
  uint64_t packets = 0;           ///< packet buffers: the first that is taken
  uint64_t packets_reserved = 0;  ///< huge pages that must be free for packets to lie in them
  uint64_t other = 0;             ///< always on ordinary pages

  uint64_t table_bytes() const;
  uint64_t bytes() const { return table_bytes() + packets + other; }
};

MemoryPlan plan_memory(const config::Config& config);

/// What can be had now.
struct MemoryThere {
  uint64_t ordinary = 0;     ///< bytes on ordinary pages that can be had without swapping
  std::string limited_by;    ///< for people: "MemAvailable", or the control group's file
  uint64_t machine = 0;      ///< MemTotal
  uint64_t huge = 0;         ///< bytes of free huge pages of the default size, which tables use
  uint64_t huge_page = 0;    ///< that size
  uint64_t huge_of_all = 0;  ///< of all sizes, which packets use
};

/// Reads /proc and /sys below `root`. Of control groups (version 1 and 2) the tightest one counts, its page
/// cache as free.
MemoryThere memory_there(const std::string& root = "");

/// Empty when the plan fits. Otherwise an error: what is missing, what takes how much, what to do.
std::string shortage(const MemoryPlan& plan, const MemoryThere& there);

/// The parts of a plan, a line each, the largest first.
std::string text_of(const MemoryPlan& plan);

}  // namespace culvert::control
