/// RFC 6052: IPv4 addresses inside IPv6 prefixes of 32, 40, 48, 56, 64 or 96 bits. Bits 64–71 are the "u"
/// octet and always zero; the IPv4 address flows around it.
#pragma once

#include <bit>
#include <cstring>

#include "net/ipv6_words.h"

namespace culvert::net {

/// Whether RFC 6052 §2.2 knows this prefix length.
constexpr bool is_rfc6052_length(unsigned length) {
  return length == 32 || length == 40 || length == 48 || length == 56 || length == 64 || length == 96;
}

/// RFC 6052 §2.1.
inline constexpr Ipv6Prefix kWellKnownPrefix{{{0x00, 0x64, 0xff, 0x9b}}, 96};

/// The IPv4-embedded IPv6 address. `length` is one of RFC 6052's; the prefix's own bits past it are ignored
/// but must be zero, and the suffix is zero (RFC 6052 §2.2).
inline Ipv6Address embed(const Ipv6Address& prefix, unsigned length, Ipv4Address v4) {
  Ipv6Address a = prefix;
  uint8_t b[4];
  std::memcpy(b, &v4, 4);
  unsigned at = length / 8;
  for (uint8_t byte : b) {
    if (at == 8) at++;
    a.bytes[at++] = byte;
  }
  return a;
}

/// The same as words, for the packet path.
inline Ipv6Words embed_words(const Ipv6Address& prefix, unsigned length, Ipv4Address v4) {
  if (length != 96) [[unlikely]]
    return Ipv6Words(embed(prefix, length, v4));
  static_assert(std::endian::native == std::endian::little);
  Ipv6Words w(prefix);
  w.second |= uint64_t{v4.bits.raw()} << 32;
  return w;
}

/// The IPv4 address embedded in an address of that prefix length. The suffix is ignored (RFC 6052 §2.2).
inline Ipv4Address extract(const Ipv6Address& a, unsigned length) {
  if (length == 96) [[likely]] {
    Ipv4Address v4;
    std::memcpy(&v4, &a.bytes[12], 4);
    return v4;
  }
  uint8_t b[4];
  unsigned at = length / 8;
  for (uint8_t& byte : b) {
    if (at == 8) at++;
    byte = a.bytes[at++];
  }
  Ipv4Address v4;
  std::memcpy(&v4, b, 4);
  return v4;
}

}  // namespace culvert::net
