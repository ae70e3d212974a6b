#include "control/worker_loop.h"

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace culvert::control {
namespace {

using dataplane::DropReason;
using dataplane::kBurst;
using dataplane::Port;

constexpr unsigned kIdleTurns = 1000;  ///< without a packet before the first sleep
constexpr unsigned kIdleSleepMicroseconds = 50;

/// Sends what a call into the worker left in its outbox.
void flush(WorkerLoop& loop, unsigned self) {
  dataplane::Outbox& outbox = loop.worker->outbox();
  for (size_t i = 0; i < loop.of_interface.size(); ++i) {
    auto& frames = outbox.frames(static_cast<uint8_t>(i));
    size_t at = 0;
    while (at < frames.size()) {
      const auto count = static_cast<unsigned>(std::min<size_t>(frames.size() - at, kBurst));
      const unsigned sent = loop.of_interface[i]->send(self, frames.data() + at, count);
      for (unsigned j = sent; j < count; ++j) dataplane::free_packet(frames[at + j]);
      if (sent < count) loop.worker->counters().drop(DropReason::transmit_full, count - sent);
      at += count;
    }
    frames.clear();
  }
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
        flush(loop, self);
      }
    }
    moved += worker.poll(now);
    flush(loop, self);
    unsigned dropped = 0;
    for (Port* port : loop.ports) moved += port->send_for_others(self, dropped);
    if (dropped != 0) worker.counters().drop(DropReason::transmit_full, dropped);
    loop.quiescent->pass(self);

    if (moved != 0) {
      idle = 0;
      loop.moved.store(loop.moved.load(std::memory_order_relaxed) + moved, std::memory_order_relaxed);
    } else if (++idle > kIdleTurns && loop.idle_sleep) {
      usleep(kIdleSleepMicroseconds);
    }
  }
  loop.quiescent->leave(self);
  return 0;
}

}  // namespace culvert::control
