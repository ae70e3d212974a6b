/// The events of several rings in the order of their times. What next() gave stays in its ring until
/// release() says that it is safe elsewhere; forget() gives it again.
///
/// Thread: the rings' consumer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "logging/event_ring.h"

namespace culvert::logging {

class EventMerge {
 public:
  /// A worker's ring; not owned.
  struct Input {
    EventRing* ring;
    uint8_t worker;
  };
  /// `moves`: grows between the last event of a block with one worker and its first with another; without, no
  /// block comes to another worker.
  explicit EventMerge(std::vector<Input> inputs, std::function<uint64_t()> moves = {});

  /// Looks what there is; next() gives that and no more. No event is there without those of the same block
  /// before it.
  void gather();
  /// The earliest event not given yet, and whose; of equal times, the lowest worker's. nullptr: there is none
  /// left. Good until release().
  const Event* next();
  /// The event so many places behind that in its ring; nullptr: next() will not give it yet. Good likewise.
  const Event* behind(uint32_t places) const;
  /// When that was which next() will give; nullopt: it will give nothing.
  std::optional<uint64_t> next_time() const;
  /// Of the event that next() gave last.
  const Input& input() const { return inputs_[last_]; }
  /// All that next() gave is safe.
  void release();
  /// Gives it again, after gather().
  void forget();

 private:
  struct Cursor {
    uint32_t given = 0, there = 0;
    uint64_t time = 0;  ///< of the next one
  };
  void look(size_t i);
  /// The input whose turn it is; how many there are, if it is nobody's.
  size_t first() const;
  uint64_t moves() const { return moves_ ? moves_() : 0; }

  std::vector<Input> inputs_;
  std::function<uint64_t()> moves_;
  std::vector<Cursor> cursors_;
  size_t last_ = 0;
};

}  // namespace culvert::logging
