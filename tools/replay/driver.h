/// The replay driver: an Engine turned by captures on one thread. Time is the captures' time, every random
/// choice comes from the seed, frames with the same millisecond from the same side make a burst: two runs of
/// the same input are equal to the byte.
///
/// Frames are given to the workers in turn, whatever subscriber they are from: so with several workers most
/// packets also go through the rings between them.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "control/engine.h"
#include "dataplane/eal.h"
#include "logging/entry.h"
#include "replay/capture_reader.h"

namespace culvert::replay {

class Driver {
 public:
  /// What becomes of a frame that leaves: its side, time and bytes (Ethernet).
  using Output = std::function<void(Side, uint64_t timestamp_ns, std::span<const uint8_t>)>;

  /// An event that goes on record.
  using Records = std::function<void(const logging::Entry&)>;

  /// `records` may be empty. `start_ns`: the first frame's time.
  Driver(const config::Config& config, uint64_t seed, uint64_t start_ns, Output output, Records records);
  ~Driver();

  /// Takes in a frame; frames come in order of time. Raw IP gets an Ethernet header.
  void push(const Frame& frame, LinkType type);
  /// Runs what is waiting, then lets the clock run on for this long.
  void run_on(uint64_t milliseconds);

  control::Engine& engine() { return *engine_; }
  /// Frames for the kernel (ARP, the box's own addresses), which replay has none of.
  uint64_t punted() const { return punted_; }
  /// Frames too long for a packet buffer.
  uint64_t oversized() const { return oversized_; }

 private:
  void flush_burst();
  void advance(dataplane::Millis to);
  /// Polls all workers until no packet is under way, then empties outboxes and record rings.
  void settle();
  void empty_outboxes();
  void record(const logging::Event& event) const;
  uint16_t port_of(Side side) const;
  const config::Interface& interface_of(Side side) const;

  dataplane::BufferPool buffers_;
  std::unique_ptr<control::Engine> engine_;
  Output output_;
  Records records_;
  std::vector<rte_mbuf*> burst_;
  Side burst_side_ = Side::inside;
  dataplane::Millis now_;
  uint64_t now_ns_;
  unsigned turn_ = 0;
  uint64_t punted_ = 0, oversized_ = 0;
};

}  // namespace culvert::replay
