/// Tagged hash indexes: see src/dataplane/tagged_index.h, of which this is a copy with the choices that were
/// measured left open. Only what a bucket holds besides its tags differs between the designs.
#pragma once

#include <immintrin.h>

#include <type_traits>

#include "parts.h"

namespace culvert::bench {

/// Bits of the `ways` 16-bit tags that equal `tag`. All tags lie in the first 32 bytes of a line.
template <unsigned kWays>
uint32_t matches(const void* bucket, uint16_t tag) {
  const auto* p = static_cast<const __m128i*>(bucket);
  const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
  const __m128i low = _mm_cmpeq_epi16(_mm_load_si128(p), wanted);
  const __m128i high = _mm_cmpeq_epi16(_mm_load_si128(p + 1), wanted);
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high))) & ((1u << kWays) - 1);
}

/// What a burst knows between its stages.
struct Stages {
  uint64_t hash[kBurst];
  uint32_t id[kBurst];
  uint32_t pending;  ///< bit i: lookup i must look into its alternate bucket
};

/// Buckets of tags where an entry lives in its primary bucket or, that being full, in the alternate one that
/// primary and tag imply. `Bucket` says how many ways it has and which record an entry stands for.
template <typename Bucket>
class TagTable {
 public:
  static constexpr unsigned kWays = Bucket::kWays;
  struct Place {
    size_t bucket;
    unsigned way;
  };

  /// `load`: percent of the ways that `capacity` entries take.
  static size_t buckets_for(size_t capacity, unsigned load) {
    return capacity * 100 / (size_t{load} * kWays) + 2;
  }
  TagTable(size_t capacity, unsigned load) : buckets_(buckets_for(capacity, load)), count_(buckets_.size()) {}

  Bucket& operator[](size_t i) { return buckets_[i]; }
  size_t count() const { return count_; }
  size_t bytes() const { return count_ * sizeof(Bucket); }
  void prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[primary(hash)]); }

  /// The record of which `equal(record)` holds, or kNone. `lines`: grows by the lines looked at.
  template <typename Equal>
  uint32_t find(uint64_t hash, Equal&& equal, unsigned* lines = nullptr) const {
    const uint16_t tag = tag_of(hash);
    const size_t home = primary(hash);
    const uint32_t found = find_in(home, tag, equal, lines);
    if (found != kNone || !buckets_[home].sent_away(tag)) [[likely]]
      return found;
    return find_in(alternate(home, tag), tag, equal, lines);
  }

  /// First record in the primary bucket whose tag fits.
  uint32_t candidate(uint64_t hash) const { return candidate_in(primary(hash), tag_of(hash)); }
  /// The same for one of a burst. Where only the alternate bucket can hold the entry, that is fetched and the
  /// lookup pending. (Without the branch it was slower: alternate buckets are then fetched later.)
  void candidate(Stages& s, unsigned i) const {
    s.id[i] = candidate(s.hash[i]);
    if (s.id[i] == kNone) [[unlikely]] {
      const size_t home = primary(s.hash[i]);
      const uint16_t tag = tag_of(s.hash[i]);
      if (!buckets_[home].sent_away(tag)) return;
      s.pending |= 1u << i;
      __builtin_prefetch(&buckets_[alternate(home, tag)]);
    }
  }
  uint32_t alternate_candidate(uint64_t hash) const {
    const uint16_t tag = tag_of(hash);
    return candidate_in(alternate(primary(hash), tag), tag);
  }

  /// A place for a new entry, its tag set. `move(from, to)` must take along what else belongs to an entry.
  template <typename Move>
  Place claim(uint64_t hash, Move&& move) {
    const uint16_t tag = tag_of(hash);
    const size_t home = primary(hash), away = alternate(home, tag);
    int way = free_way(home);
    if constexpr (Bucket::kStrangersGoHome)
      if (way < 0 && send_home(home, move)) way = free_way(home);
    if (way < 0 && away != home && (way = free_way(away)) >= 0) return settle(home, away, way, tag);
    if (way < 0 && make_room(home, 2, move)) way = free_way(home);
    if (way < 0) die("no room in an index: the load is too high");
    return settle(home, home, way, tag);
  }

  /// Takes out the entry that stands for `record`.
  void release(uint64_t hash, uint32_t record) {
    const size_t home = primary(hash);
    const Place p = place_of(hash, record);
    if (p.bucket == kNone) die("release of an entry that is not in the index");
    buckets_[p.bucket].tag[p.way] = 0;
    if (p.bucket != home) buckets_[home].displaced.remove(tag_of(hash));
  }
  Place place_of(uint64_t hash, uint32_t record) const {
    const uint16_t tag = tag_of(hash);
    const size_t home = primary(hash);
    for (const size_t b : {home, alternate(home, tag)})
      for (uint32_t hits = matches<kWays>(&buckets_[b], tag); hits != 0; hits &= hits - 1) {
        const auto way = static_cast<unsigned>(std::countr_zero(hits));
        if (buckets_[b].value(b, way) == record) return {b, way};
      }
    return {kNone, 0};
  }

  /// Share of the entries that are not in their primary bucket.
  double displaced() const {
    size_t all = 0, away = 0;
    for (const Bucket& b : buckets_) {
      all += kWays - static_cast<unsigned>(std::popcount(matches<kWays>(&b, 0)));
      away += b.displaced.count();
    }
    return all == 0 ? 0 : static_cast<double>(away) / static_cast<double>(all);
  }

 private:
  size_t primary(uint64_t hash) const { return net::pick(hash, count_); }
  static uint16_t tag_of(uint64_t hash) {
    const auto t = static_cast<uint16_t>(hash);
    return t == 0 ? uint16_t{1} : t;
  }
  size_t alternate(size_t bucket, uint16_t tag) const {
    const size_t spread = net::pick(uint64_t{tag} * 0x9e3779b97f4a7c15u, count_);
    return spread >= bucket ? spread - bucket : spread + count_ - bucket;
  }
  uint32_t candidate_in(size_t b, uint16_t tag) const {
    const uint32_t hits = matches<kWays>(&buckets_[b], tag);
    return hits == 0 ? kNone : buckets_[b].value(b, static_cast<unsigned>(std::countr_zero(hits)));
  }
  template <typename Equal>
  uint32_t find_in(size_t b, uint16_t tag, Equal&& equal, unsigned* lines) const {
    if (lines != nullptr) ++*lines;
    for (uint32_t hits = matches<kWays>(&buckets_[b], tag); hits != 0; hits &= hits - 1) {
      const uint32_t record = buckets_[b].value(b, static_cast<unsigned>(std::countr_zero(hits)));
      if (lines != nullptr) ++*lines;
      if (equal(record)) [[likely]]
        return record;
    }
    return kNone;
  }
  int free_way(size_t b) const {
    const uint32_t free = matches<kWays>(&buckets_[b], 0);
    return free == 0 ? -1 : std::countr_zero(free);
  }
  Place settle(size_t home, size_t bucket, int way, uint16_t tag) {
    Bucket& b = buckets_[bucket];
    const auto bit = static_cast<uint16_t>(1u << way);
    b.tag[way] = tag;
    b.strangers = static_cast<uint16_t>(bucket == home ? b.strangers & ~bit : b.strangers | bit);
    if (bucket != home) buckets_[home].displaced.add(tag);
    return {bucket, static_cast<unsigned>(way)};
  }
  /// Moves one entry of a full bucket to its other bucket, having made room there in the same way if need be.
  template <typename Move>
  bool make_room(size_t bucket, unsigned depth, Move&& move) {
    for (unsigned deep = 1; deep <= depth; deep++)
      for (unsigned way = 0; way < kWays; way++) {
        const size_t other = alternate(bucket, buckets_[bucket].tag[way]);
        if (other == bucket) continue;
        if (free_way(other) < 0 && (deep < 2 || !make_room(other, deep - 1, move))) continue;
        shift({bucket, way}, {other, static_cast<unsigned>(free_way(other))}, move);
        return true;
      }
    return false;
  }
  /// Moves a stranger of a full bucket to its own bucket, if one of them has room there.
  template <typename Move>
  bool send_home(size_t bucket, Move&& move) {
    const Bucket& b = buckets_[bucket];
    for (uint32_t left = b.strangers; left != 0; left &= left - 1) {
      const auto way = static_cast<unsigned>(std::countr_zero(left));
      const size_t own = alternate(bucket, b.tag[way]);
      const int free = free_way(own);
      if (free < 0) continue;
      shift({bucket, way}, {own, static_cast<unsigned>(free)}, move);
      return true;
    }
    return false;
  }
  template <typename Move>
  void shift(Place from, Place to, Move&& move) {
    Bucket& b = buckets_[from.bucket];
    move(from, to);
    const bool was_stranger = (b.strangers >> from.way & 1) != 0;
    const uint16_t tag = b.tag[from.way];
    if (was_stranger) buckets_[to.bucket].displaced.remove(tag);  // it goes home
    b.tag[from.way] = 0;
    settle(was_stranger ? to.bucket : from.bucket, to.bucket, static_cast<int>(to.way), tag);
  }

  HugeArray<Bucket> buckets_;
  size_t count_;
};

/// How many entries of a bucket live elsewhere: whether a miss must look there, too.
struct Counter {
  uint16_t n;
  bool any(uint16_t) const { return n != 0; }
  void add(uint16_t) { n++; }
  void remove(uint16_t) { n--; }
  unsigned count() const { return n; }
};
/// The same in four counters of four bits, one for each quarter of the tags. One that is full stays so.
struct QuarterCounters {
  uint16_t n;
  static unsigned shift(uint16_t tag) { return tag >> 14 << 2; }
  bool any(uint16_t tag) const { return (n >> shift(tag) & 15) != 0; }
  void add(uint16_t tag) {
    if ((n >> shift(tag) & 15) != 15) n = static_cast<uint16_t>(n + (1u << shift(tag)));
  }
  void remove(uint16_t tag) {
    if ((n >> shift(tag) & 15) != 15) n = static_cast<uint16_t>(n - (1u << shift(tag)));
  }
  unsigned count() const { return (n & 15) + (n >> 4 & 15) + (n >> 8 & 15) + (n >> 12); }
};

/// A line of tags and record numbers. `kTuned`: with quarter counters, and newcomers send strangers home.
template <bool kTuned>
struct alignas(64) IndexBucket {
  static constexpr unsigned kWays = 10;
  static constexpr bool kStrangersGoHome = kTuned;
  uint16_t tag[kWays];  ///< 0: free
  uint16_t strangers;   ///< bit i: entry i, if there is one, is in its alternate bucket
  std::conditional_t<kTuned, QuarterCounters, Counter> displaced;  ///< entries whose primary this is
  uint32_t record[kWays];
  uint32_t value(size_t, unsigned way) const { return record[way]; }
  bool sent_away(uint16_t t) const { return displaced.any(t); }
};

template <bool kTuned = false>
struct Index : TagTable<IndexBucket<kTuned>> {
  using Base = TagTable<IndexBucket<kTuned>>;
  using Place = typename Base::Place;
  using Base::Base;
  static_assert(sizeof(IndexBucket<kTuned>) == 64);
  void insert(uint64_t hash, uint32_t record) {
    const Place p = this->claim(hash, [&](Place from, Place to) {
      (*this)[to.bucket].record[to.way] = (*this)[from.bucket].record[from.way];
    });
    (*this)[p.bucket].record[p.way] = record;
  }
  void repoint(uint64_t hash, uint32_t from, uint32_t to) {
    const Place p = this->place_of(hash, from);
    if (p.bucket == kNone) die("an entry to repoint is not in the index");
    (*this)[p.bucket].record[p.way] = to;
  }
};

/// 32 bytes of tags; entry `way` of bucket `b` is record b × kWays + way.
struct alignas(32) TagsOnlyBucket {
  static constexpr unsigned kWays = 14;
  static constexpr bool kStrangersGoHome = false;
  uint16_t tag[kWays];
  uint16_t strangers;
  Counter displaced;
  bool sent_away(uint16_t t) const { return displaced.any(t); }
  static uint32_t value(size_t b, unsigned way) { return static_cast<uint32_t>(b * kWays + way); }
};
static_assert(sizeof(TagsOnlyBucket) == 32);

}  // namespace culvert::bench
