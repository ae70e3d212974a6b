/// From detail files to an index.
///
/// An import reads what the index has not seen yet, and writes the whole index anew beside the old one, which
/// it then replaces: whoever looks something up meanwhile sees the one or the other. A crash leaves the old
/// one. Imports of the same files, in any order, often or at once, make the same sessions.
///
/// Belongs to one thread; other processes are kept away by a lock (FILE.lock).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "logging/radius/build.h"
#include "logging/radius/index.h"

namespace culvert::logging::radius {

/// The index' name in the ledger's directory.
inline constexpr std::string_view kIndexName = "radius.index";

struct ImportReport {
  uint64_t files = 0;      ///< read, or what came to them since the last time
  uint64_t unchanged = 0;  ///< not read: all in them was read before
  Tally tally;             ///< of all of them; its lines mean nothing
  /// The first of each: "FILE:LINE: why"; empty: none.
  std::string first_wrong, first_unknown_zone, first_wild_clock;
  /// Files that could not be read, or not to their end: "FILE: why". What came before that was taken.
  std::vector<std::string> failed;
  /// Files whose last record is unfinished yet.
  uint64_t unfinished = 0;
  uint64_t sessions = 0;  ///< of the index, afterwards
  uint64_t forgotten = 0;
  Span covered;          ///< by the index, afterwards
  bool written = false;  ///< nothing was new otherwise, and the index is as it was
};

/// Takes what these detail files, and those anywhere in these directories, have that the index at `index`
/// does not; makes it when it is not there. `options.scratch` is the index' directory. Throws
/// std::runtime_error (std::system_error is one) with path and remedy when the index cannot be read or
/// written; then it is as it was.
ImportReport import_files(const std::filesystem::path& index, const std::vector<std::filesystem::path>& paths,
                          BuildOptions options);

/// Opens an index; or, where these are detail files or directories of them, makes one of them that nobody
/// else sees and that ends with the process, in the directory for temporary files. Throws std::runtime_error.
/// What a file's reading had to complain of is in `report`.
Index open_sessions(const std::vector<std::filesystem::path>& paths, const Progress& progress,
                    ImportReport& report);

}  // namespace culvert::logging::radius
