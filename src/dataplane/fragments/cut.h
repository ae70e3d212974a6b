/// Cutting a datagram into fragments: the bytes of RFC 791 §3.2 and RFC 8200 §4.5. The whole datagram stays
/// as it is; every piece is a copy in a buffer of its own.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>

#include "net/headers.h"

namespace culvert::dataplane {

/// How a datagram is cut.
struct CutPlan {
  /// Of a datagram of 65,535 bytes, in pieces of 576 bytes (RFC 791 §3.1: every host takes that).
  static constexpr unsigned kMostPieces = 128, kSmallestLimit = 576;

  unsigned pieces = 0;  ///< 0: it cannot be cut so small
  unsigned chunk = 0;   ///< bytes of payload in each piece but the last; a multiple of eight
};

/// Bytes of a piece, for a packet that has Packet::cut = `cut`, on a way where `mtu` bytes pass: never more
/// than in the fragments that came, but not as small as somebody may have sent them to make many of one.
constexpr unsigned piece_limit(unsigned cut, unsigned mtu) {
  return std::min(std::max(cut, CutPlan::kSmallestLimit), mtu);
}

/// IPv4 pieces of at most `limit` bytes. A datagram that fits is one piece, its own copy. What is a fragment
/// itself can be cut further.
CutPlan plan_ipv4(const net::Ipv4Header& whole, unsigned limit);
/// IPv6 pieces of at most `limit` bytes, with a fragment header each; none when the datagram fits. The packet
/// has no extension headers.
CutPlan plan_ipv6(const net::Ipv6Header& whole, unsigned limit);

/// Writes piece `index` to `m`, a fresh mbuf. Options that are not to be copied become no-operations in later
/// pieces.
void write_piece(rte_mbuf* m, const net::Ipv4Header& whole, const CutPlan& plan, unsigned index);
/// `id`: the identification of all pieces.
void write_piece(rte_mbuf* m, const net::Ipv6Header& whole, const CutPlan& plan, unsigned index, uint32_t id);

}  // namespace culvert::dataplane
