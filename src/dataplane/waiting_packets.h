/// Packets that wait until their subscriber's new block is on the disk (`durability: strict`): the first ones
/// of a newcomer, for some milliseconds. They hold packet buffers meanwhile, so there are few of them, and
/// one subscriber has a few of those at most: who finds no room is dropped.
///
/// Belongs to one worker.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

namespace culvert::dataplane {

class WaitingPackets {
 public:
  static constexpr unsigned kCapacity = 512;
  static constexpr unsigned kShare = 8;  ///< of one subscriber, or of several with the same hash

  /// Keeps a packet until the event with this sequence, not lower than any before, is on the disk. False:
  /// there is no room. `who`: hash of its subscriber.
  bool push(rte_mbuf* packet, uint64_t sequence, uint64_t who) {
    uint8_t& share = shares_[who % shares_.size()];
    if (count_ == kCapacity || share == kShare) return false;
    share++;
    packets_[(head_ + count_++) % kCapacity] = {packet, sequence,
                                                static_cast<uint16_t>(who % shares_.size())};
    return true;
  }
  /// The oldest, if events up to `durable` are on the disk; nullptr: it waits on, or there is none.
  rte_mbuf* pop(uint64_t durable) {
    if (count_ == 0 || packets_[head_].sequence > durable) return nullptr;
    const Waiting& oldest = packets_[head_];
    shares_[oldest.share]--;
    head_ = (head_ + 1) % kCapacity;
    count_--;
    return oldest.packet;
  }
  unsigned size() const { return count_; }

 private:
  struct Waiting {
    rte_mbuf* packet;
    uint64_t sequence;
    uint16_t share;
  };
  std::array<Waiting, kCapacity> packets_;
  std::array<uint8_t, 256> shares_{};
  unsigned head_ = 0, count_ = 0;
};

}  // namespace culvert::dataplane
