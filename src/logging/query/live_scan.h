/// A live segment has no index: it is read from its beginning to its end, and what a question is about is
/// picked out. (40 MB for a day of four million events; sealing makes it fast.)
///
/// Memory: what is picked, 48 bytes for each subscriber that the segment has and, for a prefix, 40 for each
/// block that somebody holds.
#pragma once

#include <string>

#include "logging/ledger/live_stream.h"
#include "logging/ledger/sealed_query.h"
#include "logging/query/segment_facts.h"
#include "logging/query/subject.h"

namespace culvert::logging::query {

struct LiveScan {
  SegmentFacts facts;
  /// As a sealed segment answers, from its opening on; of an address always all ports.
  ledger::Answer answer;
};

/// Events with the ordinal `end_ordinal`, or a higher one, do not count. `last`: no segment is behind it, so
/// it may be growing, and what is no whole batch at its end was never on record. `name`: of its file.
LiveScan scan(ledger::LiveStream& live, const Subject& subject, uint64_t end_ordinal, bool last,
              const std::string& name);

}  // namespace culvert::logging::query
