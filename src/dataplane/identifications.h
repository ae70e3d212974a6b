/// Identifications of the IPv4 packets that leave (RFC 7857 §10, RFC 6864 §5.3.1). Behind one address there
/// are many hosts, each with numbers of its own; the receiver who joins fragments sees but one source. So a
/// packet that may be cut on its way, or already was, gets a number of ours: the same comes again for two
/// addresses only after all others. What must not be cut and came whole (RFC 6864's atomic
/// datagrams) keeps the number it has.
///
/// Counters are few, and chosen by a keyed hash of both addresses: whoever shares one with others sees gaps,
/// no repetition. Addresses may be shared by workers, so each has numbers of its own: those that are its
/// place, modulo the number of workers rounded up to a power of two. They are counted as they lie in the
/// packet, whatever the machine's byte order: receivers only compare them.
///
/// Belongs to one worker.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "net/address.h"
#include "net/hash.h"

namespace culvert::dataplane {

class Identifications {
 public:
  /// `self` of `workers`, which are 65,536 at most. The numbers begin where `random` says.
  Identifications(unsigned self, unsigned workers, net::Random& random)
      : key_(static_cast<uint32_t>(random.next()) | 1),
        stride_(static_cast<uint16_t>(std::bit_ceil(workers))) {
    for (uint16_t& next : next_) next = static_cast<uint16_t>(random.next() * stride_ + self);
  }

  net::Be16 next(net::Ipv4Address source, net::Ipv4Address destination) {
    uint16_t& next = next_[(source.bits.raw() ^ destination.bits.raw()) * key_ >> (32 - kBits)];
    const net::Be16 id = net::Be16::from_raw(next);
    next = static_cast<uint16_t>(next + stride_);
    return id;
  }

 private:
  static constexpr unsigned kBits = 11;  ///< 4 KiB: a small part of the nearest cache

  const uint32_t key_;  ///< odd: the upper bits of a product are a hash
  const uint16_t stride_;
  std::array<uint16_t, 1u << kBits> next_;
};

}  // namespace culvert::dataplane
