/// A box of one carriage and one worker, with packets from memory: Worker::receive() and poll() as the worker
/// loop calls them, and nothing else. Devices cost nothing here.
///
/// How a scenario is timed. A window of 2,048 mbufs is filled with frames, untimed, as a NIC would have
/// written them; then the clock runs while the window goes through the worker in bursts of 32, until all
/// bursts stand in the array that a driver's transmit function would be given. What was sent is freed
/// untimed; what the worker drops it frees itself, timed. Which frames: a shuffled list is read in order, so
/// that choosing costs no cache miss.
///
/// The box's clock goes with real time, so that timers are written as often as in life.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "control/engine.h"
#include "dataplane/eal.h"
#include "frames.h"

namespace culvert::bench {

/// A time stamp counter reading.
uint64_t ticks();
/// Its rate, a second.
double ticks_per_second();

inline constexpr unsigned kWindow = 2048;
inline constexpr uint16_t kInside = 0, kOutside = 1;  ///< ports

/// What kind of box.
struct Plan {
  Carriage carriage = Carriage::nat44;
  uint32_t subscribers = 100;
  uint32_t mappings_each = 10;
  uint32_t mapping_capacity = 0;     ///< 0: a tenth more than subscribers × mappings_each
  uint32_t subscriber_capacity = 0;  ///< 0: a tenth more than subscribers
  uint32_t limit = 0;                ///< mappings-per-subscriber
  unsigned workers = 1;
  config::Timers timers{.udp = config::seconds(86400)};
  uint32_t hold_down_seconds = 120;

  uint32_t mappings() const { return subscribers * mappings_each; }
};

/// One end of a mapping, as a generator needs it: (subscriber, port), or (address, port).
struct End {
  uint32_t who = 0;
  uint16_t port = 0;
};

/// Packets in and time taken.
struct Tally {
  uint64_t packets = 0, ticks = 0;
  double rate() const {
    return static_cast<double>(packets) * ticks_per_second() / static_cast<double>(ticks);
  }
};

class Box {
 public:
  explicit Box(const Plan& plan);
  ~Box();
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;

  const Plan& plan() const { return plan_; }
  dataplane::Worker& worker(unsigned i = 0) { return engine_->worker(i); }
  control::Engine& engine() { return *engine_; }
  /// The box's clock: goes with real time from the box's making on.
  dataplane::Millis now() const;
  /// Moves the clock forward.
  void skip(uint64_t milliseconds) { skipped_ += milliseconds; }

  /// Makes all mappings of the plan, subscriber by subscriber, and returns what that took. Throws when one is
  /// missing. `spread`: milliseconds that pass on the box's clock meanwhile, evenly.
  Tally establish(uint64_t spread = 0);
  /// The inside and outside ends of all live mappings, each list in an order of its own.
  void learn_ends(std::vector<End>* inside, std::vector<End>* outside, uint64_t seed) const;

  /// Fills mbuf number i (0 to kWindow - 1) of a window; returns the frame's size.
  using Fill = std::function<unsigned(uint8_t* frame, unsigned i)>;
  /// Sends one window in through a port and takes what comes out.
  Tally window(uint16_t port, const Fill& fill);
  /// The same, but bursts come out of and go into an rte_ring, as between two processes.
  Tally window_by_ring(uint16_t port, const Fill& fill);
  /// The same for the baseline: no worker, every frame has its MAC addresses swapped.
  Tally window_of_swaps(const Fill& fill);

  /// Mapping number i of establish(): its port, and its key.
  uint16_t port_of(uint32_t i) const;
  dataplane::InternalKey key_of(uint32_t i) const;
  /// Memory of the packet buffers.
  size_t buffer_bytes() const { return buffer_bytes_; }

  /// Packets that came out since the last call.
  uint64_t take_sent() { return std::exchange(sent_, 0); }
  /// Dropped so far, for any reason.
  uint64_t dropped() const;
  /// Why, for messages.
  std::string drop_reasons() const;
  /// The log thread's part: empties the event rings, unread.
  void drain_log();

 private:
  void load(const Fill& fill);
  /// Sends the loaded window through.
  Tally drive(uint16_t port);
  /// The same; what bench/instructions counts the instructions of.
  [[gnu::noinline]] Tally counted(uint16_t port);
  void collect();
  void free_collected();

  Plan plan_;
  dataplane::BufferPool buffers_;
  size_t buffer_bytes_ = 0;
  std::unique_ptr<control::Engine> engine_;
  std::vector<rte_mbuf*> mbufs_, out_;
  rte_ring *ring_in_ = nullptr, *ring_out_ = nullptr;
  uint64_t born_ = 0, skipped_ = 0, sent_ = 0;
};

}  // namespace culvert::bench
