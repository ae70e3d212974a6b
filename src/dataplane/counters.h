/// One worker's counters. The worker is the only writer; anyone may read at any time, without a lock and
/// without stopping it: each counter is a relaxed atomic that the writer bumps with a plain load, add and
/// store.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/drop_reason.h"

namespace culvert::dataplane {

class Counter {
 public:
  void add(uint64_t n = 1) { v_.store(v_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void subtract(uint64_t n = 1) {
    v_.store(v_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  uint64_t get() const { return v_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> v_{0};
};

/// Packets and bytes (of the IP packet) one way.
struct Flow {
  Counter packets, bytes;
};

inline constexpr size_t kCarriageCount = 3;  ///< config::Carriage as an index
inline constexpr size_t kMaxInterfaces = 2;  ///< one inside and one outside, or one that is both

struct alignas(64) Counters {
  // Touched by every burst.
  std::array<Flow, kCarriageCount> outbound;  ///< translated towards the Internet, by carriage
  std::array<Flow, kCarriageCount> inbound;   ///< translated towards subscribers, by carriage
  std::array<Flow, kMaxInterfaces> received;  ///< by interface: packets that came in, before translation
  std::array<Flow, kMaxInterfaces> sent;      ///< by interface: packets put into the outbox, the kernel's too
  /// By interface: what the device took of these. Counted by who drives the worker.
  std::array<Flow, kMaxInterfaces> transmitted;
  Counter bursts, polls;
  // Rarely touched.
  alignas(64) Counter hairpinned, punted, injected;
  Counter passed_through;      ///< forwarded untranslated (nat-pass-through)
  Counter checksums_computed;  ///< of UDP packets from IPv4 that had none (RFC 7915 §4.5)
  Counter handed_over;         ///< packets given to their owner by ring
  Counter handover_received;   ///< packets got from another worker by ring
  Counter mappings_created, mappings_expired, mappings_live;
  Counter sessions_live;
  Counter subscribers_live;
  Counter blocks_allocated, blocks_released, blocks_live;
  Counter block_refusals;   ///< block requests that could not be met, whatever the reason
  Counter holds_cut_short;  ///< ports and blocks reused before hold-down-timeout because hold-down-max was
                            ///< reached
  Counter icmp_errors_sent, icmp_errors_limited, icmp_errors_translated;
  Counter fragments_received;  ///< that were taken to reassembly
  Counter fragments_held;      ///< that wait there now
  Counter fragments_merged;    ///< by how many packets there are fewer because datagrams became whole
  Counter fragments_cut;       ///< by how many there are more because datagrams were cut
  std::array<Counter, kDropReasonCount> drops;

  void drop(DropReason reason, uint64_t n = 1) { drops[static_cast<size_t>(reason)].add(n); }
};

}  // namespace culvert::dataplane
