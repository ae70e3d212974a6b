/// Retention: which sealed segments are to go, because they are too old, or all files together too large.
///
/// The oldest go first. The last sealed one stays, since the next is chained to it; so does what is not
/// sealed. Before one goes its hash is put on record (`retired`), so that the chain of those that stay has
/// its beginning on record.
///
/// Functions; any thread; for who holds the ledger's Lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "logging/ledger/notes.h"

namespace culvert::logging::ledger {

struct Retention {
  uint64_t age_ms = 0;  ///< since a segment's last record; 0: any
  uint64_t bytes = 0;   ///< of all segments; 0: any
  bool operator==(const Retention&) const = default;
};

struct Retired {
  std::filesystem::path path;
  SegmentNote note;  ///< zeros for a hash where the file is damaged
};

/// Those that are to go, in this order. `now`: event clock. Throws std::system_error when the directory
/// cannot be read.
std::vector<Retired> to_retire(const std::filesystem::path& directory, const Retention& retention,
                               uint64_t now);

/// Removes one; on return that is on the disk. Throws std::system_error with the path.
void retire(const Retired& segment);

}  // namespace culvert::logging::ledger
