/// The way of an event from a worker to the recorder: a single-producer single-consumer ring in a file-backed
/// shared mapping. What was pushed is in the kernel's page cache, so a crash of the process loses none: the
/// next start finds what was not consumed, and puts it on record.
///
/// push() never blocks: a full ring is the worker's cue to refuse the block (promise: never unlogged).
/// Producer: one worker. Consumer: the recorder. Replay uses a ring in memory and drains it itself.
///
/// The file is one page of header, then `capacity` events. `head` counts the events pushed and `tail` those
/// consumed; event n (from 1) has sequence n. Each run of culvertd makes its rings anew, in an epoch of its
/// own, so epoch and sequence name an event for ever. An event is written before `head` says so: a process
/// killed at any point leaves whole events only. A crash of the machine may lose pages in any order, where
/// the file is on a disk; events it tore are recognised by their sequence and become EventKind::record_lost.
/// All blocks of the file are allocated at creation, so that a full disk shows there and not as SIGBUS on the
/// packet path.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "logging/event.h"

namespace culvert::logging {

class EventRing {
 public:
  /// A ring in memory only, for replay and tests.
  explicit EventRing(uint32_t capacity);
  /// Makes the ring file, empty. Throws std::runtime_error naming path and remedy when it cannot be made, is
  /// locked by another process, is not a ring, or has events that nobody has put on record. `epoch`: greater
  /// than any before in this file.
  EventRing(const std::string& path, uint32_t capacity, uint64_t epoch);
  /// Opens the ring file that an ended process left, for its events. Throws likewise. A file whose making was
  /// cut short is an empty ring.
  explicit EventRing(const std::string& path);
  ~EventRing();
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

  /// Producer. False when the ring is full; otherwise the event is on record, with its sequence number.
  bool push(const Event& event);
  /// Consumer. The oldest event not yet released, or nullptr. `ahead` peeks further.
  const Event* peek(uint32_t ahead = 0) const;
  /// Consumer: the first `n` events are safely written elsewhere.
  void release(uint32_t n);
  /// Sequence of the newest event, and of the last one released: 0 before the first. Any thread.
  uint64_t pushed() const;
  uint64_t released() const;
  /// Events waiting for the consumer.
  uint32_t waiting() const;
  uint32_t capacity() const { return capacity_; }
  uint64_t epoch() const;
  /// Of an ended process' ring: events that a crash of the machine destroyed.
  uint32_t damaged() const { return damaged_; }

  static constexpr uint32_t kMaxCapacity = 1u << 24;
  /// A worker's, 16 MiB: what comes while a disk takes 100 ms, at 2.6 M events a second.
  static constexpr uint32_t kUsualCapacity = 1u << 18;
  /// Bytes of a ring's file.
  static size_t bytes_for(uint32_t capacity);

 private:
  struct Header;
  void open(uint32_t mode);
  void make(uint32_t capacity, uint64_t epoch);
  void map(uint32_t capacity);
  void unmap();
  bool find_left_behind();
  void check_header(uint64_t file_size) const;
  void salvage();
  /// Where the event of this sequence - 1 lies.
  Event& slot(uint64_t position) const { return events_[position % capacity_]; }
  [[noreturn]] void fail(const std::string& what, const std::string& fix) const;

  std::string path_;  ///< empty: in memory
  Header* header_ = nullptr;
  Event* events_ = nullptr;
  uint32_t capacity_ = 0;  ///< the header's, out of reach of whoever writes to the file
  size_t bytes_ = 0;
  int fd_ = -1;
  uint32_t damaged_ = 0;
};

/// The file of a worker's ring in `directory`.
std::string ring_path(const std::string& directory, unsigned worker);
/// Ring files in `directory`, and their workers.
std::vector<std::pair<std::string, unsigned>> ring_files(const std::string& directory);

}  // namespace culvert::logging
