#include "dataplane/fragments/fair_shares.h"

#include <algorithm>

namespace culvert::dataplane {

FairShares::FairShares(uint32_t capacity, uint32_t most)
    : owners_(capacity), index_(capacity), by_count_(most + size_t{1}) {}

FairShares::OwnerId FairShares::find(uint64_t owner) const {
  return index_.find(owner, [&](uint32_t id) { return owners_[id].name == owner; });
}

FairShares::OwnerId FairShares::find_or_add(uint64_t owner) {
  static_assert(kNoOwner == TaggedIndex::kNone);
  const OwnerId found = find(owner);
  if (found != kNoOwner) return found;
  const OwnerId id = first_free_ != kNoOwner ? first_free_ : used_;
  if (id == owners_.size() || !index_.insert(owner, id)) return kNoOwner;
  if (id == used_)
    used_++;
  else
    first_free_ = owners_[id].next;
  owners_[id] = {owner, kNoOwner, kNoOwner, 0};
  return id;
}

void FairShares::change(OwnerId id, uint32_t count) {
  Owner& o = owners_[id];
  if (o.count != 0) unlink(id);
  o.count = count;
  if (count != 0) return link(id);
  index_.erase(o.name, id);
  o.next = first_free_;
  first_free_ = id;
}

void FairShares::unlink(OwnerId id) {
  const Owner& o = owners_[id];
  List& list = by_count_[o.count];
  (o.previous == kNoOwner ? list.first : owners_[o.previous].next) =
      o.previous == kNoOwner ? o.next + 1 : o.next;
  (o.next == kNoOwner ? list.last : owners_[o.next].previous) =
      o.next == kNoOwner ? o.previous + 1 : o.previous;
}

void FairShares::link(OwnerId id) {
  Owner& o = owners_[id];
  List& list = by_count_[o.count];
  o.previous = list.last - 1;
  o.next = kNoOwner;
  (list.last == 0 ? list.first : owners_[o.previous].next) = list.last == 0 ? id + 1 : id;
  list.last = id + 1;
  top_ = std::max(top_, o.count);
}

FairShares::OwnerId FairShares::hoarder() {
  while (top_ > 0 && by_count_[top_].first == 0) top_--;
  return top_ == 0 ? kNoOwner : by_count_[top_].first - 1;
}

}  // namespace culvert::dataplane
