/// RSS by subscriber: the Toeplitz key with which a NIC sends all packets of a subscriber to one queue and
/// neighbouring subscribers to different ones, and what that NIC will do with an address.
///
/// Theory of operation. A NIC computes a 32-bit Toeplitz hash over the fields of a packet, source address
/// first, and looks its low r bits up in an indirection table (RETA) of 2^r queues. Bit i of the input, when
/// set, adds (xor) the 32 key bits that begin at bit i; only the last r of them, key bits i+32-r … i+31,
/// reach the table. Two things follow for subscribers with a mask of m bits:
///
///   - If the key is zero from bit m+32-r on, no input bit behind the mask reaches the table: not the host
///     bits, not the destination, not the ports. (For r = 7, that is "zero after bit m+24". Bits behind the
///     mask still change the upper bits of the hash, which nobody looks at.) A subscriber is on one queue.
///   - The key bits before the cut are the impulse response of a linear feedback shift register of degree r
///     with a primitive polynomial, written backwards from the cut. Then the table's entry is, up to a fixed
///     renumbering, *the subscriber's prefix, as a polynomial over GF(2), modulo a primitive polynomial*,
///     like a CRC of r bits. Any r consecutive bits of the prefix therefore choose among all 2^r entries: of
///     2^r subscribers in a row (aligned) each has an entry of his own, and so has every 2^s-th of them,
///     should prefixes be given out that way.
///
/// A NIC has one key for both address families. Where both have subscribers, the two stretches are laid over
/// each other; the family whose subscribers would then not be told apart is left to the rings (`steers_…()`).
///
/// Byte order: the key is what the NIC gets (first byte first). Immutable; any thread may ask.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace culvert::dataplane {

/// The shortest subscriber-mask of each family; nullopt: nobody subscribes with such an address.
struct SubscriberMasks {
  std::optional<uint8_t> ipv4, ipv6;
  bool any() const { return ipv4 || ipv6; }
  bool operator==(const SubscriberMasks&) const = default;
};
SubscriberMasks shortest_masks(const config::Config& config);

class SubscriberRss {
 public:
  static constexpr unsigned kMostRetaBits = 12;  ///< as many entries as Steering has buckets

  /// `reta_bits`: the table has 2^reta_bits entries, 1–12. `source_only`: the NIC hashes nothing but source
  /// addresses, so that IPv4's key need not be cut for IPv6's sake.
  SubscriberRss(const SubscriberMasks& masks, unsigned reta_bits, bool source_only);

  /// The key, zero-padded to what the device wants.
  std::vector<uint8_t> key(size_t bytes) const;
  /// Bytes of key that are not padding.
  size_t key_bytes() const;
  unsigned reta_bits() const { return reta_bits_; }

  /// Whether the NIC tells subscribers of this family apart by this key.
  bool steers_ipv4() const { return steered_.ipv4.has_value(); }
  bool steers_ipv6() const { return steered_.ipv6.has_value(); }
  /// The families that are steered, and the mask that each was cut for.
  const SubscriberMasks& steered() const { return steered_; }
  /// Whether subscribers of the steered families stay on one queue each under these masks: none is shorter
  /// than what the key was cut for.
  bool keeps(const SubscriberMasks& masks) const;

  /// The entry of the table for this source (IPv4 as ::ffff:a.b.c.d), or nullopt where the NIC does not tell.
  std::optional<uint32_t> entry(const net::Ipv6Address& source) const;

  /// For people: "IPv6 sources by /56 and IPv4 sources by /32".
  std::string text() const;

 private:
  static constexpr unsigned kKeyBits = 512;

  bool lay(const SubscriberMasks& masks, bool source_only);

  unsigned reta_bits_;
  SubscriberMasks steered_;
  std::array<bool, kKeyBits> bits_{};
  /// What each value of each byte of the source adds to the entry.
  std::array<std::array<uint16_t, 256>, 16> adds_{};
};

}  // namespace culvert::dataplane
