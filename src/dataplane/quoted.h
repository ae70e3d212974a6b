/// The packet that an ICMP error is about, as far as it is quoted: its headers, and the extensions behind it
/// (RFC 4884). Everything is checked here before anybody looks at it or changes it.
///
///     ICMP header │ IP header │ l4 … size bytes │ zeros │ extensions
///                 └────── original datagram field ──────┘
#pragma once

#include "dataplane/parse.h"

namespace culvert::dataplane {

struct Quoted {
  net::Ipv4Header* ip4 = nullptr;  ///< one of them is set
  net::Ipv6Header* ip6 = nullptr;
  uint8_t* l4 = nullptr;
  unsigned size = 0;     ///< bytes from l4 that are there; eight at least (RFC 792)
  unsigned payload = 0;  ///< bytes from l4 that the packet had
  Protocol protocol = Protocol::udp;
  uint8_t number = 0;           ///< of the protocol, as its IP header has it
  bool first_fragment = false;  ///< of a datagram that was cut; later ones are refused
  uint32_t fragment_id = 0;     ///< IPv6
  const uint8_t* extensions = nullptr;
  unsigned extensions_size = 0;  ///< 0: there are none

  net::Be16& source() const { return *reinterpret_cast<net::Be16*>(l4); }
  net::Be16& destination() const { return *reinterpret_cast<net::Be16*>(l4 + 2); }
  net::IcmpHeader& icmp() const { return *reinterpret_cast<net::IcmpHeader*>(l4); }
  /// Moves the transport checksum, if it is among the bytes that are there and not UDP's "none".
  void move_checksum(uint16_t delta) const;
};

/// Where the original datagram field ends, and what lies behind it (RFC 4884 §4).
struct QuoteField {
  unsigned size;        ///< bytes behind the ICMP header
  unsigned extensions;  ///< bytes behind those
};
/// Of the error at `p.l4`, whose ICMP header is there; nullopt: its length says more than there is.
std::optional<QuoteField> field_of(const Packet& p);

/// Finds the quoted packet in the error at `p.l4`, an ICMPv4 or ICMPv6 one as `p` is. Its later fragments
/// have no ports and are refused as unmapped (nobody may send errors about them, RFC 1122 §3.2.2), the rest
/// as malformed.
Refusal find_quoted(const Packet& p, Quoted* quoted);

/// How a quotation of another length is laid out in an error that has a bound.
struct QuoteLayout {
  unsigned kept = 0;        ///< bytes of the transport part
  unsigned field = 0;       ///< original datagram field: headers, transport part, zeros
  unsigned extensions = 0;  ///< bytes of extensions behind it
};
/// `headers`: bytes of the quoted packet's headers now; `unit`: what RFC 4884's length counts in, 4 or 8;
/// `room`: bytes behind the ICMP header at most. Extensions that find no room go, then the end of the
/// quotation.
QuoteLayout lay_out(const Quoted& quoted, unsigned headers, unsigned unit, unsigned room,
                    bool keep_extensions);

}  // namespace culvert::dataplane
