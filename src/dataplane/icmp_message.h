/// The bytes of ICMP errors: checksums, quotations, and an ICMPv4 error that the box makes itself.
#pragma once

#include "dataplane/packet.h"
#include "dataplane/quoted.h"
#include "dataplane/tables.h"

namespace culvert::dataplane {

inline constexpr unsigned kMaxIpv4Error = 576;   ///< RFC 1812 §4.3.2.3
inline constexpr unsigned kMaxIpv6Error = 1280;  ///< RFC 4443 §2.4(c)
/// Bytes before the quotation of an ICMPv4 error.
inline constexpr unsigned kIcmp4ErrorHeaders = sizeof(net::Ipv4Header) + sizeof(net::IcmpHeader);
/// RFC 7600 §4.8: the IPv4 dummy address, of boxes that have none.
inline constexpr net::Ipv4Address kDummyIpv4(0xc0000008);

/// Who speaks for the box on an interface.
inline net::Ipv4Address own_address(const InterfaceView& interface) {
  return interface.ipv4.value() == 0 ? kDummyIpv4 : interface.ipv4;
}

/// What an ICMPv4 error says.
struct Icmp4Error {
  net::Ipv4Address source, destination;
  uint8_t type, code;
  uint32_t word = 0;  ///< the second word of the ICMP header: unused, or the MTU
};

/// Writes an ICMPv4 error of the box's own, with `size` bytes of `quoted`, into a fresh packet.
void write_icmp4_error(Packet& out, const Icmp4Error& error, net::Be16 id, const void* quoted, unsigned size);
/// Whether a packet is an ICMP error, which nobody answers with another (RFC 1122 §3.2.2, RFC 4443 §2.4(e)),
/// by its outermost IPv4 header or, where there is none, its IPv6 header; what is cut short is none.
bool is_icmp_error(const Packet& p);
/// Whether the checksum of the ICMP message at `p.l4` is right, an ICMPv6 one when `p` has no IPv4 header.
bool icmp_checksum_holds(const Packet& p);
/// Computes an ICMPv4 message's checksum.
void seal_icmp4(net::IcmpHeader* icmp, unsigned length);
/// The same of an ICMPv6 message that is all there is behind its IPv6 header.
void seal_icmp6(const net::Ipv6Header& ip, net::IcmpHeader* icmp);
/// Fills an original datagram field of layout.field bytes but for the quoted packet's new headers, which come
/// first, and puts the extensions behind it.
void write_quotation(uint8_t* field, unsigned headers, const Quoted& quoted, const QuoteLayout& layout);
/// Cuts the end of an ICMPv4 error off, extensions and all, so that the packet has at most `length` bytes.
/// The ICMP checksum is not right then.
void shorten_error(Packet& p, unsigned length);

}  // namespace culvert::dataplane
