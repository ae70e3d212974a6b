/// Makes an index of records that come in any order, and of the sessions of an index before it. Records are
/// sorted by NAS, id and time, in a temporary file where memory does not hold them; then old sessions and new
/// records run past each other once and are put together.
///
/// Memory: twice BuildOptions::memory and what Sorter says, some bytes for each NAS and each of its restarts,
/// and 56 for every 16 KiB of rows.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "logging/radius/index.h"
#include "logging/radius/index_writer.h"
#include "logging/radius/record.h"
#include "logging/radius/sorter.h"

namespace culvert::logging::radius {

/// Called now and then during long work: what is being done, and how much of how much.
using Progress = std::function<void(std::string_view doing, uint64_t done, uint64_t total)>;

struct BuildOptions {
  std::filesystem::path scratch;  ///< a directory for temporary files
  size_t memory = 64u << 20;
  /// Sessions that ended before this, s since the Unix epoch, are left out; the records say when: a Stop, a
  /// restart of the NAS, another session of the same id.
  uint64_t forget_before = 0;
  /// Sessions without such an end are left out when nothing was heard of them since this.
  uint64_t forget_silent_before = 0;
  Progress progress;
};

class Builder {
 public:
  explicit Builder(const BuildOptions& options);

  void add(const Record& record);
  uint64_t records() const { return sorter_.items(); }
  /// Writes the index to `file`, which is empty. Once.
  struct Result {
    uint64_t sessions = 0;
    uint64_t forgotten = 0;
    Span covered;
  };
  Result build(const Index* old, const std::vector<Source>& sources, File& file);

 private:
  std::optional<Session> next_record();
  void note_restart(const std::string& nas, const Restart& restart);
  void put(IndexWriter& writer, Session& session, Result& result);
  bool forgotten(const Session& session) const;

  const BuildOptions options_;
  Sorter sorter_;
  Restarts restarts_;
  Span covered_{UINT64_MAX, 0};
  std::string item_;
};

}  // namespace culvert::logging::radius
