/// Keeps to a number of datagrams a second, in bursts of a hundredth of that: what a second did not use is
/// not made up for.
///
/// A value; any thread. It reads no clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace culvert::logging {

class Pace {
 public:
  /// `per_second` 0: no limit.
  explicit Pace(uint32_t per_second) : per_second_(per_second), burst_(std::max(1.0, per_second / 100.0)) {}

  /// How many of `wanted` may go now. `now`: microseconds of a clock that never goes back.
  size_t take(size_t wanted, uint64_t now) {
    if (per_second_ == 0) return wanted;
    room_ = std::min(burst_, room_ + static_cast<double>(now - last_) * per_second_ / 1e6);
    last_ = now;
    const auto n = std::min(wanted, static_cast<size_t>(room_));
    room_ -= static_cast<double>(n);
    return n;
  }

 private:
  double per_second_, burst_;
  double room_ = 0;
  uint64_t last_ = 0;
};

}  // namespace culvert::logging
