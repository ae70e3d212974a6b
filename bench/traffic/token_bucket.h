/// Paces packets by the time stamp counter: a token bucket (RFC 2697 has the idea) that fills at the rate
/// asked for.
///
/// When the generator itself comes late (its core was taken away), what the bucket cannot hold is not sent
/// later in one burst, which no sender of that rate would do; it is counted as missed, and the trial says so.
#pragma once

#include <algorithm>
#include <cstdint>

namespace culvert::bench {

class TokenBucket {
 public:
  /// `rate`: packets a second; `depth`: most packets at once after a delay.
  TokenBucket(double rate, double ticks_per_second, double depth, uint64_t now)
      : per_tick_(rate / ticks_per_second), depth_(depth), last_(now) {}

  /// How many packets may go now, at most `most`. They are taken.
  unsigned take(uint64_t now, unsigned most) {
    tokens_ += static_cast<double>(now - last_) * per_tick_;
    last_ = now;
    if (tokens_ > depth_) {
      missed_ += tokens_ - depth_;
      tokens_ = depth_;
    }
    const unsigned n = std::min(most, static_cast<unsigned>(tokens_));
    tokens_ -= n;
    return n;
  }

  /// Packets that were not sent because nobody asked in time.
  uint64_t missed() const { return static_cast<uint64_t>(missed_); }

 private:
  double per_tick_, depth_, tokens_ = 0, missed_ = 0;
  uint64_t last_;
};

}  // namespace culvert::bench
