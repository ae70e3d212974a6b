/// Big-endian integers as types of their own: what stands in a packet header cannot be mixed up with a host
/// integer, so that a forgotten byte swap does not compile.
#pragma once

#include <bit>
#include <compare>
#include <concepts>
#include <cstdint>

namespace culvert::net {

/// Byte-swaps between host order and network order (its own inverse).
constexpr uint16_t swap_if_little(uint16_t v) {
  return std::endian::native == std::endian::little ? __builtin_bswap16(v) : v;
}
constexpr uint32_t swap_if_little(uint32_t v) {
  return std::endian::native == std::endian::little ? __builtin_bswap32(v) : v;
}
constexpr uint64_t swap_if_little(uint64_t v) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(v) : v;
}

/// An unsigned integer stored in network byte order, trivially copyable and of the size of `T`.
/// Alignment 1, so that headers made of it need no packing and may lie anywhere.
/// `raw()` is the stored bit pattern, which is what checksums and hashes work on.
template <std::unsigned_integral T>
class [[gnu::packed]] BigEndian {
 public:
  constexpr BigEndian() = default;
  constexpr explicit BigEndian(T host) : raw_(swap_if_little(host)) {}
  static constexpr BigEndian from_raw(T raw) {
    BigEndian b;
    b.raw_ = raw;
    return b;
  }
  /// The value in host order.
  constexpr T value() const { return swap_if_little(raw_); }
  /// The bytes as they stand in the packet.
  constexpr T raw() const { return raw_; }
  constexpr bool operator==(const BigEndian&) const = default;
  constexpr auto operator<=>(const BigEndian& o) const { return value() <=> o.value(); }

 private:
  T raw_ = 0;
};

using Be16 = BigEndian<uint16_t>;
using Be32 = BigEndian<uint32_t>;
static_assert(sizeof(Be16) == 2 && sizeof(Be32) == 4 && alignof(Be32) == 1);

}  // namespace culvert::net
