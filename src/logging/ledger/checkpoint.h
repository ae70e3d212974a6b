/// How a segment begins: its header, and all that holds at its opening, so that no reader needs the segment
/// before.
///
/// Functions of values; any thread.
#pragma once

#include <string>
#include <string_view>

#include "logging/ledger/format.h"
#include "logging/ledger/state.h"

namespace culvert::logging::ledger {

/// The bytes of a new segment up to checkpoint-end. Blocks and subscribers get new numbers, in order of need.
/// Resting blocks that were released before `rest_since` (event clock) are left out: nothing holds them down.
std::string begin_segment(const LiveHeader& header, const State& before, uint64_t rest_since);

/// What holds behind these bytes of a segment, and how many events they have. `bytes` begin with a header.
struct Replayed {
  LiveHeader header;
  State state;
  uint64_t whole = 0;      ///< bytes up to the end of the last whole batch
  uint64_t events = 0;     ///< those that damage took among them
  uint64_t last_time = 0;  ///< event clock
};
/// `on_damage` and `on_fault` may be empty. Throws std::runtime_error where `bytes` are no live segment.
Replayed replay(std::string_view bytes, const std::function<void(const Damage&)>& on_damage,
                const std::function<void(const Record&, const std::string&)>& on_fault);

}  // namespace culvert::logging::ledger
