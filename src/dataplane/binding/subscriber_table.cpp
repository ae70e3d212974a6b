#include "dataplane/binding/subscriber_table.h"

#include "net/mapped.h"

namespace culvert::dataplane {

SubscriberKey SubscriberKey::ipv4(net::Ipv4Address a, unsigned mask, uint8_t instance) {
  return {net::mapped(a).masked(net::kMappedBits + mask), instance};
}

SubscriberId SubscriberTable::create(const SubscriberKey& k, uint64_t hash, uint8_t mask) {
  bool recycled = free_ != kNoSubscriber;
  if (!recycled && fresh_ == records_.size()) return kNoSubscriber;
  SubscriberId id = recycled ? free_ : fresh_;
  if (!index_.insert(hash, id)) return kNoSubscriber;
  if (recycled)
    free_ = records_[id].next_free;
  else
    fresh_++;
  records_[id] = Subscriber{};
  records_[id].key = k;
  records_[id].mask = mask;
  records_[id].in_use = true;
  records_[id].first_block = kNoBlock;
  live_++;
  return id;
}

void SubscriberTable::destroy(SubscriberId id) {
  index_.erase(records_[id].key.hash(key_), id);
  records_[id].in_use = false;
  records_[id].next_free = free_;
  free_ = id;
  live_--;
}

}  // namespace culvert::dataplane
