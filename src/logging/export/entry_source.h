/// What an exporter reads: the ledger's entries, one after the other, as far as they are on the disk.
///
/// Belongs to one exporter and its thread; several sources read the same ledger at the same time. It never
/// blocks who writes. Functions may throw std::exception, with the reason: the exporter says so and tries
/// again, beginning with seek().
#pragma once

#include <cstdint>

#include "logging/entry.h"

namespace culvert::logging {

class EntrySource {
 public:
  virtual ~EntrySource() = default;

  /// The next entry. False: there is none yet. Entries without an ordinal stand where they happened.
  /// Ordinals rise; where one is left out, retention or damage took the event.
  virtual bool next(Entry& e) = 0;
  /// The next entry will be the one with this ordinal, with those without one that stand right before it, or
  /// the first one after it that is left.
  virtual void seek(uint64_t ordinal) = 0;
  /// The ordinal that the next event of the ledger will have: events below are on the disk.
  virtual uint64_t end() = 0;
};

}  // namespace culvert::logging
