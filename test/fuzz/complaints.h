/// ICMP and ICMPv6 errors about packets that left the box, as hosts and routers on either side send them.
#pragma once

#include "box.h"
#include "frames.h"

namespace culvert::fuzz {

/// What an error says.
struct Trouble {
  uint8_t type, code;
  uint32_t word;
  /// RFC 4884: an extension structure behind the original datagram, which is cut or filled to 128 bytes.
  bool extended = false;
};

/// The error about a packet (all of it or its first bytes), to where that came from; empty when it has no
/// addresses. From inside it comes from the packet's receiver, out of its softwire if it was in one.
Bytes error_about(const Bytes& packet, Side side, const Trouble& trouble);
/// The error of an access router about a packet in its softwire (RFC 2473 §8), or a piece of that.
Bytes router_error_about(const Bytes& packet, const Trouble& trouble);

}  // namespace culvert::fuzz
