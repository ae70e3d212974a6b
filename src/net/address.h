/// Addresses and prefixes: plain values in network byte order, with their text forms.
/// Parsing accepts exactly what inet_pton(3) accepts (no leading zeros, no short forms); prefixes must have
/// all host bits zero, because "10.0.0.1/24" in a configuration is more often a mistake than an intention.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "net/byte_order.h"

namespace culvert::net {

/// An IPv4 address (4 bytes, network order).
struct Ipv4Address {
  Be32 bits;

  constexpr Ipv4Address() = default;
  constexpr explicit Ipv4Address(uint32_t host) : bits(host) {}
  /// The address as a host-order integer: 192.0.2.1 is 0xC0000201.
  constexpr uint32_t value() const { return bits.value(); }
  static std::optional<Ipv4Address> parse(std::string_view text);
  std::string text() const;
  constexpr bool operator==(const Ipv4Address&) const = default;
  constexpr auto operator<=>(const Ipv4Address&) const = default;
};

/// Addresses that must not be on a wire (RFC 6890: source and destination "false"): 0/8, 127/8, 224/3.
constexpr bool is_martian(Ipv4Address a) {
  const uint32_t first = a.value() >> 24;
  return first == 0 || first == 127 || first >= 224;
}
/// Whether an address is globally reachable (RFC 6890), the documentation prefixes aside, which labs use.
constexpr bool is_global(Ipv4Address a) {
  const uint32_t v = a.value();
  // Most first octets have no such prefix.
  constexpr uint64_t kSome[] = {1ull << 0 | 1ull << 10, 1ull << (100 - 64) | 1ull << (127 - 64),
                                1ull << (169 - 128) | 1ull << (172 - 128), ~0ull};
  if ((kSome[v >> 30] >> (v >> 24 & 63) & 1) == 0) return true;
  return !is_martian(a) && v >> 24 != 10 && v >> 20 != 0xac1 && v >> 16 != 0xc0a8 && v >> 16 != 0xa9fe &&
         v >> 8 != 0xc00000 && v >> 22 != 0x191 && v >> 17 != 0x6309;  // 100.64/10, 198.18/15
}

/// An IPv6 address (16 bytes, network order). Alignment 1: it lies in packets where it will.
struct Ipv6Address {
  std::array<uint8_t, 16> bytes{};

  static std::optional<Ipv6Address> parse(std::string_view text);
  std::string text() const;  ///< RFC 5952 form.
  /// The address with all bits past the first `length` (0–128) cleared.
  Ipv6Address masked(unsigned length) const;
  /// Host-order halves, for arithmetic on prefixes.
  uint64_t high() const;
  uint64_t low() const;
  static Ipv6Address from_halves(uint64_t high, uint64_t low);
  constexpr bool operator==(const Ipv6Address&) const = default;
  constexpr auto operator<=>(const Ipv6Address&) const = default;
};

/// An IPv4 prefix; host bits are zero by construction of `parse`.
struct Ipv4Prefix {
  Ipv4Address address;
  uint8_t length = 32;  ///< 0–32

  static std::optional<Ipv4Prefix> parse(std::string_view text);
  std::string text() const;
  bool contains(Ipv4Address a) const;
  bool overlaps(const Ipv4Prefix& o) const;
  uint64_t size() const { return uint64_t{1} << (32 - length); }
  uint32_t first() const { return address.value(); }
  uint32_t last() const { return static_cast<uint32_t>(first() + (size() - 1)); }
  constexpr bool operator==(const Ipv4Prefix&) const = default;
};

/// An IPv6 prefix; host bits are zero by construction of `parse`.
struct Ipv6Prefix {
  Ipv6Address address;
  uint8_t length = 128;  ///< 0–128

  static std::optional<Ipv6Prefix> parse(std::string_view text);
  std::string text() const;
  bool contains(const Ipv6Address& a) const { return a.masked(length) == address; }
  bool overlaps(const Ipv6Prefix& o) const;
  constexpr bool operator==(const Ipv6Prefix&) const = default;
};

/// An Ethernet address.
struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  static std::optional<MacAddress> parse(std::string_view text);  ///< Six hex pairs with ':' or '-'.
  std::string text() const;
  bool is_multicast() const { return (bytes[0] & 1) != 0; }
  /// The six bytes in memory order in the low 48 bits.
  uint64_t raw() const { return first() | uint64_t{last()} << 32; }
  bool operator==(const MacAddress& o) const { return ((first() ^ o.first()) | (last() ^ o.last())) == 0; }

 private:
  uint32_t first() const {
    uint32_t v;
    std::memcpy(&v, bytes.data(), sizeof v);
    return v;
  }
  uint32_t last() const {
    uint16_t v;
    std::memcpy(&v, bytes.data() + sizeof(uint32_t), sizeof v);
    return v;
  }
};

/// Parses `ADDRESS/LENGTH` of an interface: unlike a prefix, host bits are the point.
template <typename Address>
struct InterfaceAddress {
  Address address;
  uint8_t prefix_length = 0;
  constexpr bool operator==(const InterfaceAddress&) const = default;
};
std::optional<InterfaceAddress<Ipv4Address>> parse_interface_ipv4(std::string_view text);
std::optional<InterfaceAddress<Ipv6Address>> parse_interface_ipv6(std::string_view text);

static_assert(sizeof(Ipv4Address) == 4 && sizeof(Ipv6Address) == 16 && alignof(Ipv6Address) == 1);
static_assert(sizeof(MacAddress) == 6);

}  // namespace culvert::net
