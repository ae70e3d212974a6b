/// Questions that `culvert log` answers out of an archive: who had a public address and port at a time, and
/// what a subscriber had. Times of questions are the system's clock's; where it was set back, one of them is
/// two of the ledger, and both are answered.
///
/// Whoever had it at some ms of the time asked for is told of. An answer says, too, whether the record is
/// complete there: it never says so where events are missing, nor where the clock may have shown that time in
/// what is missing. It speaks of what was until the archive's last record: the clock may be set back later.
/// (Of a part that was damaged before it was sealed, and had no event, it takes for granted that the clock
/// was not set there.)
///
/// Of explicit mappings and sessions the same, as far as they are on record. Sessions are not carried from
/// segment to segment: one is found if it began or ended in a segment that the answer is made of.
///
/// Functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "logging/ledger/archive.h"
#include "logging/query/subject.h"
#include "logging/query/tenure.h"

namespace culvert::logging::query {

/// Why the record may be incomplete, and when.
struct Caveat {
  Moment from, to;  ///< UINT64_MAX: without an end
  std::string what;
};

struct Finding {
  std::vector<Tenure> tenures;  ///< by when they began
  std::vector<SessionSpan> sessions;
  std::vector<Caveat> caveats;
  bool complete() const { return caveats.empty(); }
  /// The system's clock never showed the time asked for: it was set forward over it.
  bool no_such_time = false;
};

/// Who had it, for this protocol of IP (0: any), at a time in one of these intervals of the system's clock.
Finding who(ledger::Archive archive, const Place& place, uint8_t protocol,
            const std::vector<ledger::Interval>& when);

/// What subscribers of a prefix had.
Finding history(ledger::Archive archive, const net::Ipv6Prefix& prefix,
                const std::vector<ledger::Interval>& when);

}  // namespace culvert::logging::query
