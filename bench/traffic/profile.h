/// What the generated traffic looks like: carriage, protocol, who sends, and how long the frames are.
///
/// Frame sizes are those of the IPv4 side, with Ethernet's checksum, as RFC 2544 counts them (64–1518). On
/// the inside of an IPv6 carriage the same packet is longer: by 40 bytes in a softwire, by 20 translated (RFC
/// 8219 §5.1). Which size a packet has follows from its number, so that the receiver knows it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "frames.h"

namespace culvert::bench {

/// Outbound: from a subscriber to the Internet.
enum class Direction : uint8_t { outbound, inbound };
inline constexpr std::array kDirections{Direction::outbound, Direction::inbound};
constexpr const char* name_of(Direction d) { return d == Direction::outbound ? "outbound" : "inbound"; }

inline constexpr unsigned kEthernetBytes = 18;  ///< header and checksum
inline constexpr unsigned kSmallestFrame = 64, kLargestFrame = 1518;

/// Twelve frames of "IMIX", mixed: 7 × 64, 4 × 594, 1 × 1518 bytes (RFC 6985 has the notation).
inline const std::vector<unsigned> kImix{64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 64, 594};

struct Profile {
  Carriage carriage = Carriage::nat44;
  Protocol protocol = Protocol::udp;
  uint32_t subscribers = 100;
  uint32_t ports = 10;          ///< of each subscriber
  uint16_t first_port = 10000;  ///< of each subscriber
  std::vector<unsigned> frame_sizes{kSmallestFrame};

  uint32_t mappings() const { return subscribers * ports; }
  uint32_t subscriber_of(uint32_t mapping) const { return mapping / ports; }
  uint16_t port_of(uint32_t mapping) const { return static_cast<uint16_t>(first_port + mapping % ports); }
  /// Which of the sizes packet number `sequence` has.
  unsigned size_of(uint32_t sequence) const {
    return frame_sizes.size() == 1 ? 0 : sequence % static_cast<unsigned>(frame_sizes.size());
  }
  /// The IPv4 packet in a frame of that size.
  unsigned ipv4_bytes(unsigned size) const { return frame_sizes[size] - kEthernetBytes; }
};

/// The bytes behind the stamp: the same in every packet, and no two neighbours alike.
const uint8_t* pattern();

}  // namespace culvert::bench
