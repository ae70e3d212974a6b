#include "control/worker_loop.h"

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace culvert::control {
namespace {

using dataplane::Counters;
using dataplane::DropReason;
using dataplane::kBurst;
using dataplane::kMaxInterfaces;
using dataplane::Mark;
using dataplane::Port;
using Tally = WorkerLoop::Tally;
using Tallies = std::array<Tally, kMaxInterfaces>;

constexpr unsigned kIdleTurns = 1000;  ///< without a packet before the first sleep
constexpr unsigned kIdleSleepMicroseconds = 50;

/// Bytes of the packet in a frame that leaves by this interface, as the pipeline counts them.
unsigned packet_bytes(const WorkerLoop::Exit& exit, const rte_mbuf* m) {
  return m->pkt_len - std::min(m->pkt_len, exit.header);
}

/// Gives frames to a port in bursts. What it does not take is dropped, and no longer counts in `given`, by
/// `interface_of(frame)`. (A frame that was taken may be gone: what it was has to be counted before.)
template <typename InterfaceOf>
void give(WorkerLoop& loop, Port& port, rte_mbuf** frames, size_t count, Tallies& given,
          InterfaceOf&& interface_of) {
  for (size_t at = 0; at < count;) {
    const auto n = static_cast<unsigned>(std::min<size_t>(count - at, kBurst));
    const unsigned taken = port.send(loop.worker->id(), frames + at, n);
    for (unsigned i = taken; i < n; ++i) {
      rte_mbuf* m = frames[at + i];
      const uint8_t interface = interface_of(m);
      given[interface].packets--;
      given[interface].bytes -= packet_bytes(loop.exits[interface], m);
      dataplane::free_packet(m);
    }
    if (taken < n) loop.worker->counters().drop(DropReason::transmit_full, n - taken);
    at += n;
  }
}

void count(WorkerLoop& loop, size_t interface, const Tally& taken) {
  dataplane::Flow& transmitted = loop.worker->counters().transmitted[interface];
  transmitted.packets.add(taken.packets);
  transmitted.bytes.add(taken.bytes);
}

/// Sends what a call into the worker left in its outbox.
void flush(WorkerLoop& loop) {
  const Counters& counters = loop.worker->counters();
  Tallies given;
  const auto exits = static_cast<uint8_t>(loop.exits.size());
  for (uint8_t i = 0; i < exits; ++i) {
    auto& frames = loop.worker->outbox().frames(i);
    if (frames.empty()) continue;
    Port& port = *loop.exits[i].port;
    // The pipeline has counted its packets, so that they need not be looked at here.
    const Tally sent{counters.sent[i].packets.get(), counters.sent[i].bytes.get()};
    given[i] = {sent.packets - loop.sent[i].packets, sent.bytes - loop.sent[i].bytes};
    loop.sent[i] = sent;
    const bool ours = port.transmits(loop.worker->id());
    if (!ours)
      for (rte_mbuf* m : frames) Mark{.interface = i}.put(m);
    give(loop, port, frames.data(), frames.size(), given, [i](rte_mbuf*) { return i; });
    if (ours) count(loop, i, given[i]);  // else the queue's owner counts what the device takes
    frames.clear();
  }
}

/// Sends what workers without a queue of this port left to ours. Returns how many frames that were.
unsigned send_for_others(WorkerLoop& loop, Port& port) {
  std::array<rte_mbuf*, kBurst> frames;
  const unsigned n = port.take_from_others(loop.worker->id(), frames.data(), kBurst);
  if (n == 0) return 0;
  Tallies given;
  const auto interface_of = [](const rte_mbuf* m) { return Mark::of(m).interface; };
  for (unsigned i = 0; i < n; ++i) {
    const uint8_t interface = interface_of(frames[i]);
    given[interface].packets++;
    given[interface].bytes += packet_bytes(loop.exits[interface], frames[i]);
  }
  give(loop, port, frames.data(), n, given, interface_of);
  for (size_t i = 0; i < given.size(); ++i) count(loop, i, given[i]);
  return n;
}

}  // namespace

QuiescentState::QuiescentState(unsigned workers) {
  state_ = static_cast<rte_rcu_qsbr*>(
      rte_zmalloc("quiescent", rte_rcu_qsbr_get_memsize(workers), RTE_CACHE_LINE_SIZE));
  if (state_ == nullptr || rte_rcu_qsbr_init(state_, workers) != 0) {
    throw std::runtime_error("no memory for the workers' quiescent states");
  }
}

QuiescentState::~QuiescentState() { rte_free(state_); }

void QuiescentState::enter(unsigned worker) {
  rte_rcu_qsbr_thread_register(state_, worker);
  rte_rcu_qsbr_thread_online(state_, worker);
}

void QuiescentState::leave(unsigned worker) {
  rte_rcu_qsbr_thread_offline(state_, worker);
  rte_rcu_qsbr_thread_unregister(state_, worker);
}

void QuiescentState::wait() {
  const uint64_t token = rte_rcu_qsbr_start(state_);
  while (rte_rcu_qsbr_check(state_, token, false) == 0) usleep(20);
}

int turn_worker_loop(void* argument) {
  WorkerLoop& loop = *static_cast<WorkerLoop*>(argument);
  dataplane::Worker& worker = *loop.worker;
  const unsigned self = worker.id();
  std::array<rte_mbuf*, kBurst> frames;
  unsigned idle = 0;
  loop.quiescent->enter(self);
  while (!loop.stop.load(std::memory_order_relaxed)) {
    const dataplane::Millis now = loop.clock->now();
    unsigned moved = 0;
    if (!loop.stop_receiving.load(std::memory_order_relaxed)) {
      for (Port* port : loop.ports) {
        if (!port->receives(self)) continue;
        const unsigned n = port->receive(self, frames.data(), kBurst);
        if (n == 0) continue;
        moved += n;
        worker.receive(port->id(), frames.data(), n, now);
        flush(loop);
      }
    }
    moved += worker.poll(now);
    flush(loop);
    for (Port* port : loop.ports) moved += send_for_others(loop, *port);
    loop.quiescent->pass(self);

    if (moved != 0) {
      idle = 0;
      loop.moved.store(loop.moved.load(std::memory_order_relaxed) + moved, std::memory_order_relaxed);
    } else if (++idle > kIdleTurns && loop.idle_sleep && !worker.behind()) {
      usleep(kIdleSleepMicroseconds);
    }
  }
  loop.quiescent->leave(self);
  return 0;
}

}  // namespace culvert::control
