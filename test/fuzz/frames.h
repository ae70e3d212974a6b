/// Frames made, repaired and judged, apart from the code under test: nothing of src/dataplane is used here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/address.h"

namespace culvert::fuzz {

using Bytes = std::vector<uint8_t>;

enum Protocol : uint8_t { kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58 };
enum TcpFlags : uint8_t { kFin = 1, kSyn = 2, kRst = 4, kAck = 16 };

/// Transport headers with a payload, checksums left zero: repair() fills them in.
Bytes udp(uint16_t source, uint16_t destination, size_t payload = 12);
Bytes tcp(uint16_t source, uint16_t destination, uint8_t flags, size_t payload = 0);
/// `type`: 8 and 0 are ICMP's echo and reply, 128 and 129 ICMPv6's.
Bytes echo(uint8_t type, uint16_t id, size_t payload = 12);
/// An ICMP or ICMPv6 error about a packet.
Bytes error(uint8_t type, uint8_t code, uint32_t word, std::span<const uint8_t> about);

/// IP packets without Ethernet, whole and right.
Bytes ipv4(const std::string& source, const std::string& destination, uint8_t protocol, const Bytes& payload);
Bytes ipv6(const std::string& source, const std::string& destination, uint8_t next_header,
           const Bytes& payload);
/// An Ethernet frame around an IP packet.
Bytes frame(const Bytes& packet);
/// The IP packet of an untagged frame.
Bytes packet_of(const Bytes& frame);
/// Source and destination changed places, addresses and ports both, echo request turned into reply; repaired.
Bytes reply_to(const Bytes& packet);

/// Puts lengths and checksums of an IP packet right, as far as there are headers; that of a softwire's inner
/// packet too. Not those of a packet in an ICMP error.
void repair(std::span<uint8_t> packet);

/// Where the headers of an IP packet are.
struct Layout {
  int version = 0;         ///< of the innermost IP header
  bool softwire = false;   ///< an IPv4 packet in an IPv6 packet
  size_t ip = 0;           ///< the innermost IP header
  size_t l4 = 0, end = 0;  ///< transport header, and where the packet ends
  uint8_t protocol = 0;    ///< of the transport
  bool fragment = false;   ///< l4 is no transport header, or its payload is not all there

  size_t length() const { return end - l4; }
};
/// Nullopt: headers that are cut short or wrong.
std::optional<Layout> layout_of(std::span<const uint8_t> packet);

/// Big-endian; the caller knows that they are there.
inline uint16_t get16(std::span<const uint8_t> b, size_t at) {
  return static_cast<uint16_t>(b[at] << 8 | b[at + 1]);
}
inline void put16(std::span<uint8_t> b, size_t at, size_t v) {
  b[at] = static_cast<uint8_t>(v >> 8);
  b[at + 1] = static_cast<uint8_t>(v);
}
inline uint32_t get32(std::span<const uint8_t> b, size_t at) {
  return uint32_t{get16(b, at)} << 16 | get16(b, at + 2);
}
inline void put32(std::span<uint8_t> b, size_t at, uint32_t v) {
  put16(b, at, v >> 16);
  put16(b, at + 2, v & 0xffff);
}

/// Byte by byte: of vector::insert g++ 12 says with -flto that it reads past the end, which it does not.
inline void append(Bytes& to, std::span<const uint8_t> more) {
  for (uint8_t byte : more) to.push_back(byte);
}

/// RFC 1071, word by word: the sum, not its complement. `start`: bytes before, as a sum.
uint32_t internet_sum(std::span<const uint8_t> bytes, uint32_t start = 0);

/// Whether the transport checksum is right; nullopt when there is none to check (no transport, a fragment,
/// cut short).
std::optional<bool> transport_checksum_holds(std::span<const uint8_t> packet);

}  // namespace culvert::fuzz
