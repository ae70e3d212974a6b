/// The appliance without devices, for the packet fuzzer and the sanitizer's proof: the real Engine with a
/// NAT44, a DS-Lite and a NAT64 instance, turned by hand on one thread, with packets from memory. What leaves
/// is checked as a strict neighbour would: headers, lengths, IPv4 checksums, MTU, no bytes of a buffer that
/// no device can send.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/engine.h"
#include "dataplane/eal.h"

namespace culvert::fuzz {

using dataplane::Millis;

enum class Side : uint8_t { inside, outside };

/// A frame that left the box.
struct Sent {
  Side side;
  std::vector<uint8_t> bytes;
  unsigned mtu;   ///< of that side
  bool sendable;  ///< it lies in one buffer of the ports' pool
};

class Box {
 public:
  static constexpr Millis kStart = 1'700'000'000'000;

  explicit Box(unsigned workers = 2);
  /// Another configuration; `seed`: of the engine's random choices.
  Box(const config::Config& config, uint64_t seed);
  ~Box();
  /// What a box is made of when nothing else is said.
  static config::Config configuration(unsigned workers = 2);
  /// The same with other MTUs, fragment-behavior and udp-zero-checksum, for each `number` below kVariants.
  static config::Config variant(unsigned number);
  static constexpr unsigned kVariants = 12;
  /// Whether a packet between these is only routed (nat-pass-through). `port`: the remote's, if it has one.
  static bool passes_through(uint32_t subscriber, uint32_t remote, std::optional<uint16_t> port);

  /// A frame arrives at one worker's queue. False when there is no buffer for it.
  bool receive(Side side, unsigned worker, std::span<const uint8_t> frame) {
    return receive(side, worker, std::span(&frame, 1));
  }
  /// Up to dataplane::kBurst frames arrive together; all of them or none.
  bool receive(Side side, unsigned worker, std::span<const std::span<const uint8_t>> frames);
  /// Turns all workers until nothing is under way; what leaves is kept in sent().
  void settle();
  /// Lets the clock run.
  void wait(Millis ms);
  std::vector<Sent>& sent() { return sent_; }

  control::Engine& engine() { return *engine_; }
  /// Of a counter, over all workers.
  uint64_t sum(const std::function<uint64_t(const dataplane::Counters&)>& of) const;
  uint64_t drops() const;
  uint64_t punted() const { return punted_; }
  /// Packet buffers that are not in their pool; none when no box exists or is at rest.
  static unsigned missing_buffers();
  /// Buffers of whole datagrams that are in use; none between two steps.
  unsigned datagrams_in_use() const;
  unsigned mtu(Side side) const { return mtu_[static_cast<size_t>(side)]; }
  Millis now() const { return now_; }

 private:
  static constexpr unsigned kBuffers = 1024;
  static rte_mempool* buffers();  ///< all boxes' of a process: an EAL makes pools slowly
  void collect();

  std::unique_ptr<control::Engine> engine_;
  std::vector<Sent> sent_;
  uint64_t punted_ = 0;
  std::array<unsigned, 2> mtu_;  ///< by Side
  Millis now_ = kStart;
};

/// What is wrong with a frame that left; empty when nothing is.
std::string complaint(const Sent& frame);

}  // namespace culvert::fuzz
