/// Valid packets of every carriage, protocol and size, as an input says: what a fuzzer would not guess.
#pragma once

#include "frames.h"
#include "input.h"

namespace culvert::fuzz {

/// A packet of a subscriber, of up to 65,535 bytes, headers and checksums right. In the input: carriage (bits
/// 0–1: NAT44, DS-Lite, NAT64, NAT64 by the well-known prefix), host (2–3), protocol (4–5: UDP, a SYN, other
/// TCP, ping), UDP checksum left out (6), to a pool endpoint that `seen` has instead of a server (7); a byte
/// for ports and server; bits for DF (0), options or an extension header (1), a low TTL (2); a word of size.
/// `seen`: IPv4 packets that left.
Bytes subscribers_packet(Input& in, const std::vector<Bytes>& seen);

/// The transport's payload becomes `size` bytes, as far as the packet may be so long; repaired.
void resize_payload(Bytes& packet, size_t size);

}  // namespace culvert::fuzz
