/// ICMP errors about translated packets (RFC 5508 §4, RFC 7915 §4.2, §4.3, §5.2, §5.3): the work of the
/// pipeline's icmp_error_…() functions in icmp_errors.cpp, from outside, and icmp_errors_out.cpp, from
/// inside.
#pragma once

#include "dataplane/quoted.h"

namespace culvert::dataplane {

inline constexpr unsigned kMaxIpv4Error = 576;   ///< RFC 1812 §4.3.2.3
inline constexpr unsigned kMaxIpv6Error = 1280;  ///< RFC 4443 §2.4(c)

/// Whether the checksum of the ICMP message at `p.l4` is right, an ICMPv6 one when `p` has no IPv4 header.
bool icmp_checksum_holds(const Packet& p);
/// Computes an ICMPv4 message's checksum.
void seal_icmp4(net::IcmpHeader* icmp, unsigned length);
/// Fills an original datagram field of layout.field bytes but for the quoted packet's new headers, which come
/// first, and puts the extensions behind it.
void write_quotation(uint8_t* field, unsigned headers, const Quoted& quoted, const QuoteLayout& layout);
/// Cuts the end of an ICMPv4 error off, extensions and all, so that the packet has `length` bytes. The ICMP
/// checksum is not right then.
void shorten_error(Packet& p, unsigned length);

}  // namespace culvert::dataplane
