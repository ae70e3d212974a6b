/// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
///
/// Everything here works on *raw* sums: 16-bit words added as they lie in memory. Ones'-complement addition
/// commutes with a byte swap, so no byte order is ever changed on the packet path. A `Sum` is an unfolded
/// ones'-complement sum; adding and taking away header fields needs no folding until the end.
///
/// The two representations of zero: a checksum field of a header never computes to 0xFFFF unless all words
/// are zero, so `apply` yields RFC 1624 eqn. 3, and UDP's "0 means none" is left to the caller
/// (`udp_nonzero`).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "net/ipv6_words.h"

namespace culvert::net {

/// An unfolded ones'-complement sum of raw 16-bit words.
class Sum {
 public:
  constexpr Sum() = default;
  constexpr explicit Sum(uint64_t words) : words_(words) {}

  constexpr Sum& add(uint16_t raw) {
    words_ += raw;
    return *this;
  }
  constexpr Sum& add(Be16 w) { return add(w.raw()); }
  constexpr Sum& add(Ipv4Address a) {
    words_ += a.bits.raw();
    return *this;
  }
  Sum& add(const Ipv6Words& w) {
    words_ += (w.first & 0xffffffff) + (w.first >> 32) + (w.second & 0xffffffff) + (w.second >> 32);
    return *this;
  }
  Sum& add(const Ipv6Address& a) { return add(Ipv6Words(a)); }
  /// Adds the complement: what is taken away of a ones'-complement sum.
  constexpr Sum& subtract(uint16_t raw) { return add(static_cast<uint16_t>(~raw)); }
  constexpr Sum& subtract(Be16 w) { return subtract(w.raw()); }
  constexpr Sum& subtract(const Sum& o) { return subtract(o.folded()); }
  constexpr Sum& subtract(Ipv4Address a) {
    words_ += uint32_t(~a.bits.raw());
    return *this;
  }
  Sum& subtract(const Ipv6Address& a) { return subtract(Sum{}.add(a)); }
  constexpr Sum& add(const Sum& o) {
    words_ += o.folded();
    return *this;
  }

  /// Adds `size` bytes; an odd last byte counts as the first of a word, as RFC 1071 says.
  Sum& add_bytes(const void* data, size_t size) {
    const auto* p = static_cast<const uint8_t*>(data);
    uint64_t total = 0;
    for (; size >= 4; size -= 4, p += 4) {
      uint32_t w;
      std::memcpy(&w, p, 4);
      total += w;
    }
    if (size >= 2) {
      uint16_t w;
      std::memcpy(&w, p, 2);
      total += w;
      size -= 2;
      p += 2;
    }
    if (size == 1) total += Be16(static_cast<uint16_t>(*p << 8)).raw();
    words_ += Sum(total).folded();
    return *this;
  }

  /// Adds `kSize` bytes, a multiple of four that is known beforehand: a header without options.
  template <size_t kSize>
  Sum& add_words(const void* data) {
    static_assert(kSize % 4 == 0);
    const auto* p = static_cast<const uint8_t*>(data);
    for (size_t at = 0; at < kSize; at += 4) {
      uint32_t w;
      std::memcpy(&w, p + at, 4);
      words_ += w;
    }
    return *this;
  }

  /// The sum folded to 16 bits. 0 only if every word was zero.
  constexpr uint16_t folded() const {
    // Turning a word by half and adding it puts the sum of both halves, with its end-around carry, into the
    // upper one.
    const auto v = static_cast<uint32_t>((words_ + std::rotl(words_, 32)) >> 32);
    return static_cast<uint16_t>((v + std::rotl(v, 16)) >> 16);
  }
  /// The checksum field for these words: the complement of the sum.
  constexpr Be16 checksum() const { return Be16::from_raw(static_cast<uint16_t>(~folded())); }

 private:
  uint64_t words_ = 0;
};

/// RFC 1624 eqn. 3: the field after words whose difference (new minus old) is `delta` changed.
/// A difference of 0xFFFF (minus zero) or 0 leaves the field alone.
constexpr Be16 apply_delta(Be16 field, uint16_t delta) {
  uint32_t v = static_cast<uint16_t>(~field.raw()) + uint32_t{delta};
  v = (v & 0xffff) + (v >> 16);
  return Be16::from_raw(static_cast<uint16_t>(~v));
}

/// The complement of a delta: the way back.
constexpr uint16_t inverse_delta(uint16_t delta) { return static_cast<uint16_t>(~delta); }

/// RFC 768: a computed UDP checksum of zero is sent as all ones, since zero says "none".
constexpr Be16 udp_nonzero(Be16 field) { return field.raw() == 0 ? Be16::from_raw(0xffff) : field; }

}  // namespace culvert::net
