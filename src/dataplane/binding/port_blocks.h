/// The ports of subscribers: which blocks each has, which of their ports are taken, and when both are free
/// again. A block is put on record before it is used, or is not given, on the subscriber's one address (RFC
/// 6888 REQ-2); an ended mapping's port rests for the hold-down (REQ-8), a block without mappings goes back
/// after port-set-timeout and rests too.
///
/// A block is free (block_allocator.h) → live, in its subscriber's chain → idle, in its pool's list as well →
/// held (hold_queue.h) → free. Belongs to one worker thread, as a part of its StatefulBinding; no locks.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "dataplane/binding/block_allocator.h"
#include "dataplane/binding/hold_queue.h"
#include "dataplane/binding/setup.h"
#include "dataplane/binding/subscriber_table.h"
#include "dataplane/counters.h"
#include "dataplane/drop_reason.h"
#include "dataplane/tables.h"

namespace culvert::dataplane {

/// A port by its block: port number = the block's first port + offset.
struct BlockPort {
  uint16_t pool;  ///< slot
  BlockIndex block;
  uint16_t offset;
};

class PortBlocks {
 public:
  PortBlocks(const BindingSetup& setup, SubscriberTable& subscribers, Counters& counters);

  /// A port that no mapping of this port space has, in one of the subscriber's blocks or in a new one; or why
  /// there is none. It is not taken before use(). `luck`: a random number, which chooses among the free ones.
  std::variant<BlockPort, DropReason> choose(const Tables& tables, SubscriberId id, const InternalKey& key,
                                             uint32_t luck, Millis now);
  /// The port that choose() would find in the blocks he has; nullopt: none is free there.
  static std::optional<BlockPort> find_free(const Tables& tables, const Subscriber& s, const InternalKey& key,
                                            uint32_t luck);
  static bool is_free(const Tables& tables, BlockPort port, PortSpace space) {
    const uint64_t word = tables.pools[port.pool]->bitmap(port.block, space)[port.offset / 64];
    return (word >> (port.offset % 64) & 1) == 0;
  }
  uint32_t draw_luck() { return static_cast<uint32_t>(random_.next() >> 32); }
  /// A mapping has this port from now on.
  void use(const Tables& tables, BlockPort port, PortSpace space);
  /// The mapping has ended. `hold`: the port must rest before it is used again.
  void release(const Tables& tables, BlockPort port, PortSpace space, bool hold, Millis now);
  /// Takes a block without mappings back. False when the log ring is full: he keeps it, to be tried again.
  bool release_block(const Tables& tables, Pool& pool, BlockIndex b, logging::Reason reason, Millis now);
  /// Hands back what has rested long enough, and idle blocks whose time is over: some of it, and returns
  /// whether more is due.
  bool sweep(const Tables& tables, Millis now);

  /// Lets blocks serve whose records have come to the disk. Strict durability only.
  void serve_recorded(const Tables& tables, Millis now);
  const logging::EventRing& log() const { return *log_; }
  bool log_has_room() const { return log_->waiting() < log_->capacity(); }
  /// What can wait does: half of the ring is for what begins.
  bool log_is_half_full() const { return log_->waiting() > log_->capacity() / 2; }

  /// The block is his already, of the run before: it is on record, and marked live since before attach().
  /// False: he may not have so many.
  bool inherit(const Tables& tables, SubscriberId id, uint16_t slot, BlockIndex b, Millis now);
  /// The block belongs to nobody, and to nobody else before the hold-down is over. In the order of `since`.
  void rest(const Tables& tables, uint16_t slot, BlockIndex b, Millis since);
  /// No block is given before then: some may be in use of which there is no record.
  void give_nothing_before(Millis then) { nothing_new_before_ = then; }

  /// Puts an event of this worker's on record. False when the log ring is full.
  bool record(logging::Event event);
  /// A subscriber is known for as long as he has a mapping or a block.
  void forget_if_unused(SubscriberId id);

  /// Pools come and go with the configuration. detach() needs a pool without live and held blocks.
  void attach(std::unique_ptr<BlockAllocator> allocator);
  void detach(uint16_t slot);
  /// This worker's share of a pool; nullptr where it has none.
  BlockAllocator* allocator(uint16_t slot) {
    return slot < allocators_.size() ? allocators_[slot].get() : nullptr;
  }
  /// Free blocks of a pool. Any thread may ask, but not while the pool is being attached or detached.
  uint32_t free_blocks(uint16_t slot) const {
    const BlockAllocator* a = slot < allocators_.size() ? allocators_[slot].get() : nullptr;
    return a == nullptr ? 0 : a->free_blocks();
  }

 private:
  /// Blocks waiting for port-set-timeout, oldest first; one list a pool, since timeouts differ by instance.
  struct IdleList {
    BlockIndex first = kNoBlock, last = kNoBlock;
  };

  static bool find_port(Pool& pool, BlockIndex b, PortSpace space, int parity, uint32_t luck,
                        uint16_t* offset);
  std::variant<BlockPort, DropReason> grow(const Tables& tables, SubscriberId id, Millis now);
  bool record_block(logging::EventKind kind, logging::Reason reason, const Subscriber& s, const Pool& pool,
                    BlockIndex b, Millis now);
  void take(Pool& pool, BlockIndex b, SubscriberId id);
  void chain(Pool& pool, BlockIndex b, ShortTime idle_until);
  static void unchain(const Tables& tables, Subscriber& s, uint16_t slot, BlockIndex b);
  void push_held(const Tables& tables, const HeldItem& item);
  void release_held(const Tables& tables, const HeldItem& item);
  void link_idle(Pool& pool, BlockIndex b, ShortTime until);
  void unlink_idle(Pool& pool, BlockIndex b);
  bool sweep_idle(const Tables& tables, Millis now);

  WorkerId self_;
  SubscriberTable& subscribers_;
  Counters& counters_;
  logging::EventRing* log_;
  net::Random random_;
  Millis nothing_new_before_ = 0;
  /// Strict: blocks whose records are on their way to the disk, oldest first.
  struct Unrecorded {
    uint64_t sequence;
    uint16_t pool;
    BlockIndex block;
  };
  static constexpr size_t kMostUnrecorded = 4096;
  std::vector<Unrecorded> unrecorded_;  ///< a ring of kMostUnrecorded; empty: records need not wait
  size_t unrecorded_head_ = 0, unrecorded_count_ = 0;
  HoldQueue held_;
  std::vector<std::unique_ptr<BlockAllocator>> allocators_;  ///< by pool slot
  std::vector<IdleList> idle_;                               ///< by pool slot
  size_t idle_hand_ = 0;                                     ///< slot that sweep_idle() goes on with
};

}  // namespace culvert::dataplane
