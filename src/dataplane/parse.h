/// Parsing: every length is checked here before anything else looks at the bytes. Each function takes the
/// packet's memory as it is (one segment), fills in the Packet and says why the packet is no good, if it
/// isn't.
///
/// What nearly all packets are — no options, no extension headers, TCP or UDP — is inline; the rest is in
/// parse.cpp.
#pragma once

#include <optional>

#include "dataplane/drop_reason.h"
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

/// The checksum and the options of a header longer than 20 bytes, all of it there. RFC 7126 §4.3/4.4: packets
/// with a source route are dropped. Option lengths that lie are malformed.
Refusal check_options(const net::Ipv4Header& ip);

/// Lays `p.ip4`, `p.l4` and `p.l4_length` over an IPv4 packet of at most `available` bytes at `at`. Checks
/// version, lengths, header checksum and source routes; refuses fragments. Cuts Ethernet padding off when the
/// packet is the outermost one.
inline Refusal parse_ipv4(Packet& p, uint8_t* at, unsigned available) {
  if (available < sizeof(net::Ipv4Header)) return DropReason::truncated;
  auto* ip = reinterpret_cast<net::Ipv4Header*>(at);
  const unsigned total = ip->total_length.value();
  unsigned header = sizeof *ip;
  if (ip->version_ihl == 0x45) [[likely]] {
    if (total < header) return DropReason::malformed_ipv4;
    if (total > available) return DropReason::truncated;
    if (net::Sum().add_words<sizeof *ip>(at).folded() != 0xffff) return DropReason::bad_ipv4_checksum;
  } else {
    header = ip->header_length();
    if (ip->version_ihl >> 4 != 4 || header < sizeof *ip || total < header) return DropReason::malformed_ipv4;
    if (total > available) return DropReason::truncated;
    if (Refusal r = check_options(*ip)) return r;
  }
  if (ip->is_fragment()) [[unlikely]]
    return DropReason::fragment;
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

/// The same as find_transport() for packets that have extension headers.
Refusal skip_extensions(const Packet& p, uint8_t* protocol, unsigned* offset);

/// Walks hop-by-hop options, destination options and a spent routing header (RFC 7915 §5.1: skipped) behind
/// `p.ip6`. On success `*protocol` is the first other next header and `*offset` where it starts, in bytes
/// from `p.ip6`. A fragment is refused.
inline Refusal find_transport(const Packet& p, uint8_t* protocol, unsigned* offset) {
  const uint8_t next = p.ip6->next_header;
  if (next == net::kIpIpv4 || next == net::kIpUdp || next == net::kIpTcp) [[likely]] {
    *protocol = next;
    *offset = sizeof *p.ip6;
    return {};
  }
  return skip_extensions(p, protocol, offset);
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
