/// Parsing: every length is checked here before anything else looks at the bytes. Each function takes the
/// packet's memory as it is (mbuf data, one segment), fills in the Packet and says why the packet is no good,
/// if it isn't.
#pragma once

#include <optional>

#include "dataplane/drop_reason.h"
#include "dataplane/packet.h"

namespace culvert::dataplane {

using Refusal = std::optional<DropReason>;

/// What a transport header turned out to be.
enum class Transport : uint8_t {
  flow,        ///< TCP, UDP or an ICMP query of the right direction: can be looked up
  icmp_error,  ///< an error about another packet
  refused,
};

/// Lays `p.ip4`, `p.l4` and `p.l4_length` over an IPv4 packet of at most `available` bytes at `at`. Checks
/// version, lengths, header checksum and source routes; refuses fragments. Cuts Ethernet padding off when the
/// packet is the outermost one.
Refusal parse_ipv4(Packet& p, uint8_t* at, unsigned available);

/// Lays `p.ip6` over the mbuf's data: version and payload length; trims the mbuf to the packet.
Refusal parse_ipv6(Packet& p);

/// Walks hop-by-hop options, destination options and a spent routing header (RFC 7915 §5.1: skipped) behind
/// `p.ip6`. On success `*protocol` is the first other next header and `*offset` where it starts, in bytes
/// from `p.ip6`. A fragment is refused.
Refusal skip_extensions(const Packet& p, uint8_t* protocol, unsigned* offset);

/// The transport header at `p.l4` (`protocol` is an IPv4 or IPv6 number). Sets ports, flags and protocol in
/// `p.internal`/`p.remote` (from inside) or `p.external`/`p.remote` (from outside); addresses are the
/// caller's.
template <bool kFromInside>
Transport parse_transport(Packet& p, uint8_t protocol, DropReason* why);

}  // namespace culvert::dataplane
