/// What a worker's core does all day:
///
///     read the clock → a burst from each receive queue → what came by ring → send → quiescent state ↺
///
/// The loop reads the clock once a turn. It sleeps only when told to (`idle_sleep`): after a thousand turns
/// without a packet, 50 µs a turn, for machines where lcores share CPUs.
///
/// It counts what a device took (Counters::transmitted): only it knows what was refused.
///
/// Stopping: `stop_receiving` ends the reception, the loop goes on to empty the rings; `stop` ends it.
///
/// Thread: turn_worker_loop() in the worker's lcore; the flags are set by the control core.
#pragma once

#include <rte_rcu_qsbr.h>

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "control/clock.h"
#include "dataplane/port.h"
#include "dataplane/worker.h"

namespace culvert::control {

/// Knows when every worker has passed a point where it holds no pointer into old Tables (rte_rcu_qsbr).
class QuiescentState {
 public:
  explicit QuiescentState(unsigned workers);
  ~QuiescentState();
  /// Control core: waits until every running worker has been through one.
  void wait();

  void enter(unsigned worker);  ///< worker: from now on it counts
  void leave(unsigned worker);  ///< worker: it ends
  void pass(unsigned worker) { rte_rcu_qsbr_quiescent(state_, worker); }

 private:
  rte_rcu_qsbr* state_ = nullptr;
};

struct WorkerLoop {
  struct Tally {
    uint64_t packets = 0, bytes = 0;
  };
  /// Where an interface's frames leave.
  struct Exit {
    dataplane::Port* port = nullptr;
    uint32_t header = 0;  ///< bytes of a frame that are not the packet: Ethernet header and VLAN tag
  };

  dataplane::Worker* worker = nullptr;
  const Clock* clock = nullptr;
  QuiescentState* quiescent = nullptr;
  std::vector<dataplane::Port*> ports;  ///< every device once
  std::vector<Exit> exits;              ///< by interface
  bool idle_sleep = false;
  std::atomic<bool> stop_receiving{false}, stop{false};
  /// Packets received and taken from rings; when it stands still, nothing is under way any more.
  std::atomic<uint64_t> moved{0};
  /// The loop's own: Counters::sent by interface, when the outbox was emptied last.
  std::array<Tally, dataplane::kMaxInterfaces> sent{};
};

/// For rte_eal_remote_launch(); the argument is a WorkerLoop.
int turn_worker_loop(void* worker_loop);

}  // namespace culvert::control
