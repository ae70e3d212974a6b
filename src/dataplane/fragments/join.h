/// Joining fragments: the whole datagram's bytes, in one buffer. The way back is cut.h.
#pragma once

#include "dataplane/fragments/reassembly.h"

namespace culvert::dataplane {

/// Bytes of the joined datagram from its outermost IP header on; 0 when it cannot be, since it would be
/// longer than an IP packet.
unsigned joined_length(const Reassembly::Whole& whole, DatagramKey::Kind kind);

/// Writes the datagram to `to`, which has joined_length() bytes. Its headers are the first fragment's (RFC
/// 791 §3.2, RFC 8200 §4.5), of IPv6 only the fixed one: nobody behind here needs the others. An inner packet
/// keeps an outer header before it, so that it can go through the carriage like any other. A fragment's
/// congestion mark is the datagram's (RFC 3168 §5.3).
void join_fragments(uint8_t* to, const Reassembly::Whole& whole, DatagramKey::Kind kind);

}  // namespace culvert::dataplane
