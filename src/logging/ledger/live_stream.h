/// The records of a live segment's file, one after the other, also while it grows.
///
/// Memory: a window of the file that has the batch being read, kWindow bytes at first and twice as many
/// whenever no whole batch is in it; a stretch of kMaxWindow without one counts as damaged to the file's end.
/// What a process that starts anew takes off the file's end (docs/ledger.md, "Crashes") was never told: it
/// was no whole batch.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "logging/ledger/live_reader.h"

namespace culvert::logging::ledger {

class LiveStream {
 public:
  static constexpr size_t kWindow = 256u << 10, kMaxWindow = 64u << 20;

  /// Throws std::system_error when the file cannot be read, std::runtime_error when it is no live segment,
  /// both with the path.
  explicit LiveStream(const std::filesystem::path& path);
  ~LiveStream();
  LiveStream(const LiveStream&) = delete;
  LiveStream& operator=(const LiveStream&) = delete;

  const LiveHeader& header() const { return *reader_->header(); }
  /// Goes on to the next record. False: there is none, or none yet. Throws std::system_error.
  bool next();
  /// Its body is good until the next call.
  const Record& record() const { return reader_->record(); }
  /// The file does not grow any more: what is no whole batch at its end is damage.
  void finish() { finished_ = true; }
  /// Told of damage, as LiveReader does.
  void on_damage(std::function<void(const Damage&)> tell) { reader_->on_damage = std::move(tell); }
  /// Bytes read so far.
  uint64_t at() const { return reader_->wanted(); }

 private:
  size_t read_window(uint64_t offset, size_t bytes);

  std::filesystem::path path_;
  int fd_ = -1;
  std::string window_;
  size_t size_ = kWindow;
  bool finished_ = false;  ///< finish() was called
  bool drained_ = false;   ///< and the reader knows
  std::optional<LiveReader> reader_;
};

}  // namespace culvert::logging::ledger
