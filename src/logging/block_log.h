/// The block log: one line of text for every event, appended to a file.
///
///     2026-11-21T01:12:07.123Z block-allocated subscriber=2001:db8:1::/56 external=203.0.113.5
///         ports=1024-1535 instance=homes reason=first-packet worker=0 sequence=1
///
/// (on one line; a block-released ends with peak-mappings=N). A subscriber that is a single host has no
/// prefix length. `started` and `stopped` lines, with worker and sequence only, end all blocks. `LogThread`
/// moves events from the rings to the file: when the disk is full or gone it keeps the events in their rings,
/// says so once, and tries again; the workers then refuse new blocks instead of giving ports that no record
/// knows.
///
/// After a crash between writing a line and releasing its event the line is there twice; worker and sequence
/// tell.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "logging/event_ring.h"

namespace culvert::logging {

/// One line, without the newline. Safe on any event.
std::string format_event(const Event& event);

/// An append-only file of events. One user at a time (the log thread, or replay).
class BlockLog {
 public:
  /// Opens for appending, making missing directories. Throws std::runtime_error with path and reason.
  explicit BlockLog(std::string path);
  ~BlockLog();
  BlockLog(const BlockLog&) = delete;
  BlockLog& operator=(const BlockLog&) = delete;

  /// Writes every waiting event of the ring and releases them. Returns how many; on a write error releases
  /// only what was written whole, and `error()` tells.
  size_t drain(EventRing& ring);
  /// fdatasync(2).
  void sync();
  /// Closes and opens again under the same name, for logrotate (SIGHUP). When that fails it throws like the
  /// constructor and the old file stays in use.
  void reopen();
  const std::string& path() const { return path_; }
  /// errno of the last write, 0 when it went well.
  int error() const { return error_; }

 private:
  int open() const;
  size_t write_some(const char* data, size_t size);

  std::string path_;
  int fd_ = -1;
  int error_ = 0;
  std::string text_;              ///< lines about to be written
  std::vector<size_t> ends_;      ///< where each line of text_ ends
  EventRing* torn_in_ = nullptr;  ///< whose oldest event's line the file has only the beginning of
  size_t torn_ = 0;               ///< and how many bytes
};

/// The thread that drains all rings into one BlockLog, waking every few milliseconds.
class LogThread {
 public:
  /// `complain` is called (from the log thread) when writing fails and when it works again.
  LogThread(BlockLog& log, std::vector<EventRing*> rings, std::function<void(const std::string&)> complain);
  /// Drains what is left and joins. What cannot be written then stays in the rings' files.
  ~LogThread();
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;
  uint64_t written() const { return written_.load(std::memory_order_relaxed); }
  uint64_t write_errors() const { return errors_.load(std::memory_order_relaxed); }
  /// Whether the last write failed: records wait and new blocks will be refused when the rings are full.
  bool failing() const { return failing_.load(std::memory_order_relaxed); }
  /// Asks the thread to reopen its file.
  void request_reopen() { reopen_.store(true); }

 private:
  void run();
  size_t drain_all();
  void rest(std::chrono::milliseconds time);

  BlockLog& log_;
  std::vector<EventRing*> rings_;
  std::function<void(const std::string&)> complain_;
  std::atomic<uint64_t> written_{0}, errors_{0};
  std::atomic<bool> failing_{false}, reopen_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;  ///< under mutex_
  std::thread thread_;
};

}  // namespace culvert::logging
