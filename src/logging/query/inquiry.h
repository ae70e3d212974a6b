/// An archive, opened for one question: each segment that is concerned is opened once, and what it says of
/// itself is kept. Which segments a time concerns, their headers tell; only where the system's clock was set
/// within one, its notes too. A live segment has no index, and is read whole (live_scan.h).
///
/// Memory: 40 kB an opened segment, of which at most kMostOpen are open at once, and LiveScans.
/// Belongs to one thread. The archive must live longer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "logging/ledger/archive.h"
#include "logging/query/live_scan.h"

namespace culvert::logging::query {

/// A segment whose header could be read, and the rest cannot.
struct Unreadable : std::runtime_error {
  Unreadable(size_t s, const std::string& what) : std::runtime_error(what), segment(s) {}
  size_t segment;  ///< index
};

/// A stretch of the event clock that a question is about, and the segment that has it; or the one before it,
/// where there is a hole; or the one behind it, where it is before the first.
struct Stretch {
  size_t segment = 0;
  Interval when;
  bool in_hole = false;
};

class Inquiry {
 public:
  static constexpr size_t kMostOpen = 64;

  Inquiry(const ledger::Archive& archive, Subject subject);

  size_t size() const { return archive_.segments().size(); }
  uint64_t opened(size_t segment) const { return at(segment).opened; }
  bool hole_before(size_t segment) const { return archive_.hole_before(segment); }
  const Subject& subject() const { return subject_; }
  // All throw Unreadable.
  const SegmentFacts& facts(size_t segment);
  /// Where these times of the system's clock are. None: it never showed them.
  std::vector<Stretch> stretches(Interval system);
  /// What it showed at a time of the event clock.
  uint64_t system_time(uint64_t event);
  /// Why what happened there may not be on record.
  std::vector<Doubt> doubts(const Stretch& stretch);
  /// Why they may be elsewhere, too: the clock may have been set in segments, or parts of them, that are not
  /// there.
  std::vector<Doubt> elsewhere(Interval system);
  /// Until when a segment is sure to say everything.
  uint64_t known_until(size_t segment);
  /// Times of its last records before what of it is missing, as far as that is found by now. In order.
  std::vector<uint64_t> gaps(size_t segment);

  /// A segment's answer, part by part in the order of time, from the part on that has `from`. `take` gets the
  /// part, when it begins and when the next one does (UINT64_MAX: none), and returns whether it wants that.
  /// Of an address a live segment answers all ports, and all of its time at once.
  using Take = std::function<bool(const ledger::Answer& part, uint64_t begin, uint64_t next)>;
  void answer(size_t segment, uint64_t from, const Take& take);

 private:
  struct Opened {
    std::unique_ptr<ledger::SealedSegment> sealed;
    std::unique_ptr<LiveScan> live;
    std::optional<SegmentFacts> facts;
    std::vector<Doubt> damage;  ///< found by reading
  };

  Opened& open(size_t segment);
  void close_others(size_t segment);
  const ledger::Segment& at(size_t segment) const { return archive_.segments()[segment]; }
  std::string name(size_t segment) const { return at(segment).file.path.filename().string(); }
  bool last(size_t segment) const { return segment + 1 == size(); }
  uint64_t last_time(size_t segment);
  std::vector<Interval> times_in(size_t segment, Interval system);
  void add_neighbours(std::vector<Stretch>& all) const;
  bool had(size_t before, Interval system);
  bool set_unseen(size_t before);
  int64_t ahead_at_ends(size_t segment, bool beginning);
  void answer_sealed(ledger::SealedSegment& sealed, uint64_t from, const Take& take) const;

  const ledger::Archive& archive_;
  Subject subject_;
  std::vector<Opened> opened_;
};

}  // namespace culvert::logging::query
