#include "dataplane/binding/block_allocator.h"

#include <algorithm>

namespace culvert::dataplane {

BlockAllocator::BlockAllocator(Pool& pool, WorkerId self)
    : pool_(pool),
      addresses_(pool.addresses(), Address{kEnd, kEnd, kNoBlock, kNoBlock, 0, false}),
      heads_(pool.sets() + 1, kEnd) {
  for (uint32_t a = 0; a < pool.addresses(); a++) {
    for (uint32_t s = 0; s < pool.sets(); s++) {
      BlockIndex b = a * pool.sets() + s;
      if (pool.block_owner(b) == self && pool.block(b).state == BlockState::free) append(b);
    }
  }
  // Linked backwards so that equally empty addresses are taken in their natural order.
  for (uint32_t a = pool.addresses(); a-- > 0;)
    if (addresses_[a].free > 0) link(a);
}

void BlockAllocator::link(uint32_t a) {
  Address& e = addresses_[a];
  uint32_t& head = heads_[e.free];
  e.previous = kEnd;
  e.next = head;
  if (head != kEnd) addresses_[head].previous = a;
  head = a;
  emptiest_ = std::max(emptiest_, e.free);
}

void BlockAllocator::unlink(uint32_t a) {
  Address& e = addresses_[a];
  if (e.next != kEnd) addresses_[e.next].previous = e.previous;
  if (e.previous != kEnd)
    addresses_[e.previous].next = e.next;
  else
    heads_[e.free] = e.next;
}

/// Lowers the mark after an address moved down. It moves down by one list, so there is next to nothing to
/// search.
void BlockAllocator::settle() {
  while (emptiest_ > 0 && heads_[emptiest_] == kEnd) emptiest_--;
}

void BlockAllocator::append(BlockIndex b) {
  Address& e = addresses_[b / pool_.sets()];
  Block& block = pool_.block(b);
  block.state = BlockState::free;
  block.subscriber = kNobody;
  block.next = kNoBlock;
  if (e.free == 0)
    e.first = b;
  else
    pool_.block(e.last).next = b;
  e.last = b;
  e.free++;
  count(1);
}

BlockIndex BlockAllocator::pop(uint32_t a) {
  Address& e = addresses_[a];
  unlink(a);
  BlockIndex b = e.first;
  e.first = pool_.block(b).next;
  e.free--;
  count(-1);
  if (e.free > 0) link(a);
  settle();
  return b;
}

BlockIndex BlockAllocator::take() { return emptiest_ == 0 ? kNoBlock : pop(heads_[emptiest_]); }

BlockIndex BlockAllocator::take_on(uint32_t address) {
  return addresses_[address].free == 0 ? kNoBlock : pop(address);
}

void BlockAllocator::give(BlockIndex b) {
  uint32_t a = b / pool_.sets();
  if (addresses_[a].free > 0) unlink(a);
  append(b);
  link(a);
}

std::vector<uint32_t> BlockAllocator::surrender(uint32_t wanted) {
  std::vector<uint32_t> given;
  if (pool_.split()) {
    while (given.size() < wanted && emptiest_ > 0) given.push_back(take());
    return given;
  }
  const uint32_t whole = pool_.sets();
  for (uint32_t a = heads_[whole], blocks = 0; a != kEnd && blocks < wanted;) {
    const uint32_t next = addresses_[a].next;
    if (!addresses_[a].pinned) {
      while (addresses_[a].free > 0) pop(a);
      given.push_back(a);
      blocks += whole;
    }
    a = next;
  }
  return given;
}

void BlockAllocator::adopt(const std::vector<uint32_t>& entries) {
  for (uint32_t e : entries) {
    if (pool_.split()) {
      give(e);
      continue;
    }
    for (uint32_t s = 0; s < pool_.sets(); s++) give(e * pool_.sets() + s);
  }
}

}  // namespace culvert::dataplane
