/// How many ICMP errors a worker may still make (RFC 1812 §4.3.2.8, RFC 4443 §2.4(f)). Each side of the box
/// has a purse of its own, so have answers to what nobody asked for, and no source gets more than its share
/// of one, so that neither a stranger outside nor a noisy subscriber can silence the Packet Too Big that
/// somebody else needs.
#pragma once

#include <algorithm>
#include <array>

#include "dataplane/time.h"

namespace culvert::dataplane {

class IcmpBudget {
 public:
  enum class Purse : uint8_t {
    outside,  ///< about packets of mappings
    inside,
    refused,  ///< about packets of either side that are refused before anybody asks for a mapping
  };

  /// Whether an error to a source (its keyed hash) may go out now; takes it from the purse if so. `rate`:
  /// errors a second for a side, a quarter of it for what is refused; a bucket holds a second's worth.
  bool take(Purse purse, uint64_t source_hash, uint32_t rate, Millis now) {
    if (purse == Purse::refused) rate = (rate + 3) / 4;
    Buckets& of = purses_[static_cast<size_t>(purse)];
    Bucket& one = of.sources[source_hash % of.sources.size()];
    const uint32_t share = std::max(rate / 4, std::min(rate, 10u));
    if (!one.fill(share, now) || !of.all.fill(rate, now)) return false;
    one.tokens -= 1000;
    of.all.tokens -= 1000;
    return true;
  }

 private:
  struct Bucket {
    Millis filled = 0;
    uint32_t tokens = 0;  ///< thousandths

    /// Fills up for the time that passed; true when there is a whole token.
    bool fill(uint32_t rate, Millis now) {
      const uint64_t since = std::min<uint64_t>(now - std::min(now, filled), 1000);
      tokens = static_cast<uint32_t>(std::min(tokens + since * rate, uint64_t{rate} * 1000));
      filled = now;
      return tokens >= 1000;
    }
  };
  struct Buckets {
    Bucket all;
    std::array<Bucket, 256> sources;
  };
  std::array<Buckets, 3> purses_;
};

}  // namespace culvert::dataplane
