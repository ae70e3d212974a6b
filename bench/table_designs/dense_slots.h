/// B. Dense slots: a tagged index outbound, a directory of pages inbound. Reading a page number takes no hash
/// but undoing the block's bijection; a subscriber's records lie together, and every block has a directory.
/// The bitmaps are of slots here.
#pragma once

#include "indexed.h"

namespace culvert::bench {

class DenseSlots : public Indexed<Index<>> {
 public:
  DenseSlots(uint32_t capacity, uint32_t blocks, unsigned load, const net::HashKey& key)
      : Indexed(capacity, load, size_t{pages_for(capacity, blocks)} * kPage, blocks, key),
        directory_(size_t{blocks} * kProtocols * kPagesOfBlock) {}

  template <Direction D>
  void start(const Draw& d, Stages& s, unsigned i) const {
    if constexpr (D == Direction::out) return start_in<D>(out_, d, s, i);
    const uint32_t block = d.external.block();
    const unsigned slot = slot_of(block, d.external.offset());
    s.hash[i] = entry_number(block, d.external.protocol, slot / kPage) << 3 | slot % kPage;
    __builtin_prefetch(&directory_[s.hash[i] >> 3]);
  }
  template <Direction D, bool>
  void middle(const Draw&, Stages& s, unsigned i) const {
    if constexpr (D == Direction::out) return middle_in(out_, s, i);
    const uint32_t page = directory_[s.hash[i] >> 3];
    s.id[i] = page == 0 ? kNone : page * kPage + static_cast<uint32_t>(s.hash[i] & 7);
    prefetch_record(s.id[i]);
  }
  template <Direction D>
  void rest(Stages& s) const {
    if constexpr (D == Direction::out) rest_in(out_, s);
  }
  template <Direction D, bool>
  uint32_t finish(const Draw& d, const Stages& s, unsigned i) const {
    if constexpr (D == Direction::out) return finish_in<D>(out_, d, s, i);
    const uint32_t id = s.id[i];
    return id != kNone && equal<D>(id, d) ? id : kNone;
  }
  template <Direction D>
  unsigned lines(const Draw& d) const {
    if constexpr (D == Direction::out) return lines_in<D>(out_, d);
    const uint32_t block = d.external.block();
    const unsigned slot = slot_of(block, d.external.offset());
    return directory_[entry_number(block, d.external.protocol, slot / kPage)] == 0 ? 1 : 2;
  }

  void prefetch_erase(uint32_t id) const {
    const ExternalKey& e = records_[id].external;
    ports_.prefetch(e.block(), e.protocol);
    __builtin_prefetch(
        &directory_[entry_number(e.block(), e.protocol, slot_of(e.block(), e.offset()) / kPage)], 1);
  }
  void erase(uint32_t id) {
    Record& r = records_[id];
    out_.release(r.internal.hash(key_), id);
    const uint32_t block = r.external.block();
    const uint8_t protocol = r.external.protocol;
    const unsigned slot = slot_of(block, r.external.offset());
    ports_.free(block, protocol, slot);
    r.in_use = 0;
    r.external = {};
    if (!ports_.page_empty(block, protocol, slot / kPage)) return;
    uint32_t& entry = directory_[entry_number(block, protocol, slot / kPage)];
    records_[size_t{entry} * kPage].next_free = free_page_;
    free_page_ = entry;
    entry = 0;
  }
  ExternalKey choose(uint32_t block, uint8_t protocol, unsigned parity, uint64_t) {
    const unsigned slot = ports_.take_lowest(block, protocol, parity);
    __builtin_prefetch(&directory_[entry_number(block, protocol, slot / kPage)], 1);
    return ExternalKey::of(block, offset_of(block, slot), protocol);
  }
  void insert(const Draw& d) {
    const uint32_t block = d.external.block();
    const unsigned slot = slot_of(block, d.external.offset());
    uint32_t& entry = directory_[entry_number(block, d.external.protocol, slot / kPage)];
    if (entry == 0) entry = new_page();
    const auto id = static_cast<uint32_t>(entry * kPage + slot % kPage);
    out_.insert(d.internal.hash(key_), id);
    records_[id] = Record{d.internal, d.external, 0, 0, 1, 0, {}};
  }

  bool taken(const ExternalKey& e) const {
    return ports_.taken(e.block(), e.protocol, slot_of(e.block(), e.offset()));
  }
  /// With as many pages as were ever in use at once.
  double bytes() const {
    return static_cast<double>(size_t{fresh_page_} * kPage * sizeof(Record) + directory_.size() * 4 +
                               out_.bytes()) +
           common_bytes(blocks_);
  }

 private:
  static constexpr unsigned kPage = 8, kPagesOfBlock = kBlockSize / kPage;
  /// More than any measured load needs; what is not touched costs nothing here.
  static uint32_t pages_for(uint32_t capacity, uint32_t blocks) {
    return capacity / kPage * 2 + blocks * 8 + 2;
  }
  static size_t entry_number(uint32_t block, uint8_t protocol, unsigned page) {
    return (size_t{block} * kProtocols + protocol) * kPagesOfBlock + page;
  }
  uint32_t new_page() {
    if (free_page_ == 0) {
      if (size_t{fresh_page_ + 1} * kPage > records_.size()) die("no page left");
      return fresh_page_++;
    }
    const uint32_t page = free_page_;
    free_page_ = records_[size_t{page} * kPage].next_free;
    return page;
  }
  /// slot ↔ offset: bit 0 stays, the other eight are stirred by the block's own key: two odd multiplications
  /// with a fold between them, each of which can be undone.
  uint64_t stir(uint32_t block) const { return net::fold_multiply(block ^ key_.word[0], key_.word[1] | 1); }
  unsigned offset_of(uint32_t block, unsigned slot) const {
    const uint64_t k = stir(block);
    unsigned x = (slot >> 1) ^ (k & 0xff);
    x = x * (k >> 8 | 1) & 0xff;
    x ^= x >> 4;
    x = (x * (k >> 16 | 1) + (k >> 24)) & 0xff;
    return x << 1 | (slot & 1);
  }
  unsigned slot_of(uint32_t block, unsigned offset) const {
    const uint64_t k = stir(block);
    unsigned x = ((offset >> 1) - static_cast<unsigned>(k >> 24)) & 0xff;
    x = x * inverse(static_cast<uint8_t>(k >> 16 | 1)) & 0xff;
    x ^= x >> 4;
    x = x * inverse(static_cast<uint8_t>(k >> 8 | 1)) & 0xff;
    return (x ^ (k & 0xff)) << 1 | (offset & 1);
  }
  /// Of an odd number modulo 256: n × n = 1 modulo 8, and each step doubles the bits that are right.
  static unsigned inverse(uint8_t n) {
    unsigned x = n;
    x *= 2 - n * x;
    x *= 2 - n * x;
    return x;
  }

  HugeArray<uint32_t> directory_;  ///< 0: no page
  uint32_t fresh_page_ = 1, free_page_ = 0;
};

}  // namespace culvert::bench
