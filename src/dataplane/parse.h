/// Parsing: every length is checked here before anything else looks at the bytes. Each function takes the
/// packet's memory as it is (one segment), fills in the Packet and says why the packet is no good, if it
/// isn't.
///
/// What nearly all packets are — no options, no extension headers, TCP or UDP — is inline; the rest is in
/// parse.cpp.
#pragma once

#include <optional>

#include "dataplane/drop_reason.h"
#include "dataplane/fragments/reassembly.h"
#include "dataplane/packet.h"
#include "net/checksum.h"

namespace culvert::dataplane {

using Refusal = std::optional<DropReason>;

/// What a transport header turned out to be.
enum class Transport : uint8_t {
  flow,        ///< TCP, UDP or an ICMP query of the right direction: can be looked up
  icmp_error,  ///< an error about another packet
  refused,
};

/// The ports of a flow, seen from the subscriber; ICMP queries have their identifier as `ours`.
struct Ports {
  Protocol protocol = Protocol::udp;
  net::Be16 ours, theirs;
};

/// What parse_ipv4() does when the first byte is not 0x45: options, or no IPv4. RFC 7126 §4.3/4.4: packets
/// with a source route are dropped. Option lengths that lie are malformed. Puts the header's length into
/// `header`.
Refusal parse_long_header(Packet& p, net::Ipv4Header* ip, unsigned available, unsigned* header);

/// Lays `p.ip4`, `p.l4` and `p.l4_length` over an IPv4 packet of at most `available` bytes at `at`. Checks
/// version, lengths, header checksum and source routes. Cuts Ethernet padding off when the packet is the
/// outermost one. It may be a fragment. `p.ip4` is there, too, when a source route is the reason.
[[gnu::always_inline]] inline Refusal parse_ipv4(Packet& p, uint8_t* at, unsigned available) {
  if (available < sizeof(net::Ipv4Header)) return DropReason::truncated;
  auto* ip = reinterpret_cast<net::Ipv4Header*>(at);
  const unsigned total = ip->total_length.value();
  unsigned header = sizeof *ip;
  if (ip->version_ihl == 0x45) [[likely]] {
    if (total < header) return DropReason::malformed_ipv4;
    if (total > available) return DropReason::truncated;
    if (net::Sum().add_words<sizeof *ip>(at).folded() != 0xffff) return DropReason::bad_ipv4_checksum;
  } else if (Refusal r = parse_long_header(p, ip, available, &header)) {
    return r;
  }
  p.ip4 = ip;
  p.l4 = at + header;
  p.l4_length = static_cast<uint16_t>(total - header);
  // Ethernet padding goes. What lies behind the inner packet of a softwire stays until decapsulate(), so that
  // the outer header remains true if the packet is handed over.
  if (total < available && at == p.data) trim_to(p, total);
  return {};
}

/// Lays `p.ip6` over the packet: version and payload length; trims the packet to what it says.
inline Refusal parse_ipv6(Packet& p) {
  if (p.length < sizeof(net::Ipv6Header)) return DropReason::truncated;
  auto* ip = reinterpret_cast<net::Ipv6Header*>(p.data);
  if (ip->version() != 6) return DropReason::malformed_ipv6;
  const unsigned total = static_cast<unsigned>(sizeof *ip) + ip->payload_length.value();
  if (total > p.length) return DropReason::truncated;
  if (total < p.length) trim_to(p, total);
  p.ip6 = ip;
  return {};
}

/// What an IPv6 header and its extension headers carry.
struct Upper {
  uint8_t protocol = 0;  ///< the first next header that is no extension header
  unsigned offset = 0;   ///< where it begins, in bytes from `p.ip6`
  /// There was a fragment header: an atomic one was passed (RFC 6946), behind any other the payload of a
  /// fragment begins.
  const net::FragmentHeader* fragment = nullptr;
};

/// Headers that another one follows, and that are passed over.
constexpr bool is_extension(uint8_t next) {
  return next == net::kIpHopByHop || next == net::kIpDestOptions || next == net::kIpRouting ||
         next == net::kIpFragment;
}
/// Bytes of the extension header at `at`, of which eight are there at least (RFC 8200 §4.2).
constexpr unsigned extension_length(uint8_t next, const uint8_t* at) {
  return next == net::kIpFragment ? 8 : 8u + 8u * at[1];
}

/// The same as find_upper() for packets that have extension headers. Where segments are left in a routing
/// header, `upper->offset` is where their number stands.
Refusal skip_extensions(const Packet& p, Upper* upper);

/// Walks hop-by-hop options, destination options and a spent routing header (RFC 7915 §5.1: skipped) behind
/// `p.ip6`, and a fragment header.
inline Refusal find_upper(const Packet& p, Upper* upper) {
  const uint8_t next = p.ip6->next_header;
  if (next == net::kIpIpv4 || next == net::kIpUdp || next == net::kIpTcp) [[likely]] {
    *upper = {next, sizeof *p.ip6, nullptr};
    return {};
  }
  return skip_extensions(p, upper);
}

/// Where the payload of the IPv4 fragment at `p.ip4` is, which may lie in a softwire. Congestion that the
/// outer header tells of is its own (RFC 6040 §4.2).
inline Fragment fragment_of(const Packet& p) {
  return {p.m,
          static_cast<unsigned>(reinterpret_cast<uint8_t*>(p.ip4) - p.data),
          static_cast<unsigned>(p.l4 - p.data),
          p.l4_length,
          p.ip4->offset(),
          p.ip4->more(),
          p.ip4->total_length.value(),
          p.ip6 != nullptr && net::ecn_of(p.ip6->traffic_class()) == net::kCongestion
              ? uint8_t{net::kCongestion}
              : net::ecn_of(p.ip4->tos)};
}
/// The same of an IPv6 fragment; not an atomic one.
inline Fragment fragment_of(const Packet& p, const Upper& upper) {
  return {p.m,
          0,
          upper.offset,
          p.length - upper.offset,
          upper.fragment->offset(),
          upper.fragment->more(),
          p.length,
          net::ecn_of(p.ip6->traffic_class())};
}

/// ICMP at `p.l4`, as parse_transport().
template <bool kFromInside>
Transport parse_icmp(Packet& p, uint8_t protocol, Ports* ports, DropReason* why);

/// The transport header at `p.l4` (`protocol` is an IPv4 or IPv6 number).
template <bool kFromInside>
inline Transport parse_transport(Packet& p, uint8_t protocol, Ports* ports, DropReason* why) {
  *why = DropReason::malformed_transport;
  if (protocol == net::kIpUdp) {
    if (p.l4_length < sizeof(net::UdpHeader)) return Transport::refused;
    const net::UdpHeader* udp = p.udp();
    const unsigned length = udp->length.value();
    if (length < sizeof *udp || length > p.l4_length) return Transport::refused;
    *ports = {Protocol::udp, kFromInside ? udp->source : udp->destination,
              kFromInside ? udp->destination : udp->source};
    return Transport::flow;
  }
  if (protocol == net::kIpTcp) {
    if (p.l4_length < sizeof(net::TcpHeader)) return Transport::refused;
    const net::TcpHeader* tcp = p.tcp();
    const unsigned header = tcp->header_length();
    if (header < sizeof *tcp || header > p.l4_length) return Transport::refused;
    p.tcp_flags = tcp->flags;
    *ports = {Protocol::tcp, kFromInside ? tcp->source : tcp->destination,
              kFromInside ? tcp->destination : tcp->source};
    return Transport::flow;
  }
  return parse_icmp<kFromInside>(p, protocol, ports, why);
}

}  // namespace culvert::dataplane
