/// One worker's share of one pool: which of its blocks are free, and on which address the next one is taken.
///
/// A new subscriber gets a block on the address with the most free blocks, so that room for the second block of
/// everyone stays as even as can be (a subscriber's blocks are all on one address, RFC 6888 REQ-2). Addresses are
/// kept in one list per count of free blocks, so the choice is O(1). Within an address the block that has been
/// free longest goes first. Only the owning worker touches this object.
#pragma once

#include <vector>

#include "dataplane/pool.h"

namespace culvert::dataplane {

class BlockAllocator {
 public:
  /// Takes up everything the owner table gives this worker.
  BlockAllocator(Pool& pool, WorkerId self);

  Pool& pool() { return pool_; }
  const Pool& pool() const { return pool_; }
  uint32_t free_blocks() const { return free_blocks_; }

  /// A free block on the emptiest address, or kNoBlock.
  BlockIndex take();
  /// A free block on this address, or kNoBlock.
  BlockIndex take_on(uint32_t address);
  /// Puts a block back on the free list (after its hold-down).
  void give(BlockIndex b);

  /// Gives up entries for another worker: up to `count` free blocks of a split pool, or as many wholly free
  /// addresses as make up about `count` blocks. What is returned is no longer this worker's: block numbers of a
  /// split pool, address numbers otherwise.
  std::vector<uint32_t> surrender(uint32_t count);
  /// Takes in what another worker surrendered, after the owner table says so.
  void adopt(const std::vector<uint32_t>& entries);

 private:
  struct Address {
    uint32_t next, previous;  ///< list of addresses with the same count of free blocks
    BlockIndex first, last;   ///< free blocks, longest free first
    uint32_t free;
  };
  static constexpr uint32_t kEnd = ~uint32_t{0};

  void link(uint32_t address);
  void unlink(uint32_t address);
  void append(BlockIndex b);
  BlockIndex pop(uint32_t address);

  Pool& pool_;
  WorkerId self_;
  std::vector<Address> addresses_;
  std::vector<uint32_t> heads_;  ///< by count of free blocks
  uint32_t emptiest_ = 0;        ///< no list above this one has members
  uint32_t free_blocks_ = 0;
};

}  // namespace culvert::dataplane
