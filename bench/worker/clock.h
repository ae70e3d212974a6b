/// The box's clock, in milliseconds: it goes with real time, so that timers are written as often as in life,
/// but for when a scenario stops it or moves it forward.
///
/// Thread: set by the one that makes the box; others may read it while it is not set.
#pragma once

#include <rte_cycles.h>

#include <algorithm>

#include "dataplane/time.h"

namespace culvert::bench {

/// Time stamp counter readings, and their rate a second.
inline uint64_t ticks() { return rte_rdtsc_precise(); }
inline double ticks_per_second() { return static_cast<double>(rte_get_tsc_hz()); }

class Clock {
 public:
  dataplane::Millis now() const { return base_ + (stopped_ ? 0 : (rte_rdtsc() - since_) / per_millisecond_); }
  void skip(uint64_t milliseconds) { base_ += milliseconds; }
  void stop() {
    base_ = now();
    stopped_ = true;
  }
  void go_on() {
    since_ = rte_rdtsc();
    stopped_ = false;
  }

 private:
  dataplane::Millis base_ = 1'700'000'000'000;
  uint64_t since_ = rte_rdtsc();
  uint64_t per_millisecond_ = rte_get_tsc_hz() / 1000;
  bool stopped_ = false;
};

/// Packets in and time taken.
struct Tally {
  uint64_t packets = 0, ticks = 0;
  uint64_t longest = 0;  ///< ticks of the longest burst, where they are timed one by one

  Tally& operator+=(const Tally& t) {
    packets += t.packets;
    ticks += t.ticks;
    longest = std::max(longest, t.longest);
    return *this;
  }
  double rate() const {
    return static_cast<double>(packets) * ticks_per_second() / static_cast<double>(ticks);
  }
  double longest_us() const { return static_cast<double>(longest) * 1e6 / ticks_per_second(); }
};

/// The best of some rounds, rate and longest burst each for itself: what else the machine does can only make
/// them worse.
struct Best {
  double rate = 0, longest_us = 1e9;

  /// Whether the round's rate is the highest so far.
  bool take(const Tally& t) {
    longest_us = std::min(longest_us, t.longest_us());
    if (t.rate() <= rate) return false;
    rate = t.rate();
    return true;
  }
};

}  // namespace culvert::bench
