/// mss-clamping: a SYN's maximum segment size (RFC 9293 §3.7.1) is lowered to what the way through the box
/// carries, for hosts that would never hear that their packets are too big because somebody filters ICMP.
#pragma once

#include "net/checksum.h"
#include "net/headers.h"

namespace culvert::dataplane::carriage {

/// Lowers the option to `limit`, if there is one that says more, and moves the checksum. `tcp`: a SYN whose
/// header is all there. Options that lie about their length end the search.
inline void clamp_mss(net::TcpHeader& tcp, uint16_t limit) {
  constexpr uint8_t kEnd = 0, kNoOperation = 1, kMss = 2, kMssLength = 4;
  auto* bytes = reinterpret_cast<uint8_t*>(&tcp);
  const unsigned end = tcp.header_length();
  for (unsigned at = sizeof tcp; at < end && bytes[at] != kEnd;) {
    if (bytes[at] == kNoOperation) {
      at++;
      continue;
    }
    if (at + 1 >= end || bytes[at + 1] < 2 || at + bytes[at + 1] > end) return;
    if (bytes[at] == kMss && bytes[at + 1] == kMssLength) {
      auto& mss = *reinterpret_cast<net::Be16*>(bytes + at + 2);
      if (mss.value() <= limit) return;
      const net::Be16 lower(limit);
      uint16_t delta = net::Sum().add(lower).subtract(mss).folded();
      // At an odd place the value's bytes belong to two words (RFC 1071 §2(B): turned sums turn the bytes).
      if (at % 2 != 0) delta = static_cast<uint16_t>(delta << 8 | delta >> 8);
      mss = lower;
      tcp.checksum = net::apply_delta(tcp.checksum, delta);
      return;
    }
    at += bytes[at + 1];
  }
}

}  // namespace culvert::dataplane::carriage
