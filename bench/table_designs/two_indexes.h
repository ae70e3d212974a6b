/// A. Two tagged indexes over one dense array of records. Measured in three ways: *plain*, where a lookup
/// whose primary bucket has no fitting tag finds the alternate bucket only when it finishes, unprefetched;
/// *staged*, where such lookups get stages of their own; *tuned*, staged too, with the index that keeps fewer
/// entries displaced and knows better when a miss need not look further (IndexBucket<true>).
#pragma once

#include "tag_table.h"

namespace culvert::bench {

template <bool kTuned>
class TwoIndexes {
 public:
  /// Can look up without stages of its own for displaced entries: `kStaged` false.
  static constexpr bool kHasPlain = true;
  TwoIndexes(uint32_t capacity, uint32_t blocks, unsigned load, const net::HashKey& key)
      : key_(key),
        records_(capacity),
        out_(capacity, load),
        in_(capacity, load),
        ports_(blocks),
        blocks_(blocks) {}

  template <Direction D>
  void start(const Draw& d, Stages& s, unsigned i) const {
    s.hash[i] = D == Direction::out ? d.internal.hash(key_) : d.external.hash(key_);
    index<D>().prefetch(s.hash[i]);
  }
  template <Direction D, bool kStaged>
  void middle(const Draw&, Stages& s, unsigned i) const {
    if constexpr (kStaged)
      index<D>().candidate(s, i);
    else
      s.id[i] = index<D>().candidate(s.hash[i]);
    if (s.id[i] != kNone) [[likely]]
      __builtin_prefetch(&records_[s.id[i]], 1);
  }
  template <Direction D>
  void rest(Stages& s) const {
    for (uint32_t p = s.pending; p != 0; p &= p - 1) {
      const int i = std::countr_zero(p);
      s.id[i] = index<D>().alternate_candidate(s.hash[i]);
      if (s.id[i] != kNone) [[likely]]
        __builtin_prefetch(&records_[s.id[i]], 1);
    }
  }
  template <Direction D, bool kStaged>
  uint32_t finish(const Draw& d, const Stages& s, unsigned i) const {
    if constexpr (kStaged) {
      if (s.id[i] == kNone || equal<D>(s.id[i], d)) return s.id[i];
      return search<D>(d, s.hash[i]);
    }
    return index<D>().find(s.hash[i], [&](uint32_t id) { return equal<D>(id, d); });
  }
  template <Direction D>
  unsigned lines(const Draw& d) const {
    unsigned n = 0;
    index<D>().find(
        D == Direction::out ? d.internal.hash(key_) : d.external.hash(key_),
        [&](uint32_t id) { return equal<D>(id, d); }, &n);
    return n;
  }

  void prefetch_erase(uint32_t id) const {
    const ExternalKey& e = records_[id].external;
    in_.prefetch(e.hash(key_));
    ports_.prefetch(e.block(), e.protocol);
  }
  void erase(uint32_t id) {
    Record& r = records_[id];
    out_.erase(r.internal.hash(key_), id);
    in_.erase(r.external.hash(key_), id);
    ports_.free(r.external.block(), r.external.protocol, r.external.offset());
    r.in_use = 0;
    r.next_free = free_;
    free_ = id;
  }
  void prefetch_insert(uint32_t block, uint8_t protocol) const { ports_.prefetch(block, protocol); }
  ExternalKey choose(uint32_t block, uint8_t protocol, unsigned parity, uint64_t luck) {
    const ExternalKey e = ExternalKey::of(block, ports_.take_any(block, protocol, parity, luck), protocol);
    in_.prefetch(e.hash(key_));
    return e;
  }
  void insert(const Draw& d) {
    const bool recycled = free_ != kNone;
    if (!recycled && fresh_ == records_.size()) die("no record left");
    const uint32_t id = recycled ? free_ : fresh_++;
    Record& r = records_[id];
    if (recycled) free_ = r.next_free;
    out_.insert(d.internal.hash(key_), id);
    in_.insert(d.external.hash(key_), id);
    r = Record{d.internal, d.external, 0, 0, 1, 0, {}};
  }

  Record& operator[](uint32_t id) { return records_[id]; }
  bool taken(const ExternalKey& e) const { return ports_.taken(e.block(), e.protocol, e.offset()); }
  double bytes() const {
    return static_cast<double>(records_.size() * sizeof(Record) + out_.bytes() + in_.bytes()) +
           common_bytes(blocks_);
  }
  double displaced() const { return out_.displaced(); }

 private:
  /// Where the first candidate was another's: rare, so apart from the loops.
  template <Direction D>
  [[gnu::noinline, gnu::cold]] uint32_t search(const Draw& d, uint64_t hash) const {
    return index<D>().find(hash, [&](uint32_t id) { return equal<D>(id, d); });
  }
  template <Direction D>
  const Index<kTuned>& index() const {
    return D == Direction::out ? out_ : in_;
  }
  template <Direction D>
  bool equal(uint32_t id, const Draw& d) const {
    if constexpr (D == Direction::out)
      return records_[id].internal == d.internal;
    else
      return records_[id].external == d.external;
  }
  net::HashKey key_;
  HugeArray<Record> records_;
  Index<kTuned> out_, in_;
  Bitmaps ports_;
  uint32_t blocks_, fresh_ = 0, free_ = kNone;
};

}  // namespace culvert::bench
