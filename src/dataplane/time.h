/// Time as the data plane knows it: it never reads a clock. The worker loop (or replay) says what time it is
/// with every burst, so that a replay of the same packets gives the same result, and tests own the clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace culvert::dataplane {

/// Milliseconds since the Unix epoch. Never goes backwards within a worker: the loop sees to that.
using Millis = uint64_t;

/// A point in time within ±24 days of now, in 4 bytes: what a record can afford.
class ShortTime {
 public:
  constexpr ShortTime() = default;
  constexpr explicit ShortTime(Millis t) : low_(static_cast<uint32_t>(t)) {}
  /// Whether this point lies at or before `now`. True for points up to 24 days ago.
  constexpr bool passed(Millis now) const {
    return static_cast<int32_t>(low_ - static_cast<uint32_t>(now)) <= 0;
  }
  /// Milliseconds from `now` until this point; negative when passed.
  constexpr int32_t from(Millis now) const { return static_cast<int32_t>(low_ - static_cast<uint32_t>(now)); }
  /// Whether this point lies before another, the two being less than 24 days apart.
  constexpr bool before(ShortTime o) const { return static_cast<int32_t>(low_ - o.low_) < 0; }
  constexpr uint32_t raw() const { return low_; }
  constexpr bool operator==(const ShortTime&) const = default;

 private:
  uint32_t low_ = 0;
};

/// The longest timer a ShortTime can hold, in seconds (20 days).
inline constexpr uint32_t kLongestTimerSeconds = 20 * 86400;

}  // namespace culvert::dataplane
