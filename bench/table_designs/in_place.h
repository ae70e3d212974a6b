/// C. Records in the outbound table itself: the tags' place is the record's number. A record moves when its
/// bucket is full and an insertion makes room, so nothing may keep a record number but the inbound index.
#pragma once

#include "tag_table.h"

namespace culvert::bench {

class InPlace {
 public:
  static constexpr bool kHasPlain = false;
  InPlace(uint32_t capacity, uint32_t blocks, unsigned load, const net::HashKey& key)
      : key_(key),
        out_(capacity, kLoad),
        records_(out_.count() * TagsOnlyBucket::kWays),
        in_(capacity, load),
        ports_(blocks),
        blocks_(blocks) {}

  template <Direction D>
  void start(const Draw& d, Stages& s, unsigned i) const {
    s.hash[i] = D == Direction::out ? d.internal.hash(key_) : d.external.hash(key_);
    index<D>().prefetch(s.hash[i]);
  }
  template <Direction D, bool>
  void middle(const Draw&, Stages& s, unsigned i) const {
    index<D>().candidate(s, i);
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
  template <Direction D, bool>
  uint32_t finish(const Draw& d, const Stages& s, unsigned i) const {
    if (s.id[i] == kNone || equal<D>(s.id[i], d)) return s.id[i];
    return search<D>(d, s.hash[i]);
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
    out_.release(r.internal.hash(key_), id);
    in_.erase(r.external.hash(key_), id);
    ports_.free(r.external.block(), r.external.protocol, r.external.offset());
    r.in_use = 0;
  }
  void prefetch_insert(uint32_t block, uint8_t protocol) const { ports_.prefetch(block, protocol); }
  ExternalKey choose(uint32_t block, uint8_t protocol, unsigned parity, uint64_t luck) {
    const ExternalKey e = ExternalKey::of(block, ports_.take_any(block, protocol, parity, luck), protocol);
    in_.prefetch(e.hash(key_));
    return e;
  }
  void insert(const Draw& d) {
    using Place = TagTable<TagsOnlyBucket>::Place;
    const Place p = out_.claim(d.internal.hash(key_), [&](Place from, Place to) {
      const uint32_t was = TagsOnlyBucket::value(from.bucket, from.way),
                     is = TagsOnlyBucket::value(to.bucket, to.way);
      records_[is] = records_[was];
      in_.repoint(records_[is].external.hash(key_), was, is);
      moves_++;
    });
    const uint32_t id = TagsOnlyBucket::value(p.bucket, p.way);
    in_.insert(d.external.hash(key_), id);
    records_[id] = Record{d.internal, d.external, 0, 0, 1, 0, {}};
  }

  Record& operator[](uint32_t id) { return records_[id]; }
  bool taken(const ExternalKey& e) const { return ports_.taken(e.block(), e.protocol, e.offset()); }
  double bytes() const {
    return static_cast<double>(records_.size() * sizeof(Record) + out_.bytes() + in_.bytes()) +
           common_bytes(blocks_);
  }
  double displaced() const { return out_.displaced(); }
  uint64_t moves() const { return moves_; }

 private:
  /// Where the first candidate was another's: rare, so apart from the loops.
  template <Direction D>
  [[gnu::noinline, gnu::cold]] uint32_t search(const Draw& d, uint64_t hash) const {
    return index<D>().find(hash, [&](uint32_t id) { return equal<D>(id, d); });
  }
  static constexpr unsigned kLoad = 90;  ///< of 14 ways; empty places cost a record each
  template <Direction D>
  const auto& index() const {
    if constexpr (D == Direction::out)
      return out_;
    else
      return in_;
  }
  template <Direction D>
  bool equal(uint32_t id, const Draw& d) const {
    if constexpr (D == Direction::out)
      return records_[id].internal == d.internal;
    else
      return records_[id].external == d.external;
  }
  net::HashKey key_;
  TagTable<TagsOnlyBucket> out_;
  HugeArray<Record> records_;
  Index<> in_;
  Bitmaps ports_;
  uint32_t blocks_;
  uint64_t moves_ = 0;
};

}  // namespace culvert::bench
