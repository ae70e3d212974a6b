/// Everything that a ledger tells, entry after entry, through all its segments, in its order; also while it
/// is written.
///
/// Segments that are not concerned are not read, but for their headers. Where one is missing, cannot be read
/// or is damaged, that is told, and reading goes on behind it.
///
/// Memory: one segment's SegmentReader and State. Belongs to one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "logging/entry.h"
#include "logging/ledger/archive.h"
#include "logging/ledger/segment_reader.h"
#include "logging/ledger/teller.h"

namespace culvert::logging::ledger {

class ArchiveReader {
 public:
  /// `synced`: an ordinal below which events are on the disk; others are not told. nullptr: all are told that
  /// can be read.
  explicit ArchiveReader(std::filesystem::path directory, const std::atomic<uint64_t>* synced = nullptr);

  /// Told of what cannot be read: what is wrong, with paths.
  std::function<void(const std::string&)> on_trouble;

  /// Begins (again) with the event of this ordinal, and what was noted right before it, or with the first one
  /// behind it that is there. Throws std::system_error when the directory cannot be read.
  void seek(uint64_t ordinal);
  /// Begins (again) with the last segment.
  void seek_last();
  /// From here on only entries of the system's time in this interval are told.
  void only(Interval when) { when_ = when; }

  /// The next one. False: there is none, or none yet. Throws std::system_error when a disk fails.
  bool next(Entry& e);

  /// Bytes read, or passed over, of those that the archive had at seek().
  uint64_t read() const { return passed_ + (reader_ ? reader_->at() : 0); }
  uint64_t total() const { return total_; }

 private:
  void begin_behind(uint64_t serial, uint64_t from);
  bool open_next();
  void close();
  void find_successor();
  void trouble(const std::string& what);

  std::filesystem::path directory_;
  const std::atomic<uint64_t>* synced_;
  Interval when_{0, UINT64_MAX};
  uint64_t from_ = 0;    ///< events below are left out
  uint64_t serial_ = 0;  ///< of the segment being read, or the one before the next
  uint64_t passed_ = 0, total_ = 0;

  std::string last_trouble_;
  SegmentFile file_;
  std::unique_ptr<SegmentReader> reader_;
  std::optional<Teller> teller_;
  std::optional<Segment> successor_;  ///< of the segment being read, as far as known
  uint64_t synced_before_ = 0;        ///< what *synced_ was when successor_ was looked for
  bool pending_ = false;              ///< the reader's record was not told yet
  bool ended_ = false;                ///< the segment does not grow any more
};

/// The ordinal that the ledger's next event will have, as far as its files say. 1: it has none. Throws
/// std::system_error, or std::runtime_error where the last segment cannot be read.
uint64_t next_ordinal(const std::filesystem::path& directory);

}  // namespace culvert::logging::ledger
