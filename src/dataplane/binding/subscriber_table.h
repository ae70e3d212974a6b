/// Subscribers of one worker: who they are, which blocks they hold, how much of their limits they use (RFC
/// 6888 REQ-4). A record exists while the subscriber has a block or a mapping. Belongs to one worker.
#pragma once

#include "dataplane/huge_array.h"
#include "dataplane/pool.h"
#include "dataplane/tagged_index.h"

namespace culvert::dataplane {

using SubscriberId = uint32_t;
inline constexpr SubscriberId kNoSubscriber = TaggedIndex::kNone;

/// Who: the source address cut to subscriber-mask, within an instance. IPv4 stands as ::ffff:a.b.c.d.
struct SubscriberKey {
  net::Ipv6Address prefix;
  uint8_t instance = 0;

  /// `mask`: bits of the address that count, 0–32 for IPv4 and 0–128 for IPv6.
  static SubscriberKey ipv4(net::Ipv4Address a, unsigned mask, uint8_t instance);
  static SubscriberKey ipv6(const net::Ipv6Address& a, unsigned mask, uint8_t instance) {
    return {a.masked(mask), instance};
  }
  uint64_t hash(const net::HashKey& k) const {
    const net::Ipv6Words w(prefix);
    return net::hash(k, w.first, w.second, instance);
  }
  bool operator==(const SubscriberKey&) const = default;
};

struct alignas(64) Subscriber {
  SubscriberKey key;
  uint8_t mask;  ///< length of key.prefix (an IPv4 mask counts from 96)
  bool in_use;
  uint8_t block_count;
  uint16_t pool;           ///< slot; meaningful while paired
  bool paired;             ///< an external address was chosen: `pool`, `address` (RFC 6888 REQ-2)
  bool waiting;            ///< for a block whose record is not on the disk yet
  uint32_t address;        ///< number in the pool
  BlockIndex first_block;  ///< chain through Block::next_of_subscriber; blocks of a drained pool may be in it
  uint16_t first_pool;     ///< pool of first_block
  uint32_t mappings;
  uint32_t sessions;            ///< extra sessions
  uint16_t ports[kPortSpaces];  ///< external ports in use
  uint16_t static_mappings;
  uint32_t tokens;     ///< new mappings left, in 1/1000
  ShortTime refilled;  ///< when tokens were last filled up
  SubscriberId next_free;
};
static_assert(sizeof(Subscriber) == 64);

class SubscriberTable {
 public:
  SubscriberTable(uint32_t capacity, const net::HashKey& key)
      : key_(key), records_(capacity), index_(capacity) {}

  Subscriber& operator[](SubscriberId id) { return records_[id]; }
  const Subscriber& operator[](SubscriberId id) const { return records_[id]; }
  uint32_t size() const { return live_; }
  uint32_t high_water() const { return fresh_; }
  const net::HashKey& hash_key() const { return key_; }

  SubscriberId find(const SubscriberKey& k) const { return find(k, k.hash(key_)); }
  SubscriberId find(const SubscriberKey& k, uint64_t hash) const {
    return index_.find(hash, [&](SubscriberId id) { return records_[id].key == k; });
  }
  const TaggedIndex& index() const { return index_; }
  void prefetch_record(SubscriberId id) const { __builtin_prefetch(&records_[id]); }
  /// A new record, zeroed but for the key; kNoSubscriber when the table is full.
  SubscriberId create(const SubscriberKey& k, uint64_t hash, uint8_t mask);
  void destroy(SubscriberId id);
  size_t bytes() const { return records_.size() * sizeof(Subscriber) + index_.bytes(); }

 private:
  net::HashKey key_;
  HugeArray<Subscriber> records_;
  TaggedIndex index_;
  uint32_t fresh_ = 0;
  SubscriberId free_ = kNoSubscriber;
  uint32_t live_ = 0;
};

}  // namespace culvert::dataplane
