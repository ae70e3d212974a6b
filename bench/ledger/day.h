/// Days of a provider's ledger, made up: subscribers who take blocks and give them back at random times.
/// The default is a published one (Forthnet: 32,768 subscribers behind one box, 60 blocks of 512 ports a
/// subscriber and day), with a block held for an hour on average.
///
/// A subscriber's blocks are on one address where possible (RFC 6888 REQ-2), else on the emptiest; on an
/// address the block goes first that was free longest, as BlockAllocator has it. Batches are those of 100 ms.
/// The same seed gives the same bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace culvert::bench {

struct Load {
  uint32_t subscribers = 32'768;
  double blocks_a_day = 60;  ///< that each takes
  double held_hours = 1;     ///< each, on average
  uint16_t set_size = 512;   ///< ports a block
  double use = 0.7;          ///< of the pool, on average
  double hours = 24;         ///< that the segment is long
  uint64_t seed = 1;
};

struct Day {
  std::string live;  ///< the segment, with the checkpoint of a box that was in use before
  uint64_t serial = 0, next_ordinal = 0;
  uint64_t events = 0, held = 0, addresses = 0;
  uint32_t first_address = 0;
  uint16_t first_port = 0;
  uint64_t opened = 0, ended = 0;
};

/// One day after the other.
class Days {
 public:
  explicit Days(const Load& load);
  ~Days();
  Day next();

 private:
  class Box;
  std::unique_ptr<Box> box_;
};

}  // namespace culvert::bench
