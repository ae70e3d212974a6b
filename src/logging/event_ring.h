/// The way of an event from a worker to the log thread: a single-producer single-consumer ring in a
/// file-backed shared mapping. What was pushed is in the kernel's page cache, so a crash of the process loses
/// none: the next start finds and writes what was not consumed (`recovered()`).
///
/// push() never blocks: a full ring is the worker's cue to refuse the block (promise: never unlogged).
/// Producer: one worker. Consumer: the log thread. Replay uses an anonymous ring and drains it itself.
///
/// There is room for one mark (started, stopped) beyond `capacity`. If that is taken too, the newest event is
/// a mark and no block was given since, so a further one would tell nothing: a mark is never refused.
///
/// The file is one page of header, then `capacity` + 1 events. `head` counts the events ever pushed and
/// `tail` those consumed; both only grow, across restarts too, so that event n (from 1) of a ring has
/// sequence n for ever. An event is written before `head` says so: a process killed at any point leaves whole
/// events only. A crash of the machine may lose pages in any order; events it tore are recognised by their
/// sequence and put on record as EventKind::record_lost (`damaged()` counts them). All blocks of the file are
/// allocated at creation, so that a full disk shows there and not as SIGBUS on the packet path.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "logging/event.h"

namespace culvert::logging {

class EventRing {
 public:
  /// A ring in memory only, for replay and tests.
  explicit EventRing(uint32_t capacity);
  /// Opens or creates the ring file. Throws std::runtime_error naming path and remedy when the file cannot be
  /// made, is locked by another process, or is not a ring. A file with unconsumed events of a crashed process
  /// keeps them, whatever capacity is asked for.
  EventRing(const std::string& path, uint32_t capacity);
  ~EventRing();
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

  /// Producer. False when the ring is full; otherwise the event is on record, with its sequence number.
  bool push(const Event& event);
  /// Producer, or whoever starts and ends it while it does not run. Puts the mark of a start or end on
  /// record.
  void mark(EventKind kind, uint64_t time, uint8_t worker);
  /// Consumer. The oldest event not yet released, or nullptr. `ahead` peeks further.
  const Event* peek(uint32_t ahead = 0) const;
  /// Consumer: the first `n` events are safely written elsewhere.
  void release(uint32_t n);
  /// Events waiting for the consumer.
  uint32_t waiting() const;
  uint32_t capacity() const;
  /// Events that a crashed process left behind, found at opening.
  uint32_t recovered() const { return recovered_; }
  /// Of those, events that a crash of the machine destroyed.
  uint32_t damaged() const { return damaged_; }

  static constexpr uint32_t kMaxCapacity = 1u << 24;

 private:
  struct Header;
  void open(const std::string& path, uint32_t capacity);
  void make(uint32_t capacity, uint64_t pushed);
  void map(uint32_t capacity);
  void check_header(uint64_t file_size) const;
  void salvage();
  /// Where the event of this sequence - 1 lies.
  Event& slot(uint64_t position) const { return events_[position % (uint64_t{capacity_} + 1)]; }
  void put(const Event& event);
  [[noreturn]] void fail(const std::string& what, const std::string& fix) const;

  std::string path_;  ///< empty: in memory
  Header* header_ = nullptr;
  Event* events_ = nullptr;
  uint32_t capacity_ = 0;  ///< the header's, out of reach of whoever writes to the file
  size_t bytes_ = 0;
  int fd_ = -1;
  uint32_t recovered_ = 0, damaged_ = 0;
};

/// The file of a worker's ring in `directory`.
std::string ring_path(const std::string& directory, unsigned worker);
/// Ring files in `directory` of workers from `first` on, and the workers: what a process with more of them
/// left.
std::vector<std::pair<std::string, unsigned>> ring_files_from(const std::string& directory, unsigned first);

}  // namespace culvert::logging
