/// A. Two tagged indexes over one dense array of records. Measured in three ways: *plain*, where a lookup
/// whose primary bucket has no fitting tag finds the alternate bucket only when it finishes, unprefetched;
/// *staged*, where such lookups get stages of their own; *tuned*, staged too, with the index that keeps fewer
/// entries displaced and knows better when a miss need not look further (IndexBucket<true>).
#pragma once

#include "indexed.h"

namespace culvert::bench {

template <bool kTuned>
class TwoIndexes : public IndexedTwice<Index<kTuned>, Index<kTuned>> {
  using Base = IndexedTwice<Index<kTuned>, Index<kTuned>>;
  using Base::key_, Base::records_, Base::out_, Base::in_;

 public:
  static constexpr bool kHasPlain = true;
  TwoIndexes(uint32_t capacity, uint32_t blocks, unsigned load, const net::HashKey& key)
      : Base(capacity, load, load, capacity, blocks, key) {}

  template <Direction D, bool kStaged>
  void middle(const Draw& d, Stages& s, unsigned i) const {
    if constexpr (kStaged) return Base::template middle<D, true>(d, s, i);
    s.id[i] = this->template index<D>().candidate(s.hash[i]);
    this->prefetch_record(s.id[i]);
  }
  template <Direction D, bool kStaged>
  uint32_t finish(const Draw& d, const Stages& s, unsigned i) const {
    if constexpr (kStaged) return Base::template finish<D, true>(d, s, i);
    return this->template index<D>().find(s.hash[i],
                                          [&](uint32_t id) { return this->template equal<D>(id, d); });
  }

  void erase(uint32_t id) {
    Base::erase(id);
    records_[id].next_free = free_;
    free_ = id;
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

 private:
  uint32_t fresh_ = 0, free_ = kNone;
};

}  // namespace culvert::bench
