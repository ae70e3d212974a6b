/// Refusals on record: who could not be served, and why. A flood of them is one record a second for each
/// reason, which counts those since the one before.
///
/// Belongs to one worker.
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "dataplane/drop_reason.h"
#include "dataplane/time.h"

namespace culvert::dataplane {

class RefusalLog {
 public:
  /// Somebody was refused something. How many were since the last record, if there is to be one now; `room`:
  /// there can be one, else they are counted for the next.
  std::optional<uint32_t> count(DropReason why, bool room, Millis now) {
    Kind& k = kinds_[static_cast<size_t>(why)];
    k.count++;
    if (now < k.next || !room) return std::nullopt;
    k.next = now + kEvery;
    return std::exchange(k.count, 0);
  }

 private:
  static constexpr Millis kEvery = 1000;
  struct Kind {
    Millis next = 0;
    uint32_t count = 0;
  };
  std::array<Kind, kDropReasonCount> kinds_{};
};

}  // namespace culvert::dataplane
