/// What a segment says of itself: how its clock went, and where it cannot be trusted to say everything.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "logging/ledger/live_reader.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/sealed_segment.h"
#include "logging/query/clock.h"

namespace culvert::logging::query {

/// Why something may have happened that is not on record.
struct Doubt {
  Interval when;  ///< event clock
  std::string what;
};

struct SegmentFacts {
  uint64_t opened = 0;            ///< event clock
  uint64_t last_time = 0;         ///< of its last record, event clock
  uint64_t end_ordinal = 0;       ///< that of the next event behind it, as far as it says
  std::vector<ClockPiece> clock;  ///< from its opening on, without an end
  /// What the clock did before; `latest` is the system's time. nullopt: not known.
  std::optional<ledger::ClockPast> past;
  uint64_t sets = 0;        ///< how often it was set since
  bool damaged = false;     ///< notes may be missing: of the clock, and of what casts doubt
  bool unreadable = false;  ///< some of its notes are: nobody knows how the clock went
  /// What damage took may have been held on: it casts doubt on all that follows, to the segment's end, and
  /// then the next one's checkpoint says what held.
  std::vector<Doubt> doubts;
  std::map<uint64_t, ledger::InstanceNote> instances;  ///< by number
};

/// Gathers them, from a segment's notes and events in the ledger's order. It needs none of those that belong
/// to an address.
class FactsCollector {
 public:
  /// `name` of the file, for texts.
  FactsCollector(std::string name, uint64_t opened, uint64_t first_ordinal);

  void take(const ledger::Record& r);
  /// Something cannot be read.
  void damage(uint64_t after, const std::string& what);
  SegmentFacts& facts() { return facts_; }

 private:
  void lose(uint64_t after, const std::string& what);

  std::string name_;
  bool in_checkpoint_ = true;
  SegmentFacts facts_;
};

/// Those of a sealed segment; it reads its notes, and events of no address. `name`: of its file.
SegmentFacts facts_of(ledger::SealedSegment& segment, const std::string& name);

}  // namespace culvert::logging::query
