/// Sealing as a step in the life of a ledger's directory: which segments are to be sealed, and what becomes
/// of the live one's file. For who holds the ledger's Lock.
///
/// The live file goes when the sealed one is on the disk, was read back and is as it must be; what of it
/// was damaged goes into a .cut file first. Whatever a crash leaves, the next
/// attempt goes on with.
///
/// Functions; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "logging/ledger/notes.h"

namespace culvert::logging::ledger {

/// The live files of segments that have ended, in the order in which they are to be sealed; one that was
/// sealed, but for its live file, among them. `last`: that of the last segment too, for a ledger that nobody
/// writes to any more. Throws std::system_error.
std::vector<std::filesystem::path> unsealed(const std::filesystem::path& directory, bool last);

/// Seals one; those before it must be. `on_sealed` is told of it before the live file goes, and says whether
/// it may. `tell` hears of what is not as it should be. Returns whether all was done. Throws
/// std::runtime_error or std::system_error with the path; then the live file is there still.
bool seal_one(const std::filesystem::path& live, const std::function<bool(const SegmentNote&)>& on_sealed,
              const std::function<void(const std::string&)>& tell);

}  // namespace culvert::logging::ledger
