/// A worker: the packet path of one core. It is given bursts of frames and the time, and fills its Outbox
/// with frames to be sent; it reads no clock and touches no device, so the same code serves the polling loop
/// (control/worker_loop.h), `culvert replay`, the benchmark and the fuzzer.
///
/// The life of a burst (docs/architecture.md tells it at length):
///
///     receive() ─ classify
///                   ├─ from inside ── carriage opens ─ outbound index ─ track ─ rewrite ─ send outside
///                   ├─ from outside ─ inbound index ─ filter, track ─ rewrite, carriage wraps ─ send inside
///                   └─ ARP, ND, our own addresses ─ ring to the kernel
///
/// Lookups go over the whole burst in stages, so that the cache misses of its packets overlap. A packet whose
/// mapping is not here takes the slow path: whose subscriber or whose address is it? Another worker's is
/// handed over by ring, one of ours gets a mapping or is dropped for a named reason.
///
/// Thread: everything is called from the worker's own thread, but `post()`, `idle()` and the counters.
#pragma once

#include <rte_ring.h>

#include <functional>
#include <memory>
#include <vector>

#include "dataplane/binding/stateful.h"
#include "dataplane/eal.h"
#include "dataplane/fragments/reassembly.h"
#include "dataplane/held_syn.h"
#include "dataplane/icmp_budget.h"
#include "dataplane/identifications.h"
#include "dataplane/packet.h"
#include "dataplane/tables.h"
#include "dataplane/waiting_packets.h"

namespace culvert::dataplane {

inline constexpr unsigned kBurst = 32;

/// Frames that are ready to leave, by interface number. Whoever drives the worker empties it after every
/// call.
class Outbox {
 public:
  Outbox() {
    for (auto& f : frames_) f.reserve(4 * kBurst);
  }
  void push(uint8_t interface, rte_mbuf* m) { frames_[interface].push_back(m); }
  std::vector<rte_mbuf*>& frames(uint8_t interface) { return frames_[interface]; }

 private:
  std::array<std::vector<rte_mbuf*>, kMaxInterfaces> frames_;
};

/// How many fragments of either side a worker may hold: those of all workers and both sides together an
/// eighth of the packet buffers, or, where that is not one large datagram each, a quarter.
inline uint32_t fragments_for(uint32_t packet_buffers, unsigned workers) {
  const uint32_t sixteenth = packet_buffers / 16 / workers;
  return std::max(1u, std::min(std::max(sixteenth, Reassembly::kMostFragments + 1), 2 * sixteenth));
}
/// Buffers for whole datagrams, a worker: for the bursts of some workers and what lies in rings.
inline constexpr uint32_t kDatagramBuffers = 128;

/// What all workers share: rings between them and to the kernel, and the current Tables.
/// Rings carry mbufs with a Mark in them.
struct Fabric {
  /// `buffers`: where ICMP errors and pieces of datagrams get their mbufs from; null: from nowhere.
  Fabric(unsigned workers, uint32_t ring_size, rte_mempool* buffers);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  rte_mempool* buffers;
  BufferPool datagrams;              ///< for datagrams that came in fragments; none of these buffers leaves
  std::vector<rte_ring*> to_worker;  ///< many producers, one consumer
  rte_ring* to_kernel;  ///< untagged frames, Mark::interface says for which tap; read by the control core
  std::atomic<const Tables*> tables{nullptr};
};

class Worker {
 public:
  Worker(const BindingSetup& setup, Fabric& fabric);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  WorkerId id() const { return self_; }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  StatefulBinding& binding() { return binding_; }
  Outbox& outbox() { return outbox_; }

  /// Takes in up to kBurst Ethernet frames that a port received. Owns them from here on.
  void receive(uint16_t port, rte_mbuf** frames, unsigned count, Millis now);
  /// Everything that is not a received frame: packets handed over, frames from the kernel, commands of the
  /// control core, timeouts. Returns how many packets it took from the rings.
  unsigned poll(Millis now);
  /// Whether the last poll left timeouts that are due: poll again soon.
  bool behind() const { return binding_.behind() || fragments_behind_ || syns_behind_; }

  /// Control core: runs `task` in the worker's thread at its next poll. Tasks run in order. Thread-safe.
  using Task = std::function<void(Worker&, const Tables&, Millis now)>;
  void post(Task task);
  /// Tasks posted and not yet run. Thread-safe.
  bool idle() const { return pending_.load(std::memory_order_acquire) == 0; }

 private:
  friend class Pipeline;

  void serve_waiting(const Tables& tables, Millis now);

  WorkerId self_;
  bool strict_;
  Fabric& fabric_;
  Counters counters_;
  StatefulBinding binding_;
  Outbox outbox_;
  rte_ring* tasks_;
  std::atomic<uint32_t> pending_{0};
  bool fragments_behind_ = false, syns_behind_ = false;
  IcmpBudget icmp_budget_;
  HeldSyns held_syns_;
  WaitingPackets waiting_;
  Reassembly inside_fragments_, outside_fragments_;
  net::Random random_;
  Identifications identifications_;
  uint32_t next_softwire_id_;  ///< IPv6 identification of what we cut; a softwire belongs to one worker
};

}  // namespace culvert::dataplane
