/// The way of an event from a worker to the log thread: a single-producer single-consumer ring in a file-backed
/// shared mapping. What was pushed is in the kernel's page cache, so a crash of the process loses none: the next
/// start finds and writes what was not consumed (`recovered()`).
///
/// push() never blocks: a full ring is the worker's cue to refuse the block (promise: never unlogged).
/// Producer: one worker. Consumer: the log thread. Replay uses an anonymous ring and drains it itself.
#pragma once

#include <atomic>
#include <memory>
#include <string>

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
  /// Consumer. The oldest event not yet released, or nullptr. `ahead` peeks further.
  const Event* peek(uint32_t ahead = 0) const;
  /// Consumer: the first `n` events are safely written elsewhere.
  void release(uint32_t n);
  /// Events waiting for the consumer.
  uint32_t waiting() const;
  uint32_t capacity() const;
  /// Events that a crashed process left behind, found at opening.
  uint32_t recovered() const { return recovered_; }

 private:
  struct Header;
  Header* header_ = nullptr;
  Event* events_ = nullptr;
  size_t bytes_ = 0;
  int fd_ = -1;
  uint32_t recovered_ = 0;
};

}  // namespace culvert::logging
