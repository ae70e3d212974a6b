/// The index of a record table: hash → record number, one cache line a bucket.
///
/// Theory of operation. A bucket is a cache line with ten 16-bit tags and ten 32-bit record numbers. An entry
/// lives in the primary bucket of its hash, or, when that is full, in an alternate one that follows from
/// primary and tag alone: `alternate = (spread(tag) - bucket) mod n`, which leads back when applied twice, so
/// an entry can be moved without its key. Each bucket counts how many entries it sent to their alternates;
/// while that is zero (nearly always) a miss costs one line. A lookup compares all ten tags at once; the
/// record holds the full key, so a matching tag is verified there: two cache lines for a hit. An entry goes
/// to its alternate only when no stranger in its primary bucket can go home instead, which keeps nine of ten
/// at 85 % load where they are looked for first.
///
/// The caller computes hashes and compares keys; the index knows neither. Only the owning worker touches it.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__SSE2__) && !defined(CULVERT_SCALAR)
#define CULVERT_TAGS_SSE2 1
#include <immintrin.h>
#endif

#include "dataplane/huge_array.h"
#include "net/hash.h"

namespace culvert::dataplane {

class TaggedIndex {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr unsigned kWays = 10;

  /// Room for `capacity` entries at 85 % load, where displacing a neighbour or two makes room.
  explicit TaggedIndex(size_t capacity) : buckets_(buckets_for(capacity)), count_(buckets_.size()) {}
  /// What an index of this capacity takes, in bytes.
  static constexpr size_t bytes_for(size_t capacity) { return buckets_for(capacity) * sizeof(Bucket); }

  void prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[primary(hash)]); }

  /// Neither a record nor kNone: ask alternate_candidate().
  static constexpr uint32_t kElsewhere = kNone - 1;

  /// The first record in the primary bucket whose tag fits: what to prefetch next. May be the wrong one, when
  /// another has the same tag. kNone: there is none; kElsewhere: it may be in the alternate bucket, which is
  /// being prefetched.
  uint32_t candidate(uint64_t hash) const {
    const size_t home = primary(hash);
    const Bucket& b = buckets_[home];
    const uint16_t tag = tag_of(hash);
    const uint32_t hits = matches(b, tag);
    if (hits != 0) [[likely]]
      return b.record[std::countr_zero(hits)];
    if (b.displaced == 0) return kNone;
    __builtin_prefetch(&buckets_[alternate(home, tag)]);
    return kElsewhere;
  }
  /// The same in the alternate bucket: a record or kNone.
  uint32_t alternate_candidate(uint64_t hash) const {
    const uint16_t tag = tag_of(hash);
    const Bucket& b = buckets_[alternate(primary(hash), tag)];
    const uint32_t hits = matches(b, tag);
    return hits == 0 ? kNone : b.record[std::countr_zero(hits)];
  }

  /// The record for which `equal(record)` holds, or kNone.
  template <typename Equal>
  uint32_t find(uint64_t hash, Equal&& equal) const {
    uint16_t tag = tag_of(hash);
    size_t home = primary(hash);
    uint32_t found = find_in(buckets_[home], tag, equal);
    if (found != kNone || buckets_[home].displaced == 0) [[likely]]
      return found;
    return find_in(buckets_[alternate(home, tag)], tag, equal);
  }

  /// Adds a record that is not in the index yet. False when there is no room (the index is then unchanged).
  bool insert(uint64_t hash, uint32_t record);
  /// Takes out a record that insert() put in under this hash.
  void erase(uint64_t hash, uint32_t record);

  size_t bytes() const { return buckets_.size() * sizeof(Bucket); }

  /// How tags are compared. CULVERT_SCALAR makes the twin of the packet path that test/paths compares with.
#ifdef CULVERT_TAGS_SSE2
  static constexpr bool kVector = true;
#else
  static constexpr bool kVector = false;
#endif
  /// The tags equal to `tag`, a bit each; the scalar twin is what other CPUs run and what the tests compare
  /// with.
  static uint32_t matches_scalar(const uint16_t* tags, uint16_t tag) {
    uint32_t hits = 0;
    for (unsigned i = 0; i < kWays; i++) hits |= uint32_t{tags[i] == tag} << i;
    return hits;
  }

 private:
  friend struct TaggedIndexTest;
  struct alignas(64) Bucket {
    uint16_t tag[kWays];  ///< 0: free
    uint16_t strangers;   ///< bit i: entry i is in its alternate bucket
    uint16_t displaced;   ///< entries whose primary this is, living elsewhere
    uint32_t record[kWays];
  };
  static_assert(sizeof(Bucket) == 64);

  static constexpr size_t buckets_for(size_t capacity) { return capacity * 100 / (85 * kWays) + 2; }

  static uint32_t matches(const Bucket& b, uint16_t tag) {
#ifdef CULVERT_TAGS_SSE2
    const auto* p = reinterpret_cast<const __m128i*>(&b);
    __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
    __m128i low = _mm_cmpeq_epi16(_mm_load_si128(p), wanted);
    __m128i high = _mm_cmpeq_epi16(_mm_load_si128(p + 1), wanted);
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high))) & ((1u << kWays) - 1);
#else
    return matches_scalar(b.tag, tag);
#endif
  }

  template <typename Equal>
  static uint32_t find_in(const Bucket& b, uint16_t tag, Equal&& equal) {
    for (uint32_t hits = matches(b, tag); hits != 0; hits &= hits - 1) {
      uint32_t record = b.record[std::countr_zero(hits)];
      if (equal(record)) [[likely]]
        return record;
    }
    return kNone;
  }

  size_t primary(uint64_t hash) const { return net::pick(hash, count_); }
  static uint16_t tag_of(uint64_t hash) {
    auto t = static_cast<uint16_t>(hash);
    return t == 0 ? uint16_t{1} : t;
  }
  size_t alternate(size_t bucket, uint16_t tag) const {
    size_t spread = net::pick(uint64_t{tag} * 0x9e3779b97f4a7c15u, count_);
    return spread >= bucket ? spread - bucket : spread + count_ - bucket;
  }
  static int free_way(const Bucket& b) {
    uint32_t free = matches(b, 0);
    return free == 0 ? -1 : std::countr_zero(free);
  }
  static void put(Bucket& b, int way, uint16_t tag, uint32_t record, bool stranger);
  void move(size_t bucket, unsigned way, size_t other, int free);
  /// Moves an entry of a full bucket that is a stranger there to its home, if one of these homes has room.
  bool send_home(size_t bucket);
  /// Moves one entry of a full bucket to its other bucket, if any of them has room there, or can be given
  /// room in the same way `further` times over. Only a bucket's own entries leave it, so it never fills up
  /// again.
  bool make_room(size_t bucket, unsigned further);

  HugeArray<Bucket> buckets_;
  size_t count_;
};

}  // namespace culvert::dataplane
