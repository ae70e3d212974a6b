/// Rewriting a packet for its mapping, per carriage and direction. Every function is called with all lengths
/// checked and the verdict passed; none can fail but those that need headroom. Checksums move by the
/// differences kept in the mapping (RFC 1624); nothing is computed anew but a UDP checksum that IPv6 demands
/// and IPv4 did not have.
///
///     carriage  outbound                                inbound
///     nat44     source := external                      destination := internal
///     ds-lite   outer header off, then as nat44         as nat44, then outer header on (RFC 2473)
///     nat64     IPv6 header becomes IPv4 (RFC 7915 §5)  IPv4 header becomes IPv6 (RFC 7915 §4)
#pragma once

#include <algorithm>

#include "dataplane/counters.h"
#include "dataplane/identifications.h"
#include "dataplane/packet.h"
#include "dataplane/tables.h"
#include "dataplane/tcp_state.h"
#include "net/checksum.h"
#include "net/rfc6052.h"

namespace culvert::dataplane::carriage {

/// What one hop does to the IPv4 header checksum: the word with the TTL in its high byte gets 0x0100 less.
inline constexpr uint16_t kTtlDelta = net::Be16(0xfeff).raw();

/// `delta`: by how much the sum of the header changes otherwise; not folded.
inline void take_hop(net::Ipv4Header& ip, uint32_t delta) {
  ip.ttl--;
  ip.checksum = net::apply_delta(ip.checksum, net::Sum(uint64_t{kTtlDelta} + delta).folded());
}

/// Changes one port (or ICMP identifier) and the transport checksum. A UDP checksum of zero stays zero: over
/// IPv4 it means there is none (RFC 768).
template <Direction kDirection>
inline void rewrite_transport(Packet& p, Protocol protocol, net::Be16 port, uint16_t delta) {
  switch (protocol) {
    case Protocol::tcp:
      (kDirection == Direction::outbound ? p.tcp()->source : p.tcp()->destination) = port;
      p.tcp()->checksum = net::apply_delta(p.tcp()->checksum, delta);
      return;
    case Protocol::udp:
      (kDirection == Direction::outbound ? p.udp()->source : p.udp()->destination) = port;
      if (p.udp()->checksum.raw() != 0)
        p.udp()->checksum = net::udp_nonzero(net::apply_delta(p.udp()->checksum, delta));
      return;
    case Protocol::icmp:
      p.icmp()->id = port;
      p.icmp()->checksum = net::apply_delta(p.icmp()->checksum, delta);
      return;
  }
}

/// Gives an IPv4 packet that leaves with another source address an identification of ours, unless it is
/// atomic (RFC 6864 §4). Returns by how much the sum of its header changes, not folded.
inline uint32_t renumber(Packet& p, net::Ipv4Address source, Identifications& identifications) {
  net::Ipv4Header& ip = *p.ip4;
  if (ip.dont_fragment() && p.cut == 0) return 0;
  const net::Be16 old = ip.id;
  ip.id = identifications.next(source, ip.destination);
  return uint32_t{ip.id.raw()} + static_cast<uint16_t>(~old.raw());
}

/// NAT44, and the inner packet of a softwire.
inline void ipv4_out(Packet& p, const Mapping& m, Identifications& identifications) {
  p.ip4->source = m.external_address;
  const uint32_t delta = uint32_t{m.address_delta} + renumber(p, m.external_address, identifications);
  take_hop(*p.ip4, delta);
  rewrite_transport<Direction::outbound>(p, m.internal.protocol, m.external_port, m.transport_delta);
}
inline void ipv4_in(Packet& p, const Mapping& m) {
  p.ip4->destination = m.internal.ipv4;
  take_hop(*p.ip4, net::inverse_delta(m.address_delta));
  rewrite_transport<Direction::inbound>(p, m.internal.protocol, m.internal.port,
                                        net::inverse_delta(m.transport_delta));
}

/// Takes the outer header off, and what may lie behind the inner packet. The inner packet keeps its DSCP (RFC
/// 2983 §3.1, pipe), but congestion that the access network marked is not forgotten (RFC 6040 §4.2, figure 4;
/// a mark that the inner packet cannot carry was refused before).
inline void decapsulate(Packet& p) {
  const uint8_t outer = net::ecn_of(p.ip6->traffic_class()), inner = net::ecn_of(p.ip4->tos);
  const bool marked =
      outer == net::kCongestion ? inner != net::kCongestion : outer == net::kEct1 && inner == net::kEct0;
  if (marked) [[unlikely]] {
    const uint16_t old = net::Be16(p.ip4->tos).raw();
    p.ip4->tos = static_cast<uint8_t>(p.ip4->tos - inner + outer);
    p.ip4->checksum =
        net::apply_delta(p.ip4->checksum, net::Sum().add(net::Be16(p.ip4->tos)).subtract(old).folded());
  }
  p.data = reinterpret_cast<uint8_t*>(p.ip4);
  trim_to(p, p.ip4->total_length.value());
  p.ip6 = nullptr;
}

/// Puts an IPv6 header before an IPv4 packet (RFC 2473 §3.1): traffic class from the inner packet, no flow
/// label. False when there is no room.
inline bool encapsulate(Packet& p, const net::Ipv6Address& from, const net::Ipv6Address& to) {
  const auto* inner = reinterpret_cast<const net::Ipv4Header*>(p.data);
  const uint8_t traffic_class = inner->tos;
  const net::Be16 length = inner->total_length;
  auto* outer = reinterpret_cast<net::Ipv6Header*>(prepend(p, sizeof(net::Ipv6Header)));
  if (outer == nullptr) return false;
  outer->version_class_label = net::Be32(6u << 28 | uint32_t{traffic_class} << 20);
  outer->payload_length = length;
  outer->next_header = net::kIpIpv4;
  outer->hop_limit = 64;
  outer->source = from;
  outer->destination = to;
  return true;
}

/// An IPv4 fragment gets so much longer as an IPv6 one (RFC 7915 §4.1).
inline constexpr unsigned kFragmentGrowth = 28;

/// An IPv4 header in front of a transport header, replacing whatever IPv6 headers stand there (RFC 7915
/// §5.1). Packets of up to 1260 bytes may be fragmented on their way, and what came in fragments (RFC 7915
/// §5.1.1).
inline void nat64_out(Packet& p, const Mapping& m, Identifications& identifications) {
  const net::Ipv6Header& v6 = *p.ip6;
  const uint8_t tos = v6.traffic_class();
  const auto ttl = static_cast<uint8_t>(v6.hop_limit - 1);
  net::Sum delta(m.transport_delta);
  if (m.internal.protocol == Protocol::icmp) {
    // ICMPv6 has a pseudo header, ICMPv4 none; echo request is 128 here and 8 there.
    delta.subtract(v6.destination).subtract(net::Be16(p.l4_length)).subtract(net::Be16(net::kIpIcmpv6));
    delta.subtract(net::Be16(net::kIcmp6Echo << 8)).add(net::Be16(net::kIcmpEcho << 8));
    p.icmp()->type = net::kIcmpEcho;
  } else {
    delta.subtract(v6.destination).add(p.remote.address);
  }
  rewrite_transport<Direction::outbound>(p, m.internal.protocol, m.external_port, delta.folded());

  const unsigned total = static_cast<unsigned>(sizeof(net::Ipv4Header)) + p.l4_length;
  strip(p, p.length - total);
  auto* ip = reinterpret_cast<net::Ipv4Header*>(p.data);
  bool may_fragment = total <= 1260;
  if (p.cut != 0) [[unlikely]] {
    may_fragment = true;
    p.cut = static_cast<uint16_t>(p.cut - kFragmentGrowth);
  }
  const auto protocol = static_cast<uint8_t>(m.internal.protocol);
  const net::Be16 length(static_cast<uint16_t>(total));
  const net::Be16 number =
      may_fragment ? identifications.next(m.external_address, p.remote.address) : net::Be16();
  const net::Be16 fragment(may_fragment ? uint16_t{0} : net::Ipv4Header::kDontFragment);
  ip->version_ihl = 0x45;
  ip->tos = tos;
  ip->total_length = length;
  ip->id = number;
  ip->fragment = fragment;
  ip->ttl = ttl;
  ip->protocol = protocol;
  ip->source = m.external_address;
  ip->destination = p.remote.address;
  net::Sum sum;
  sum.add(net::Be16(static_cast<uint16_t>(0x4500 | tos))).add(length).add(number).add(fragment);
  sum.add(net::Be16(static_cast<uint16_t>(ttl << 8 | protocol)))
      .add(m.external_address)
      .add(p.remote.address);
  ip->checksum = sum.checksum();
  p.ip4 = ip;
  p.ip6 = nullptr;
}

/// Sets Packet::cut for an IPv4 packet on its way to IPv6, if it is to leave in pieces: of at most
/// `minimum_mtu` bytes, or, where its sender forbids cutting, of those that it came in.
inline void leave_in_pieces(Packet& p, unsigned minimum_mtu) {
  const bool may_cut = !p.ip4->dont_fragment();
  if (p.cut == 0 && !may_cut) return;
  p.fragment_id = p.ip4->id.value();
  const unsigned piece = p.cut == 0 ? kAnySize : std::max(p.cut + kFragmentGrowth, minimum_mtu);
  p.cut = static_cast<uint16_t>(std::min<unsigned>(piece, may_cut ? minimum_mtu : kAnySize));
}

/// An IPv6 header instead of the IPv4 header with its options (RFC 7915 §4.1). False when there is no room.
/// `minimum_mtu`: a packet whose sender lets routers cut it is longer than that only in pieces. `computed`
/// counts the UDP checksums that there were none of.
inline bool nat64_in(Packet& p, const Mapping& m, const ContextView& prefix, unsigned minimum_mtu,
                     Counter& computed) {
  const net::Ipv4Header& v4 = *p.ip4;
  if (p.cut != 0 || p.l4_length + unsigned{sizeof(net::Ipv6Header)} > minimum_mtu) [[unlikely]]
    leave_in_pieces(p, minimum_mtu);
  const unsigned old_header = v4.header_length();
  const uint8_t tos = v4.tos, ttl = v4.ttl;
  const net::Ipv4Address remote = v4.source;
  const net::Ipv6Words source = net::embed_words(prefix.address, prefix.length, remote);
  net::Sum delta(net::inverse_delta(m.transport_delta));
  delta.add(source);
  bool compute = false;
  if (m.internal.protocol == Protocol::icmp) {
    delta.add(net::Be16(p.l4_length)).add(net::Be16(net::kIpIcmpv6));
    delta.subtract(net::Be16(net::kIcmpEchoReply << 8)).add(net::Be16(net::kIcmp6EchoReply << 8));
    p.icmp()->type = net::kIcmp6EchoReply;
  } else {
    delta.subtract(remote);
    compute = m.internal.protocol == Protocol::udp && p.udp()->checksum.raw() == 0;
  }
  rewrite_transport<Direction::inbound>(p, m.internal.protocol, m.internal.port, delta.folded());
  if (compute) [[unlikely]] {  // RFC 7915 §4.5: IPv6 wants a checksum
    computed.add();
    net::Sum sum;
    sum.add(source).add(m.internal.ipv6).add(p.udp()->length).add(net::Be16(net::kIpUdp));
    sum.add_bytes(p.l4, p.udp()->length.value());
    p.udp()->checksum = net::udp_nonzero(sum.checksum());
  }

  strip(p, old_header);
  auto* ip = reinterpret_cast<net::Ipv6Header*>(prepend(p, sizeof(net::Ipv6Header)));
  if (ip == nullptr) return false;
  ip->version_class_label = net::Be32(6u << 28 | uint32_t{tos} << 20);
  ip->payload_length = net::Be16(p.l4_length);
  const bool icmp = m.internal.protocol == Protocol::icmp;
  ip->next_header = icmp ? uint8_t{net::kIpIcmpv6} : static_cast<uint8_t>(m.internal.protocol);
  ip->hop_limit = static_cast<uint8_t>(ttl - 1);
  source.put(ip->source);
  ip->destination = m.internal.ipv6;
  p.ip6 = ip;
  p.ip4 = nullptr;
  return true;
}

}  // namespace culvert::dataplane::carriage
