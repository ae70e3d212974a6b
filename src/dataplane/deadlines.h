/// When the records of a table have to be looked at again, without looking at them: a time for every 16
/// records, before which none of the 16 runs out. A sweep reads these times, four bytes for sixteen records,
/// and looks only at records whose time has come; so the timers of ten million mappings cost a per mille of a
/// core and not a pass over their memory.
///
/// A time may be too early, since packets move their mapping's expiry without telling: then the sweep finds
/// nothing to do there and corrects it. It is never too late: whoever starts or shortens a timer calls
/// lower().
///
/// Belongs to one worker.
#pragma once

#include <algorithm>

#include "dataplane/huge_array.h"
#include "dataplane/time.h"

namespace culvert::dataplane {

class Deadlines {
 public:
  explicit Deadlines(uint32_t records) : earliest_(records / kGroup + 1) {}
  /// What a table of that many records takes for this.
  static constexpr size_t bytes_for(uint32_t records) { return (records / kGroup + 1) * sizeof(ShortTime); }

  /// A record's timer ends then, and that may be earlier than before.
  void lower(uint32_t record, ShortTime end) {
    ShortTime& e = earliest_[record / kGroup];
    if (e != kNotYet && end.before(e)) e = end;
  }
  /// Looks at the next records whose time has come, so that `elapsed` milliseconds after the last call as
  /// much of a round over the first `records` is done as keeps it under `round` milliseconds. `visit(record)`
  /// does what is due and returns when to look again: the end of the record's timer, or later(now) for none.
  /// `all`: visits every record on its way.
  ///
  /// Packets wait meanwhile, so one call does no more work than a burst of packets is, some microseconds, and
  /// says whether more is due: then call again, with the time elapsed since.
  template <typename Visit>
  bool sweep(uint32_t records, uint64_t elapsed, uint64_t round, bool all, Millis now, Visit&& visit) {
    const uint64_t groups = (uint64_t{records} + kGroup - 1) / kGroup;
    due_ = std::min(groups, due_ + (groups * std::min(elapsed, round) + round - 1) / round);
    for (unsigned work = 0; due_ > 0 && work < kMostWork; due_--, work++) {
      if (hand_ >= groups) hand_ = 0;
      const auto g = static_cast<uint32_t>(hand_++);
      if (!earliest_[g].passed(now) && earliest_[g] != kNotYet && !all) [[likely]]
        continue;
      work += kVisitWork;
      ShortTime next = later(now);
      for (uint32_t r = g * kGroup; r < std::min(records, (g + 1) * kGroup); r++) {
        const ShortTime end = visit(r);
        if (end.before(next)) next = end;
      }
      earliest_[g] = next;
    }
    return due_ != 0;
  }
  /// Later than any timer that runs now.
  static ShortTime later(Millis now) { return ShortTime(now + uint64_t{kLongestTimerSeconds} * 1000); }

  size_t bytes() const { return earliest_.size() * sizeof(ShortTime); }

 private:
  static constexpr uint32_t kGroup = 16;
  /// Of a group nobody has looked at yet: it is no time, for half of all times lie before 0. (A time that is
  /// 0 by chance is looked at too early.)
  static constexpr ShortTime kNotYet{};
  /// Of one call, in nanoseconds or so: one for a group passed over, two thousand for sixteen records, which
  /// may all end.
  static constexpr unsigned kMostWork = 4096, kVisitWork = 2000;

  HugeArray<ShortTime> earliest_;
  uint64_t hand_ = 0;  ///< next group
  uint64_t due_ = 0;   ///< groups still to be looked at
};

}  // namespace culvert::dataplane
