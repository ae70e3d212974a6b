/// The appliance's time: the system's clock as it was at start, plus what the monotonic clock has counted
/// since. So it never goes backwards and no timer jumps when somebody sets the system's clock; the monotonic
/// clock is disciplined by NTP and does not drift. `off_by()` tells when the system's clock was stepped
/// since.
///
/// The coarse clock costs a worker some 5 ns a loop and is exact to a timer tick (1–10 ms).
///
/// Thread: any.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>

#include "dataplane/time.h"

namespace culvert::control {

class Clock {
 public:
  Clock() : base_(read(CLOCK_REALTIME_COARSE)) {
    // Of the same tick, or the next: never ahead of the system's clock.
    base_ -= read(CLOCK_MONOTONIC_COARSE);
  }

  /// Sets it forward to `earliest`, if it is behind: what is on record lies in the past. Before anybody else
  /// looks at it.
  void not_before(dataplane::Millis earliest) {
    base_ = std::max(base_, static_cast<int64_t>(earliest) - read(CLOCK_MONOTONIC_COARSE));
  }

  dataplane::Millis now() const {
    return static_cast<dataplane::Millis>(base_ + read(CLOCK_MONOTONIC_COARSE));
  }
  /// Milliseconds that the system's clock is ahead of ours.
  int64_t off_by() const { return read(CLOCK_REALTIME) - static_cast<int64_t>(now()); }

 private:
  static int64_t read(clockid_t id) {
    timespec t{};
    clock_gettime(id, &t);
    return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
  }
  int64_t base_;
};

}  // namespace culvert::control
