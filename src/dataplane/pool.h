/// An external address pool: its addresses, their port blocks, and who owns which.
///
/// A Pool lives from the configuration that first names its prefix until it is removed *and* its last block
/// is free; its slot number is not used again before. Blocks are numbered densely: block = address × sets +
/// set.
///
/// Threads: the geometry never changes. A Block and its bitmap words are written only by the worker that owns
/// the block. The owner table is written by the control core and read by all workers; an entry changes hands
/// only while its blocks are free, so that nothing is lost when two workers see the change a burst apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "dataplane/huge_array.h"
#include "dataplane/mapping.h"

namespace culvert::dataplane {

using WorkerId = uint8_t;
inline constexpr WorkerId kNoWorker = 0xff;
inline constexpr unsigned kMaxWorkers = 64;

using BlockIndex = uint32_t;  ///< within its pool
inline constexpr BlockIndex kNoBlock = ~uint32_t{0};
inline constexpr uint32_t kNobody = ~uint32_t{0};

/// Rows of a block's bitmap.
enum class PortSpace : uint8_t { udp, tcp, icmp };
constexpr PortSpace port_space(Protocol p) {
  return p == Protocol::tcp ? PortSpace::tcp : p == Protocol::udp ? PortSpace::udp : PortSpace::icmp;
}
inline constexpr unsigned kPortSpaces = 3;

enum class BlockState : uint8_t {
  free,  ///< on its owner's free list
  live,  ///< a subscriber's, with mappings or waiting for port-set-timeout
  held,  ///< given back, in hold-down
};

/// A port block: who has it and how full it is. Which ports are taken (in use or held down) stands in the
/// bitmap.
struct Block {
  uint32_t subscriber;            ///< record in the owner's SubscriberTable; kNobody when not live
  BlockIndex next, previous;      ///< free list of the address, or idle list of the worker
  BlockIndex next_of_subscriber;  ///< with next_pool: the subscriber's next block; kNoBlock at the end
  uint16_t next_pool;
  uint16_t used[kPortSpaces];  ///< mappings now
  uint16_t peak;               ///< most mappings at once since it was allocated
  ShortTime idle_until;        ///< given back then, unless a mapping comes
  BlockState state;
  bool idle;                    ///< live without mappings: on the idle list
  uint16_t taken[kPortSpaces];  ///< bits set: mappings and held-down ports

  uint32_t mappings() const { return uint32_t{used[0]} + used[1] + used[2]; }
};
static_assert(sizeof(Block) == 40);

class Pool {
 public:
  /// `slot` is the pool's stable number; `split`: single blocks are dealt to workers, not whole addresses.
  /// Dealing begins with worker `first_owner`, so that many small pools do not all go to the first. Throws
  /// std::bad_alloc when the memory for the blocks is not to be had.
  Pool(uint16_t slot, uint8_t instance, const net::Ipv4Prefix& prefix, const config::PortAllocation& ports,
       unsigned workers, bool split, unsigned first_owner = 0);

  uint16_t slot() const { return slot_; }
  uint8_t instance() const { return instance_; }
  const net::Ipv4Prefix& prefix() const { return prefix_; }
  const config::PortAllocation& ports() const { return ports_; }
  bool split() const { return split_; }
  uint32_t addresses() const { return addresses_; }
  uint32_t sets() const { return sets_; }  ///< blocks an address
  uint32_t block_count() const { return addresses_ * sets_; }

  /// Number of an address of this pool.
  uint32_t index_of(net::Ipv4Address a) const { return a.value() - prefix_.first(); }
  net::Ipv4Address address(uint32_t index) const { return net::Ipv4Address(prefix_.first() + index); }
  net::Ipv4Address address_of(BlockIndex b) const { return address(b / sets_); }
  uint16_t first_port(BlockIndex b) const {
    return static_cast<uint16_t>(ports_.first_port + (b % sets_) * ports_.set_size);
  }
  /// Of its first port, mostly without a division.
  int parity_of(BlockIndex b) const {
    return ((ports_.set_size & 1) == 0 ? ports_.first_port : first_port(b)) & 1;
  }
  uint16_t last_port(BlockIndex b) const {
    return static_cast<uint16_t>(first_port(b) + ports_.set_size - 1);
  }
  /// The block a port lies in, or kNoBlock for ports outside the dynamic range.
  BlockIndex block_of(uint32_t address_index, uint16_t port) const {
    if (port < ports_.first_port || port > ports_.last_port) return kNoBlock;
    return address_index * sets_ + (port - ports_.first_port) / ports_.set_size;
  }

  Block& block(BlockIndex b) { return blocks_[b]; }
  const Block& block(BlockIndex b) const { return blocks_[b]; }
  /// Bitmap of a block, one bit a port from its first; set: taken.
  uint64_t* bitmap(BlockIndex b, PortSpace s) {
    return &bitmaps_[(size_t{b} * kPortSpaces + static_cast<size_t>(s)) * words_];
  }
  uint32_t bitmap_words() const { return words_; }

  /// The worker for packets to this endpoint. Ports outside the blocks follow the address.
  WorkerId owner(net::Ipv4Address a, uint16_t port) const {
    uint32_t index = index_of(a);
    if (split_) {
      BlockIndex b = block_of(index, port);
      if (b != kNoBlock) return block_owner(b);
    }
    return address_owner(index);
  }
  WorkerId address_owner(uint32_t index) const {
    return address_owner_[index].load(std::memory_order_relaxed);
  }
  WorkerId block_owner(BlockIndex b) const {
    return split_ ? block_owner_[b].load(std::memory_order_relaxed) : address_owner(b / sets_);
  }
  /// Control core only, and only while the entry is free.
  void set_address_owner(uint32_t index, WorkerId w) {
    address_owner_[index].store(w, std::memory_order_relaxed);
  }
  void set_block_owner(BlockIndex b, WorkerId w) { block_owner_[b].store(w, std::memory_order_relaxed); }

  /// Set once the pool left the configuration: no new mappings, live ones go on until the deadline.
  std::atomic<bool> draining{false};
  std::atomic<Millis> drain_deadline{0};

 private:
  uint16_t slot_;
  uint8_t instance_;
  net::Ipv4Prefix prefix_;
  config::PortAllocation ports_;
  bool split_;
  uint32_t addresses_, sets_, words_;
  HugeArray<Block> blocks_;
  HugeArray<uint64_t> bitmaps_;
  HugeArray<std::atomic<WorkerId>> address_owner_, block_owner_;
};

}  // namespace culvert::dataplane
