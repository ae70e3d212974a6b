/// What the designs share behind parts.h: records that a tagged index finds, and the stages of such a lookup.
/// All designs look outbound this way (Indexed), A and C inbound too (IndexedTwice).
///
/// Stages, each over a whole burst: start() hashes and prefetches the bucket; middle() compares tags and
/// prefetches the record; rest() does so for those that only the alternate bucket can hold; finish() compares
/// keys.
#pragma once

#include "tag_table.h"

namespace culvert::bench {

/// `Out`: the outbound index, a TagTable.
template <typename Out>
class Indexed {
 public:
  /// Can look up without stages of its own for displaced entries: `kStaged` false.
  static constexpr bool kHasPlain = false;

  void prefetch_insert(uint32_t block, uint8_t protocol) const { ports_.prefetch(block, protocol); }
  Record& operator[](uint32_t id) { return records_[id]; }
  double displaced() const { return out_.displaced(); }

 protected:
  Indexed(uint32_t capacity, unsigned load, size_t records, uint32_t blocks, const net::HashKey& key)
      : key_(key), records_(records), out_(capacity, load), ports_(blocks), blocks_(blocks) {}

  template <Direction D>
  uint64_t hash(const Draw& d) const {
    return D == Direction::out ? d.internal.hash(key_) : d.external.hash(key_);
  }
  template <Direction D>
  bool equal(uint32_t id, const Draw& d) const {
    if constexpr (D == Direction::out)
      return records_[id].internal == d.internal;
    else
      return records_[id].external == d.external;
  }
  void prefetch_record(uint32_t id) const {
    if (id != kNone) [[likely]]
      __builtin_prefetch(&records_[id], 1);
  }

  template <Direction D, typename Index>
  void start_in(const Index& index, const Draw& d, Stages& s, unsigned i) const {
    s.hash[i] = hash<D>(d);
    index.prefetch(s.hash[i]);
  }
  template <typename Index>
  void middle_in(const Index& index, Stages& s, unsigned i) const {
    index.candidate(s, i);
    prefetch_record(s.id[i]);
  }
  template <typename Index>
  void rest_in(const Index& index, Stages& s) const {
    for (uint32_t p = s.pending; p != 0; p &= p - 1) {
      const int i = std::countr_zero(p);
      s.id[i] = index.alternate_candidate(s.hash[i]);
      prefetch_record(s.id[i]);
    }
  }
  template <Direction D, typename Index>
  uint32_t finish_in(const Index& index, const Draw& d, const Stages& s, unsigned i) const {
    if (s.id[i] == kNone || equal<D>(s.id[i], d)) return s.id[i];
    return search<D>(index, d, s.hash[i]);
  }
  /// Cache lines that a lookup touches.
  template <Direction D, typename Index>
  unsigned lines_in(const Index& index, const Draw& d) const {
    unsigned n = 0;
    index.find(hash<D>(d), [&](uint32_t id) { return equal<D>(id, d); }, &n);
    return n;
  }

  net::HashKey key_;
  HugeArray<Record> records_;
  Out out_;
  Bitmaps ports_;
  uint32_t blocks_;

 private:
  /// Where the first candidate was another's: rare, so apart from the loops.
  template <Direction D, typename Index>
  [[gnu::noinline, gnu::cold]] uint32_t search(const Index& index, const Draw& d, uint64_t hash) const {
    return index.find(hash, [&](uint32_t id) { return equal<D>(id, d); });
  }
};

/// The same with an index for the other direction, and ports as luck has it.
template <typename Out, typename In>
class IndexedTwice : public Indexed<Out> {
  using Base = Indexed<Out>;

 public:
  template <Direction D>
  void start(const Draw& d, Stages& s, unsigned i) const {
    this->template start_in<D>(index<D>(), d, s, i);
  }
  template <Direction D, bool>
  void middle(const Draw&, Stages& s, unsigned i) const {
    this->middle_in(index<D>(), s, i);
  }
  template <Direction D>
  void rest(Stages& s) const {
    this->rest_in(index<D>(), s);
  }
  template <Direction D, bool>
  uint32_t finish(const Draw& d, const Stages& s, unsigned i) const {
    return this->template finish_in<D>(index<D>(), d, s, i);
  }
  template <Direction D>
  unsigned lines(const Draw& d) const {
    return this->template lines_in<D>(index<D>(), d);
  }

  void prefetch_erase(uint32_t id) const {
    const ExternalKey& e = records_[id].external;
    in_.prefetch(e.hash(key_));
    ports_.prefetch(e.block(), e.protocol);
  }
  void erase(uint32_t id) {
    Record& r = records_[id];
    out_.release(r.internal.hash(key_), id);
    in_.release(r.external.hash(key_), id);
    ports_.free(r.external.block(), r.external.protocol, r.external.offset());
    r.in_use = 0;
  }
  ExternalKey choose(uint32_t block, uint8_t protocol, unsigned parity, uint64_t luck) {
    const ExternalKey e = ExternalKey::of(block, ports_.take_any(block, protocol, parity, luck), protocol);
    in_.prefetch(e.hash(key_));
    return e;
  }

  bool taken(const ExternalKey& e) const { return ports_.taken(e.block(), e.protocol, e.offset()); }
  double bytes() const {
    return static_cast<double>(records_.size() * sizeof(Record) + out_.bytes() + in_.bytes()) +
           common_bytes(this->blocks_);
  }

 protected:
  IndexedTwice(uint32_t capacity, unsigned load_out, unsigned load_in, size_t records, uint32_t blocks,
               const net::HashKey& key)
      : Base(capacity, load_out, records, blocks, key), in_(capacity, load_in) {}

  template <Direction D>
  const auto& index() const {
    if constexpr (D == Direction::out)
      return out_;
    else
      return in_;
  }

  using Base::key_, Base::records_, Base::out_, Base::ports_;
  In in_;
};

}  // namespace culvert::bench
