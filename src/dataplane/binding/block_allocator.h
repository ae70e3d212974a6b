/// One worker's share of one pool: which of its blocks are free, and on which address the next one is taken.
///
/// A new subscriber gets a block on the address with the most free blocks, so that room for the second block
/// of everyone stays as even as can be (a subscriber's blocks are all on one address, RFC 6888 REQ-2).
/// Addresses are kept in one list per count of free blocks, so the choice takes no search. Within an address
/// the block that has been free longest goes first. Only the owning worker touches this object,
/// but free_blocks().
#pragma once

#include <atomic>
#include <vector>

#include "dataplane/pool.h"

namespace culvert::dataplane {

class BlockAllocator {
 public:
  /// Takes up everything free that the owner table gives this worker.
  BlockAllocator(Pool& pool, WorkerId self);

  /// What that takes, in bytes, with `sets` blocks an address.
  static size_t bytes_for(uint32_t addresses, uint32_t sets) {
    return addresses * sizeof(Address) + (sets + 1) * sizeof(uint32_t);
  }

  Pool& pool() { return pool_; }
  const Pool& pool() const { return pool_; }
  /// Any thread may ask.
  uint32_t free_blocks() const { return free_blocks_.load(std::memory_order_relaxed); }

  /// Keeps an address with this worker for good: a static mapping lies on it.
  void pin(uint32_t address) { addresses_[address].pinned = true; }

  /// A free block on the emptiest address, or kNoBlock.
  BlockIndex take();
  /// A free block on this address, or kNoBlock.
  BlockIndex take_on(uint32_t address);
  /// Puts a block back on the free list (after its hold-down).
  void give(BlockIndex b);

  /// Gives up entries for another worker: up to `wanted` free blocks of a split pool, or as many wholly free
  /// addresses as make up about `wanted` blocks. What is returned is no longer this worker's: block numbers
  /// of a split pool, address numbers otherwise.
  std::vector<uint32_t> surrender(uint32_t wanted);
  /// Takes in what another worker surrendered, after the owner table says so.
  void adopt(const std::vector<uint32_t>& entries);

 private:
  struct Address {
    uint32_t next, previous;  ///< list of addresses with the same count of free blocks
    BlockIndex first, last;   ///< free blocks, longest free first
    uint32_t free;
    bool pinned;
  };
  static constexpr uint32_t kEnd = ~uint32_t{0};

  void link(uint32_t address);
  void unlink(uint32_t address);
  void settle();
  void count(int change) {
    free_blocks_.store(free_blocks_.load(std::memory_order_relaxed) + static_cast<uint32_t>(change),
                       std::memory_order_relaxed);
  }
  void append(BlockIndex b);
  BlockIndex pop(uint32_t address);

  Pool& pool_;
  std::vector<Address> addresses_;
  std::vector<uint32_t> heads_;           ///< by count of free blocks
  uint32_t emptiest_ = 0;                 ///< no list above this one has members
  std::atomic<uint32_t> free_blocks_{0};  ///< one writer
};

}  // namespace culvert::dataplane
