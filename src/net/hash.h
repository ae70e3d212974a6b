/// The keyed hash of every table. A subscriber chooses much of his key (source port, interface identifier),
/// so the hash must not let him choose the bucket: two rounds of the 64×64→128 multiply fold with secret
/// words drawn at start. (CRC32C is linear: colliding keys for any seed can be written down.)
#pragma once

#include <cstdint>
#include <cstring>

#include "net/uint128.h"

namespace culvert::net {

/// Secret words of a table. Replay derives them from --seed, so that its runs are equal.
struct HashKey {
  uint64_t word[4] = {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0x8cb92ba72f3d8dd7, 0xa24baed4963ee407};
};

constexpr uint64_t fold_multiply(uint64_t a, uint64_t b) {
  auto p = static_cast<Uint128>(a) * b;
  return static_cast<uint64_t>(p) ^ static_cast<uint64_t>(p >> 64);
}

constexpr uint64_t hash(const HashKey& k, uint64_t a) {
  return fold_multiply(fold_multiply(a ^ k.word[0], k.word[1] | 1), k.word[2] | 1);
}
constexpr uint64_t hash(const HashKey& k, uint64_t a, uint64_t b) {
  return fold_multiply(fold_multiply(a ^ k.word[0], b ^ k.word[1]) ^ k.word[3], k.word[2] | 1);
}
constexpr uint64_t hash(const HashKey& k, uint64_t a, uint64_t b, uint64_t c) {
  return fold_multiply(fold_multiply(a ^ k.word[0], b ^ k.word[1]) ^ c ^ k.word[3], k.word[2] | 1);
}

/// Maps a hash onto [0, n) without a division.
constexpr uint64_t pick(uint64_t h, uint64_t n) {
  return static_cast<uint64_t>((static_cast<Uint128>(h) * n) >> 64);
}

/// xorshift64*: the random choices of a worker (ports, parity of luck). Not for secrets.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 | 1) {
    next();
    next();
  }
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d;
  }
  /// Uniform enough in [0, n).
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(pick(next(), n)); }

 private:
  uint64_t state_;
};

}  // namespace culvert::net
