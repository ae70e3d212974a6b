/// Which worker a subscriber belongs to: 4,096 buckets over a hash of the subscriber key, and pins for those
/// who must be elsewhere because they hold something there (a static mapping's address, blocks that they had
/// before a restart with another number of workers). Part of the Tables snapshot, and the truth: what
/// hardware brings to another worker is handed over by ring.
///
/// Where the NIC of the inside port steers by subscriber (subscriber_rss.h), the bucket is the entry of its
/// indirection table for him, so that hardware and table agree on everyone but the pinned. Elsewhere it is
/// our own hash. What the NIC was given at start stays until the next one, whatever a reload changes: the
/// bucket of a subscriber who is there must not move.
/// (Our own hash has public words on purpose: all workers and restarts agree on it, and a crowded bucket
/// costs its own worker only.)
#pragma once

#include <array>
#include <memory>
#include <unordered_map>

#include "dataplane/binding/subscriber_table.h"
#include "dataplane/subscriber_rss.h"

namespace culvert::dataplane {

class Steering {
 public:
  static constexpr unsigned kBuckets = 4096;
  static_assert(kBuckets == 1u << SubscriberRss::kMostRetaBits);

  explicit Steering(unsigned workers, std::shared_ptr<const SubscriberRss> rss = nullptr)
      : rss_(std::move(rss)) {
    for (unsigned b = 0; b < kBuckets; b++) bucket_[b] = worker_of_bucket(b, workers);
  }
  struct Hash {
    size_t operator()(const SubscriberKey& k) const { return k.hash(net::HashKey{}); }
  };
  using Pins = std::unordered_map<SubscriberKey, WorkerId, Hash>;

  WorkerId worker_of(const SubscriberKey& k) const {
    if (!pins_.empty()) {
      auto pin = pins_.find(k);
      if (pin != pins_.end()) return pin->second;
    }
    if (inherited_) {
      auto pin = inherited_->find(k);
      if (pin != inherited_->end()) return pin->second;
    }
    return bucket_[bucket_of(k)];
  }
  void pin(const SubscriberKey& k, WorkerId w) { pins_[k] = w; }
  /// Pins that do not change with the configuration. May be null.
  void follow(std::shared_ptr<const Pins> pins) { inherited_ = std::move(pins); }
  unsigned bucket_of(const SubscriberKey& k) const {
    if (rss_)
      if (auto entry = rss_->entry(k.prefix)) return *entry;
    return k.hash(net::HashKey{}) % kBuckets;
  }
  WorkerId bucket(unsigned b) const { return bucket_[b]; }
  const SubscriberRss* rss() const { return rss_.get(); }

  /// The dealing of buckets, and so of the entries of a NIC's indirection table.
  static WorkerId worker_of_bucket(unsigned b, unsigned workers) {
    return static_cast<WorkerId>(b % workers);
  }

 private:
  std::array<WorkerId, kBuckets> bucket_;
  std::shared_ptr<const SubscriberRss> rss_;
  Pins pins_;
  std::shared_ptr<const Pins> inherited_;
};

}  // namespace culvert::dataplane
