/// Which worker a subscriber belongs to: 4,096 buckets over the hash of the subscriber key, and pins for
/// those who must be elsewhere because they hold something there (a static mapping's address). Part of the
/// Tables snapshot.
/// (The bucket's hash has public words on purpose: all workers and restarts agree on it, and a crowded bucket
/// costs its own worker only.)
#pragma once

#include <array>
#include <unordered_map>

#include "dataplane/binding/subscriber_table.h"

namespace culvert::dataplane {

class Steering {
 public:
  static constexpr unsigned kBuckets = 4096;

  explicit Steering(unsigned workers) {
    for (unsigned b = 0; b < kBuckets; b++) bucket_[b] = static_cast<WorkerId>(b % workers);
  }
  WorkerId worker_of(const SubscriberKey& k) const {
    uint64_t h = k.hash(net::HashKey{});
    if (!pins_.empty()) {
      auto pin = pins_.find(k);
      if (pin != pins_.end()) return pin->second;
    }
    return bucket_[h % kBuckets];
  }
  void pin(const SubscriberKey& k, WorkerId w) { pins_[k] = w; }
  WorkerId bucket(unsigned b) const { return bucket_[b]; }

 private:
  struct Hash {
    size_t operator()(const SubscriberKey& k) const { return k.hash(net::HashKey{}); }
  };
  std::array<WorkerId, kBuckets> bucket_;
  std::unordered_map<SubscriberKey, WorkerId, Hash> pins_;
};

}  // namespace culvert::dataplane
