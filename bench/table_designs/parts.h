/// What the designs of the mapping table have in common: keys, the record, the ports of a block.
///
/// Three ways to keep mappings and find them from both sides, as small as they can be and still be measured,
/// without the rest of the engine. They are copies on purpose: the comparison stays what it was while the
/// engine's own table moves on.
///
/// A. two_indexes.h: one dense array of 64-byte records, and a tagged index (ten 16-bit tags and ten 32-bit
///    record numbers in one line) for each direction. Lines a lookup: bucket, record.
/// B. dense_slots.h: outbound the same index. Inbound no hash: (address, port) → block → slot, by a keyed
///    bijection of the block that keeps parity; slots are filled lowest first, eight records make a page, a
///    directory holds a 32-bit page number for each page of each block and protocol. Lines inbound:
///    directory, record.
/// C. in_place.h: the record lies where its outbound hash says, 14 to a bucket, and the bucket's tags lie
///    apart from the records, 32 bytes a bucket, so the place *is* the record number and the outbound index
///    is a third as large. Inbound as A. Records move, rarely, when their bucket is full.
///
/// tag_table.h is the index, indexed.h a lookup's way through it. All three choose ports
/// from a bitmap per block and protocol, and store the same record. A port block has 512 ports and belongs to
/// the subscriber of the same number. One thread; nothing here is shared.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/huge_array.h"
#include "net/hash.h"

namespace culvert::bench {

using dataplane::HugeArray;

[[noreturn]] inline void die(const char* what) {
  std::fprintf(stderr, "table_designs: %s\n", what);
  std::abort();
}

enum class Direction : uint8_t { out, in };
inline constexpr uint32_t kNone = ~uint32_t{0};
inline constexpr unsigned kBurst = 32;
inline constexpr unsigned kBlockSize = 512;
inline constexpr unsigned kBlocksOfAddress = 126;  ///< ports 1024–65535
inline constexpr unsigned kFirstPort = 1024;
inline constexpr unsigned kProtocols = 3;
inline constexpr uint32_t kFirstAddress = 0x14000000;  ///< 20.0.0.0, host order as everything here

struct InternalKey {
  uint64_t ipv6[2] = {};
  uint32_t ipv4 = 0;
  uint16_t port = 0;
  uint8_t protocol = 0;  ///< 0–2
  uint8_t context = 0;
  uint64_t hash(const net::HashKey& k) const {
    uint64_t w[3];
    std::memcpy(w, this, sizeof w);
    return net::hash(k, w[0], w[1], w[2]);
  }
  bool operator==(const InternalKey& o) const { return std::memcmp(this, &o, sizeof o) == 0; }
};
struct ExternalKey {
  uint32_t address = 0;
  uint16_t port = 0;
  uint8_t protocol = 0;
  uint8_t zero = 0;
  uint64_t hash(const net::HashKey& k) const { return net::hash(k, std::bit_cast<uint64_t>(*this)); }
  bool operator==(const ExternalKey& o) const {
    return std::bit_cast<uint64_t>(*this) == std::bit_cast<uint64_t>(o);
  }
  uint32_t block() const {
    return (address - kFirstAddress) * kBlocksOfAddress + (uint32_t{port} - kFirstPort) / kBlockSize;
  }
  unsigned offset() const { return (unsigned{port} - kFirstPort) % kBlockSize; }
  static ExternalKey of(uint32_t block, unsigned offset, uint8_t protocol) {
    return {kFirstAddress + block / kBlocksOfAddress,
            static_cast<uint16_t>(kFirstPort + block % kBlocksOfAddress * kBlockSize + offset), protocol, 0};
  }
};

/// A mapping's line. Its contents do not matter but for the keys; the sizes do.
struct alignas(64) Record {
  InternalKey internal;
  ExternalKey external;
  uint32_t expires;
  uint32_t next_free;
  uint32_t in_use;
  uint32_t other;
  uint64_t more[2];
};
static_assert(sizeof(InternalKey) == 24 && sizeof(ExternalKey) == 8 && sizeof(Record) == 64);

/// One mapping as the traffic knows it: what packets of either direction carry.
struct Draw {
  InternalKey internal;
  ExternalKey external;
};

/// Used ports (or slots) of every block, one line a block and protocol.
class Bitmaps {
 public:
  explicit Bitmaps(uint32_t blocks) : lines_(size_t{blocks} * kProtocols) {}
  void prefetch(uint32_t block, uint8_t protocol) const { __builtin_prefetch(&line(block, protocol), 1); }
  /// Takes a free bit of this parity: the lowest, or one that `luck` chooses.
  unsigned take_lowest(uint32_t block, uint8_t protocol, unsigned parity) {
    return take(block, protocol, parity, 0, 0);
  }
  unsigned take_any(uint32_t block, uint8_t protocol, unsigned parity, uint64_t luck) {
    return take(block, protocol, parity, luck >> 61, static_cast<unsigned>(luck >> 32) & 63);
  }
  void free(uint32_t block, uint8_t protocol, unsigned bit) {
    line(block, protocol).word[bit / 64] &= ~(uint64_t{1} << bit % 64);
  }
  bool taken(uint32_t block, uint8_t protocol, unsigned bit) const {
    return (line(block, protocol).word[bit / 64] >> bit % 64 & 1) != 0;
  }
  bool page_empty(uint32_t block, uint8_t protocol, unsigned page) const {
    return (line(block, protocol).word[page / 8] >> page % 8 * 8 & 0xff) == 0;
  }

 private:
  struct alignas(64) Line {
    uint64_t word[8];
  };
  Line& line(uint32_t block, uint8_t p) { return lines_[size_t{block} * kProtocols + p]; }
  const Line& line(uint32_t block, uint8_t p) const { return lines_[size_t{block} * kProtocols + p]; }
  unsigned take(uint32_t block, uint8_t protocol, unsigned parity, uint64_t first, unsigned turn) {
    Line& l = line(block, protocol);
    for (unsigned i = 0; i < 8; i++) {
      const auto w = static_cast<unsigned>((first + i) % 8);
      const uint64_t free = ~l.word[w] & (0x5555555555555555u << parity);
      if (free == 0) continue;
      const auto bit =
          (static_cast<unsigned>(std::countr_zero(std::rotr(free, static_cast<int>(turn)))) + turn) % 64;
      l.word[w] |= uint64_t{1} << bit;
      return w * 64 + bit;
    }
    die("a block has no port left of this parity");
  }
  HugeArray<Line> lines_;
};

/// Sizes of what every design has besides: block record, bitmaps, the subscriber and his place in an index.
inline double common_bytes(uint32_t blocks) { return blocks * (40.0 + 64 * kProtocols + 64 + 64 / 8.5); }

}  // namespace culvert::bench
