/// What is in a segment, in numbers: for `culvert log stats`.
///
/// Values; a segment is read whole, with the memory of a SegmentReader and a State.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "logging/ledger/archive.h"

namespace culvert::logging::ledger {

/// Of one segment, or of several.
struct SegmentStats {
  uint64_t segments = 0;
  uint64_t bytes = 0;
  uint64_t first_ordinal = 0;             ///< of the first one
  uint64_t events = 0;                    ///< that can be read
  uint64_t lost = 0;                      ///< events that damage took, as far as known
  std::map<std::string, uint64_t> kinds;  ///< events by name: block-allocated, ...
  uint64_t opened = 0, ended = 0;         ///< system's clock: of the first record, of the last
  uint64_t subscribers = 0;               ///< most that one segment names
  uint64_t blocks = 0;                    ///< that there are, at the end
  uint64_t held = 0, most_held = 0;       ///< at the end; most at once
  uint64_t mappings = 0;                  ///< explicit ones, at the end

  /// Takes in those of the next segment.
  void add(const SegmentStats& next);
};

/// `tell` hears of what cannot be read. Events of the ordinal `end_ordinal` or a higher one do not count.
/// Throws as open_segment does.
SegmentStats stats_of(const Segment& segment, uint64_t end_ordinal,
                      const std::function<void(const std::string&)>& tell);

}  // namespace culvert::logging::ledger
