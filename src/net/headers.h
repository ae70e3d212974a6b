/// Packet headers as they lie in memory: alignment 1, big-endian, no behaviour but naming their bits.
/// They are only laid over bytes whose length was checked first (dataplane/parse.h does that).
#pragma once

#include <cstdint>

#include "net/address.h"

namespace culvert::net {

enum EtherType : uint16_t {
  kEtherIpv4 = 0x0800,
  kEtherArp = 0x0806,
  kEtherVlan = 0x8100,
  kEtherQinq = 0x88a8,
  kEtherIpv6 = 0x86dd,
};

/// IPv4 protocol and IPv6 next-header numbers.
enum IpProtocol : uint8_t {
  kIpHopByHop = 0,
  kIpIcmp = 1,
  kIpIpv4 = 4,
  kIpTcp = 6,
  kIpUdp = 17,
  kIpIpv6 = 41,
  kIpRouting = 43,
  kIpFragment = 44,
  kIpIcmpv6 = 58,
  kIpNoNext = 59,
  kIpDestOptions = 60,
};

/// ECN fields (RFC 3168 §5), the two low bits of IPv4's type of service and of IPv6's traffic class.
enum Ecn : uint8_t {
  kNotEct = 0,  ///< the transport knows no congestion marks
  kEct1 = 1,    ///< may be a first level of congestion (RFC 6040 §4.2)
  kEct0 = 2,
  kCongestion = 3,
};
constexpr uint8_t ecn_of(uint8_t traffic_class) { return traffic_class & 3u; }

struct EthernetHeader {
  MacAddress destination, source;
  Be16 type;
};

struct VlanTag {
  Be16 control;  ///< PCP (3), DEI (1), VLAN id (12)
  Be16 type;
  uint16_t id() const { return control.value() & 0x0fff; }
};

struct Ipv4Header {
  uint8_t version_ihl;
  uint8_t tos;  ///< DSCP (6), ECN (2)
  Be16 total_length;
  Be16 id;
  Be16 fragment;  ///< 0, DF, MF, offset in 8-byte units (13)
  uint8_t ttl;
  uint8_t protocol;
  Be16 checksum;
  Ipv4Address source, destination;

  static constexpr uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000, kOffsetMask = 0x1fff;
  unsigned header_length() const { return (version_ihl & 15u) * 4u; }
  bool is_fragment() const { return (fragment.value() & (kMoreFragments | kOffsetMask)) != 0; }
  bool dont_fragment() const { return (fragment.value() & kDontFragment) != 0; }
  unsigned offset() const { return (fragment.value() & kOffsetMask) * 8u; }  ///< in bytes
  bool more() const { return (fragment.value() & kMoreFragments) != 0; }
};

struct Ipv6Header {
  Be32 version_class_label;  ///< version (4), traffic class (8), flow label (20)
  Be16 payload_length;
  uint8_t next_header;
  uint8_t hop_limit;
  Ipv6Address source, destination;

  unsigned version() const { return version_class_label.value() >> 28; }
  uint8_t traffic_class() const { return static_cast<uint8_t>(version_class_label.value() >> 20); }
};

/// RFC 8200 §4.5.
struct FragmentHeader {
  uint8_t next_header;
  uint8_t reserved;
  Be16 place;  ///< offset in 8-byte units (13), reserved (2), M: more fragments (1)
  Be32 id;

  unsigned offset() const { return place.value() & 0xfff8u; }  ///< in bytes
  bool more() const { return (place.value() & 1) != 0; }
  /// RFC 6946: a datagram of one fragment.
  bool atomic() const { return offset() == 0 && !more(); }
  void set_place(unsigned byte_offset, bool more_follow) {
    place = Be16(static_cast<uint16_t>((byte_offset & 0xfff8u) | (more_follow ? 1u : 0u)));
  }
};

struct UdpHeader {
  Be16 source, destination, length, checksum;
};

struct TcpHeader {
  Be16 source, destination;
  Be32 sequence, acknowledgement;
  uint8_t offset_reserved;  ///< header length in 4-byte units (4), reserved (4)
  uint8_t flags;
  Be16 window, checksum, urgent;

  static constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
  unsigned header_length() const { return (offset_reserved >> 4u) * 4u; }
};

/// ICMP and ICMPv6 share their first eight bytes.
struct IcmpHeader {
  uint8_t type, code;
  Be16 checksum;
  Be16 id;        ///< echo: identifier; RFC 4884 errors: unused and length
  Be16 sequence;  ///< echo: sequence number; Fragmentation Needed: next-hop MTU

  /// The four bytes behind the checksum as one word: MTU or pointer of an ICMPv6 error.
  uint32_t word() const { return uint32_t{id.value()} << 16 | sequence.value(); }
  void set_word(uint32_t w) {
    id = Be16(static_cast<uint16_t>(w >> 16));
    sequence = Be16(static_cast<uint16_t>(w));
  }
  uint8_t* payload() { return reinterpret_cast<uint8_t*>(this) + 8; }
};

enum IcmpType : uint8_t {
  kIcmpEchoReply = 0,
  kIcmpUnreachable = 3,
  kIcmpSourceQuench = 4,
  kIcmpRedirect = 5,
  kIcmpEcho = 8,
  kIcmpTimeExceeded = 11,
  kIcmpParameterProblem = 12,
};
/// Codes of ICMPv4's Destination Unreachable that the box itself sends (RFC 792, RFC 1812 §5.2.7.1).
enum IcmpUnreachableCode : uint8_t {
  kHostUnreachable = 1,
  kProtocolUnreachable = 2,
  kPortUnreachable = 3,
  kFragmentationNeeded = 4,
  kSourceRouteFailed = 5,
  kAdministrativelyProhibited = 13,
};
enum Icmpv6Type : uint8_t {
  kIcmp6Unreachable = 1,
  kIcmp6PacketTooBig = 2,
  kIcmp6TimeExceeded = 3,
  kIcmp6ParameterProblem = 4,
  kIcmp6Echo = 128,
  kIcmp6EchoReply = 129,
  kIcmp6RouterSolicit = 133,
  kIcmp6Redirect = 137,
};

static_assert(alignof(Ipv4Header) == 1 && alignof(Ipv6Header) == 1 && alignof(TcpHeader) == 1);
static_assert(sizeof(EthernetHeader) == 14 && sizeof(VlanTag) == 4);
static_assert(sizeof(Ipv4Header) == 20 && sizeof(Ipv6Header) == 40);
static_assert(sizeof(FragmentHeader) == 8 && sizeof(UdpHeader) == 8 && sizeof(TcpHeader) == 20 &&
              sizeof(IcmpHeader) == 8);

}  // namespace culvert::net
