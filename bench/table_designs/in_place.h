/// C. Records in the outbound table itself: the tags' place is the record's number. A record moves when its
/// bucket is full and an insertion makes room, so nothing may keep a record number but the inbound index.
#pragma once

#include "indexed.h"

namespace culvert::bench {

class InPlace : public IndexedTwice<TagTable<TagsOnlyBucket>, Index<>> {
  using Tags = TagTable<TagsOnlyBucket>;

 public:
  InPlace(uint32_t capacity, uint32_t blocks, unsigned load, const net::HashKey& key)
      : IndexedTwice(capacity, kLoad, load, Tags::buckets_for(capacity, kLoad) * Tags::kWays, blocks, key) {}

  void insert(const Draw& d) {
    const Tags::Place p = out_.claim(d.internal.hash(key_), [&](Tags::Place from, Tags::Place to) {
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
  uint64_t moves() const { return moves_; }

 private:
  static constexpr unsigned kLoad = 90;  ///< of 14 ways; empty places cost a record each
  uint64_t moves_ = 0;
};

}  // namespace culvert::bench
