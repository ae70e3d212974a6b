/// Frames for benchmarks and generators: what the subscribers of a made-up ISP send, and what the Internet
/// answers.
///
/// Subscriber `s` (0–16 M) is 10.0.0.0 + s under NAT44, the B4 2001:db8:8000::/33 + s·/64 under DS-Lite, and
/// the host of 2001:db8::/33 + s·/64 under NAT64. All of them talk to one server. A frame is written from a
/// template whose checksums are then moved by what differs, so that writing costs a generator little. All
/// checksums are right.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/mapping.h"

namespace culvert::bench {

using dataplane::Carriage;
using dataplane::Protocol;

inline constexpr net::Ipv4Address kServer(0x08080808);
inline constexpr uint16_t kServerPort = 53;
inline constexpr uint32_t kMaxSubscribers = 1u << 24;
/// Largest frame a FrameMaker writes, in bytes.
inline constexpr unsigned kMaxFrame = 1600;
/// IPv4 packets that make the smallest Ethernet frame (64 bytes with its checksum).
inline constexpr unsigned kSmallestIpv4 = 46;

inline constexpr Carriage kCarriages[] = {Carriage::nat44, Carriage::ds_lite, Carriage::nat64};
/// "nat44", "ds-lite", "nat64".
std::string_view name_of(Carriage carriage);

/// Subscriber `s` of an IPv6 carriage: his B4, or his host.
net::Ipv6Address home(Carriage carriage, uint32_t s);
/// Where all subscribers of an IPv6 carriage are: the first half of 2001:db8::/32 or the second.
net::Ipv6Prefix homes(Carriage carriage);
/// The box's address that softwires lead to.
net::Ipv6Address aftr_address();

/// The internal endpoint of what subscriber `s` sends by UDP from `port`, in a box with one AFTR address or
/// NAT64 prefix; and the subscriber of an internal endpoint.
dataplane::InternalKey internal_key(Carriage carriage, uint32_t s, uint16_t port);
uint32_t subscriber_of(Carriage carriage, const dataplane::InternalKey& key);

class FrameMaker {
 public:
  /// Frames whose IPv4 form is an IP packet of `ipv4_bytes` (28–1500, TCP from 40). `to`: the box's MAC
  /// address; `from`: the sender's.
  FrameMaker(Carriage carriage, Protocol protocol, unsigned ipv4_bytes, const net::MacAddress& to,
             const net::MacAddress& from);

  /// What subscriber `s` sends from `port` to the server. `at` has room for size_outbound() bytes, rounded up
  /// to 128; bytes of the payload are not written. Returns the frame's size without its Ethernet checksum.
  unsigned outbound(uint8_t* at, uint32_t s, uint16_t port) const;
  /// What the server sends to an external endpoint; likewise.
  unsigned inbound(uint8_t* at, net::Ipv4Address external, uint16_t port) const;

  unsigned size_outbound() const { return outbound_.size; }
  unsigned size_inbound() const { return inbound_.size; }
  /// TCP flags of the frames made from now on; ACK at first.
  void set_tcp_flags(uint8_t flags);
  /// IPv4 frames made from now on may be cut on their way. At first they have DF, as TCP and most UDP of
  /// today (RFC 1191).
  void clear_dont_fragment();

 private:
  /// The headers of a frame with everything but one endpoint, which counts as zero in its checksums.
  struct Template {
    alignas(64) uint8_t bytes[128] = {};
    unsigned size = 0;
    unsigned ip = 0, l4 = 0;  ///< offsets of the header whose endpoint changes and of its transport header
    unsigned checksum = 0;    ///< offset of the transport checksum
  };
  void make(Template& t, bool outbound, unsigned ipv4_bytes, const net::MacAddress& to,
            const net::MacAddress& from) const;

  Carriage carriage_;
  Protocol protocol_;
  Template outbound_, inbound_;
};

}  // namespace culvert::bench
