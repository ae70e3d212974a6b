/// Writes an index: sessions one by one, in the order of NAS, id and time, then all the rest. What they are
/// found by is sorted on the way, in a temporary file where memory does not hold it.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "logging/radius/file.h"
#include "logging/radius/index_format.h"
#include "logging/radius/session.h"
#include "logging/radius/sorter.h"
#include "logging/radius/sources.h"
#include "logging/radius/table.h"

namespace culvert::logging::radius {

using Restarts = std::map<std::string, std::vector<Restart>>;

class IndexWriter {
 public:
  /// `file` is empty and lives longer; `scratch`, `memory`: as a Sorter's.
  IndexWriter(File& file, const std::filesystem::path& scratch, size_t memory);

  /// Throws std::system_error, as all of this does.
  void add(const Session& session);
  /// `restarts`: of each NAS by time, kMaxRestarts at most.
  void finish(const Restarts& restarts, const std::vector<Source>& sources, const Span& covered);

  uint64_t sessions() const { return header_.sessions; }

 private:
  void add_key(const Key& key, uint64_t from, uint64_t until);
  TablePlace write_keys();
  TablePlace write_nases(const Restarts& restarts);

  File& file_;
  uint64_t offset_ = kIndexHeaderBytes;
  IndexHeader header_;
  TableWriter sessions_;
  Sorter keys_;
  std::vector<Nas> nases_;  ///< without restarts
  std::string row_;
};

}  // namespace culvert::logging::radius
