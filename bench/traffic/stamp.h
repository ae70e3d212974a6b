/// What every generated packet carries, so that whoever receives it can tell whether it is right: the mapping
/// it was sent by, its number, when it was sent, and a tag that no other phase of no other run has.
///
/// 14 bytes, in the machine's byte order since sender and receiver are one process. They have to fit the
/// smallest Ethernet frame: behind a UDP header there are 18 bytes of payload, behind a TCP header only 6. So
/// TCP carries the first eight as its sequence and acknowledgement numbers, which a NAT leaves alone.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/mapping.h"
#include "net/checksum.h"

namespace culvert::bench {

struct Stamp {
  uint32_t mapping = 0;   ///< number of the mapping, subscriber × ports + port
  uint32_t sequence = 0;  ///< of this phase and direction, from 0
  uint32_t time = 0;      ///< stamp_time() of the sending
  uint16_t tag = 0;       ///< of the phase and direction

  static constexpr unsigned kSize = 14;
  /// Bytes of the transport header and payload up to the end of the stamp; what follows is the pattern.
  static constexpr unsigned end(dataplane::Protocol protocol) {
    return protocol == dataplane::Protocol::udp ? 22 : 26;
  }

  /// Writes it into a packet, given its transport header. All offsets are even, as checksums want it.
  void put(uint8_t* l4, dataplane::Protocol protocol) const {
    const unsigned second = protocol == dataplane::Protocol::udp ? 16 : 20;
    uint8_t* first = l4 + (protocol == dataplane::Protocol::udp ? 8 : 4);
    std::memcpy(first, &mapping, 4);
    std::memcpy(first + 4, &sequence, 4);
    std::memcpy(l4 + second, &time, 4);
    std::memcpy(l4 + second + 4, &tag, 2);
  }

  static Stamp take(const uint8_t* l4, dataplane::Protocol protocol) {
    const unsigned second = protocol == dataplane::Protocol::udp ? 16 : 20;
    const uint8_t* first = l4 + (protocol == dataplane::Protocol::udp ? 8 : 4);
    Stamp s;
    std::memcpy(&s.mapping, first, 4);
    std::memcpy(&s.sequence, first + 4, 4);
    std::memcpy(&s.time, l4 + second, 4);
    std::memcpy(&s.tag, l4 + second + 4, 2);
    return s;
  }

  /// What it adds to a checksum.
  net::Sum sum() const { return net::Sum(uint64_t{mapping} + sequence + time + tag); }
};

/// Ticks of the time stamp counter as a stamp has them: 16 to one, wrapping around after some 20 seconds.
inline constexpr unsigned kStampShift = 4;
constexpr uint32_t stamp_time(uint64_t ticks) { return static_cast<uint32_t>(ticks >> kStampShift); }

}  // namespace culvert::bench
