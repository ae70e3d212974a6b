/// All mappings of one worker: one dense array of 64-byte records and the same tagged index twice, by
/// internal and by external endpoint. Two cache lines a lookup. Fixed capacity; never evicts (RFC 6888
/// REQ-11).
#pragma once

#include "dataplane/huge_array.h"
#include "dataplane/mapping.h"
#include "dataplane/tagged_index.h"

namespace culvert::dataplane {

using MappingId = uint32_t;
inline constexpr MappingId kNoMapping = TaggedIndex::kNone;

class MappingTable {
 public:
  MappingTable(uint32_t capacity, const net::HashKey& key)
      : key_(key), records_(capacity), outbound_(capacity), inbound_(capacity) {}

  Mapping& operator[](MappingId id) { return records_[id]; }
  const Mapping& operator[](MappingId id) const { return records_[id]; }
  uint32_t capacity() const { return static_cast<uint32_t>(records_.size()); }
  uint32_t size() const { return live_; }
  /// Records with a number at or above this were never used: where sweeps and listings may stop.
  uint32_t high_water() const { return fresh_; }

  const net::HashKey& hash_key() const { return key_; }
  const TaggedIndex& outbound() const { return outbound_; }
  const TaggedIndex& inbound() const { return inbound_; }
  void prefetch_record(MappingId id) const { __builtin_prefetch(&records_[id], 1); }

  MappingId find(const InternalKey& k, uint64_t hash) const {
    return outbound_.find(hash, [&](MappingId id) { return records_[id].internal == k; });
  }
  MappingId find(const ExternalKey& k, uint64_t hash) const {
    return inbound_.find(hash, [&](MappingId id) { return records_[id].matches(k); });
  }
  /// The same when the candidate of the index is at hand: nearly always it is the one.
  template <typename Key>
  MappingId confirm(const Key& k, uint64_t hash, MappingId candidate) const {
    if (records_[candidate].matches(k)) [[likely]]
      return candidate;
    return find(k, hash);
  }
  MappingId find(const InternalKey& k) const { return find(k, k.hash(key_)); }
  MappingId find(const ExternalKey& k) const { return find(k, k.hash(key_)); }

  /// Prefetches the record that create() will take after `ahead` others, as far as that can be known.
  void prefetch_new(uint32_t ahead) const {
    if (free_ == kNoMapping)
      __builtin_prefetch(records_.begin() + fresh_ + ahead, 1);
    else if (ahead == 0)
      __builtin_prefetch(&records_[free_], 1);
  }
  /// A new record in both indexes, everything but the two endpoints zero; kNoMapping when the table is full.
  MappingId create(const InternalKey& internal, const ExternalKey& external);
  /// Takes a live record out.
  void destroy(MappingId id);

  size_t bytes() const { return records_.size() * sizeof(Mapping) + outbound_.bytes() + inbound_.bytes(); }

 private:
  net::HashKey key_;
  HugeArray<Mapping> records_;
  TaggedIndex outbound_, inbound_;
  uint32_t fresh_ = 0;           ///< next record never used so far
  MappingId free_ = kNoMapping;  ///< chain of freed records, linked through `first_extra`
  uint32_t live_ = 0;
};

}  // namespace culvert::dataplane
