/// Freed ports and blocks wait here until they may be used again (RFC 6888 REQ-8): first in, first out, since
/// all wait equally long. A port's bit stays set in its block while it waits. When `hold-down-max` are
/// waiting the oldest go early, as the operator asked by that limit.
#pragma once

#include "dataplane/huge_array.h"
#include "dataplane/pool.h"

namespace culvert::dataplane {

struct HeldItem {
  ShortTime until;
  BlockIndex block;
  uint16_t pool;
  uint16_t offset;  ///< port within the block
  PortSpace space;
  bool whole_block;  ///< the block itself; offset and space mean nothing
};
static_assert(sizeof(HeldItem) <= 16);

class HoldQueue {
 public:
  explicit HoldQueue(uint32_t capacity) : items_(capacity < 1 ? 1 : capacity) {}

  bool full() const { return count_ == items_.size(); }
  bool empty() const { return count_ == 0; }
  uint32_t size() const { return count_; }
  const HeldItem& oldest() const { return items_[head_]; }
  void push(const HeldItem& i) {
    size_t at = size_t{head_} + count_;
    items_[at < items_.size() ? at : at - items_.size()] = i;
    count_++;
  }
  HeldItem pop() {
    HeldItem i = items_[head_];
    head_ = head_ + 1 == items_.size() ? 0 : head_ + 1;
    count_--;
    return i;
  }

 private:
  HugeArray<HeldItem> items_;
  uint32_t head_ = 0, count_ = 0;
};

}  // namespace culvert::dataplane
