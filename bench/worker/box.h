/// A box of one carriage, with packets from memory: Worker::receive() and poll() as the worker loop calls
/// them, and nothing else. Devices cost nothing here.
///
/// How a scenario is timed. A window of 2,048 mbufs is filled with frames, untimed (feed.h); then the clock
/// runs while the window goes through the worker in bursts of 32, until all of them stand in the array that a
/// driver's transmit function would be given. What was sent is freed untimed; what the worker drops it frees
/// itself, timed. Which frames: a shuffled list is read in order (flows.h), so that choosing costs no cache
/// miss.
///
/// Thread: one, which turns all workers of the box in turn; team.h gives each its own.
#pragma once

#include <memory>
#include <string>

#include "clock.h"
#include "control/engine.h"
#include "dataplane/eal.h"
#include "feed.h"
#include "plan.h"

namespace culvert::bench {

class Box {
 public:
  explicit Box(const Plan& plan);
  ~Box();
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;

  const Plan& plan() const { return plan_; }
  dataplane::Worker& worker(unsigned i = 0) { return engine_->worker(i); }
  control::Engine& engine() { return *engine_; }
  Clock& clock() { return clock_; }
  dataplane::Millis now() const { return clock_.now(); }
  rte_mempool* buffers() { return buffers_.get(); }
  /// Memory of the packet buffers.
  size_t buffer_bytes() const { return buffer_bytes_; }

  /// Makes all mappings of the plan, subscriber by subscriber, and returns what that took. Throws when one is
  /// missing. `spread`: milliseconds that pass on the box's clock meanwhile, evenly.
  Tally establish(uint64_t spread = 0);

  /// Sends one window in through a port of worker `to` and takes what comes out.
  Tally window(uint16_t port, const Fill& fill, unsigned to = 0);
  /// The same, and times every burst: Tally::longest.
  Tally window_watched(uint16_t port, const Fill& fill);
  /// The same, but bursts come out of and go into an rte_ring, as between two processes.
  Tally window_by_ring(uint16_t port, const Fill& fill);
  /// The same for the baseline: no worker, every frame has its MAC addresses swapped.
  Tally window_of_swaps(const Fill& fill);

  /// Mapping number i of establish(): its port, and its key.
  uint16_t port_of(uint32_t i) const;
  dataplane::InternalKey key_of(uint32_t i) const;

  /// Live mappings, of all workers.
  uint32_t mappings() const;
  /// Packets dropped so far by all workers, for any reason.
  uint64_t dropped() const;
  /// Why, for messages.
  std::string drop_reasons() const;
  /// Throws std::runtime_error, saying `what` and why, when packets were dropped since dropped() was
  /// `before`.
  void check_none_dropped_since(uint64_t before,
                                const char* what = "packets of live mappings were dropped") const;
  /// The log thread's part: empties the event rings, unread.
  void drain_log();

 private:
  /// Sends the loaded window through.
  Tally drive(uint16_t port, unsigned to);
  /// The same; what bench/instructions counts the instructions of.
  [[gnu::noinline]] Tally counted(uint16_t port, unsigned to);
  /// One burst: received by worker `to`, then all workers are polled.
  void turn(uint16_t port, unsigned to, unsigned packet);

  Plan plan_;
  Clock clock_;
  dataplane::BufferPool buffers_;
  size_t buffer_bytes_ = 0;
  std::unique_ptr<control::Engine> engine_;
  std::unique_ptr<Feed> feed_;
  rte_ring *ring_in_ = nullptr, *ring_out_ = nullptr;
};

}  // namespace culvert::bench
