/// Two clocks (docs/ledger.md, "Time"): events have times of the event clock, which never goes back; people
/// ask for times of the system's clock. How far that is ahead is known piece by piece.
///
/// Functions of values; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "logging/ledger/sealed_format.h"

namespace culvert::logging::query {

using ledger::Interval;

/// A stretch of the event clock in which the system's was so many ms ahead. Where one ends at the millisecond
/// that the next begins with, both hold for that.
struct ClockPiece {
  Interval when;
  int64_t ahead = 0;
};

inline bool overlap(Interval a, Interval b) { return a.from <= b.to && b.from <= a.to; }

/// `time` moved by `ms`, but within what a time can be.
inline uint64_t moved(uint64_t time, int64_t ms) {
  // Both are below 2^61, or `time` is "for ever".
  if (time >= ledger::kMaxTime) return time;
  return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(time) + ms));
}

/// What of a piece has these times of the system's clock. May be empty: from > to.
inline Interval event_times(const ClockPiece& piece, Interval system) {
  return {std::max(piece.when.from, moved(system.from, -piece.ahead)),
          std::min(piece.when.to, moved(system.to, -piece.ahead))};
}

/// How far the system's clock was ahead at a time of the event clock; `pieces` are in order, one at least.
inline int64_t ahead_at(const std::vector<ClockPiece>& pieces, uint64_t time) {
  int64_t ahead = pieces.front().ahead;
  for (const ClockPiece& p : pieces)
    if (p.when.from <= time) ahead = p.ahead;
  return ahead;
}

}  // namespace culvert::logging::query
