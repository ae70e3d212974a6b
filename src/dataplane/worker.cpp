#include "dataplane/worker.h"

#include <cstdlib>
#include <stdexcept>

#include "dataplane/pipeline.h"

namespace culvert::dataplane {
namespace {

/// A ring in plain memory: DPDK's own allocator would tie workers to an EAL with memory to spare.
rte_ring* make_ring(unsigned size, unsigned flags) {
  const ssize_t bytes = rte_ring_get_memsize(size);
  void* memory =
      bytes < 0 ? nullptr : std::aligned_alloc(64, (static_cast<size_t>(bytes) + 63) & ~size_t{63});
  auto* ring = static_cast<rte_ring*>(memory);
  if (ring == nullptr || rte_ring_init(ring, "culvert", size, flags) != 0) {
    std::free(memory);
    throw std::runtime_error("no memory for the rings between workers");
  }
  return ring;
}

void drain(rte_ring* ring) {
  void* m;
  while (rte_ring_dequeue(ring, &m) == 0) free_packet(static_cast<rte_mbuf*>(m));
  std::free(ring);
}

}  // namespace

Fabric::Fabric(unsigned workers, uint32_t ring_size, rte_mempool* buffer_pool)
    : buffers(buffer_pool),
      datagrams(buffer_pool == nullptr ? nullptr : make_datagram_buffers(kDatagramBuffers * workers)) {
  for (unsigned i = 0; i < workers; i++) to_worker.push_back(make_ring(ring_size, RING_F_SC_DEQ));
  to_kernel = make_ring(ring_size, RING_F_SC_DEQ);
}

Fabric::~Fabric() {
  for (rte_ring* r : to_worker) drain(r);
  drain(to_kernel);
}

Worker::Worker(const BindingSetup& setup, Fabric& fabric)
    : self_(setup.self),
      strict_(setup.strict),
      fabric_(fabric),
      binding_(setup, counters_),
      tasks_(make_ring(1024, RING_F_SC_DEQ)),
      held_syns_(setup.hash_key),
      inside_fragments_(setup.fragments, setup.hash_key, counters_),
      outside_fragments_(setup.fragments, setup.hash_key, counters_),
      random_(setup.seed ^ 0x5bd1e995),
      identifications_(self_, static_cast<unsigned>(fabric.to_worker.size()), random_),
      next_softwire_id_(static_cast<uint32_t>(random_.next())) {}

Worker::~Worker() {
  void* task;
  while (rte_ring_dequeue(tasks_, &task) == 0) delete static_cast<Task*>(task);
  while (rte_mbuf* m = waiting_.pop(~uint64_t{0})) free_packet(m);
  std::free(tasks_);
}

void Worker::receive(uint16_t port, rte_mbuf** frames, unsigned count, Millis now) {
  const Tables& tables = *fabric_.tables.load(std::memory_order_acquire);
  Pipeline pipeline(*this, tables, now);
  pipeline.take_frames(frames, count, port);
  pipeline.run();
  counters_.bursts.add();
}

unsigned Worker::poll(Millis now) {
  const Tables& tables = *fabric_.tables.load(std::memory_order_acquire);
  counters_.polls.add();
  void* packets[kBurst];
  const unsigned count = rte_ring_dequeue_burst(fabric_.to_worker[self_], packets, kBurst, nullptr);
  if (count != 0) {
    Pipeline pipeline(*this, tables, now);
    // Another core wrote them last: without this every packet would wait for its lines by itself.
    for (unsigned i = 0; i < count; i++) __builtin_prefetch(packets[i]);
    for (unsigned i = 0; i < count; i++) {
      const uint8_t* data = bytes_of(static_cast<rte_mbuf*>(packets[i]));
      __builtin_prefetch(data, 1);
      __builtin_prefetch(data + 40, 1);
    }
    for (unsigned i = 0; i < count; i++) {
      auto* m = static_cast<rte_mbuf*>(packets[i]);
      if (Mark::of(m).handed_over) counters_.handover_received.add();
      pipeline.take_marked(m);
    }
    pipeline.run();
  }
  void* task;
  while (rte_ring_dequeue(tasks_, &task) == 0) {
    std::unique_ptr<Task> owned(static_cast<Task*>(task));
    (*owned)(*this, tables, now);
    pending_.fetch_sub(1, std::memory_order_release);
  }
  if (strict_) [[unlikely]]
    serve_waiting(tables, now);
  binding_.sweep(tables, now);
  fragments_behind_ = inside_fragments_.sweep(now);
  fragments_behind_ |= outside_fragments_.sweep(now);
  if (held_syns_.due(now) != nullptr) [[unlikely]] {
    Pipeline pipeline(*this, tables, now);
    pipeline.answer_held_syn();
    pipeline.run();
  }
  syns_behind_ = held_syns_.due(now) != nullptr;
  return count;
}

/// Newcomers whose blocks' records have come to the disk go on.
void Worker::serve_waiting(const Tables& tables, Millis now) {
  const uint64_t durable = binding_.blocks().log().released();
  binding_.blocks().serve_recorded(tables, now);
  rte_mbuf* m = waiting_.pop(durable);
  if (m == nullptr) return;
  Pipeline pipeline(*this, tables, now);
  unsigned n = 0;
  do {
    pipeline.take_marked(m);
  } while (++n < kBurst && (m = waiting_.pop(durable)) != nullptr);
  pipeline.run();
}

void Worker::post(Task task) {
  auto* owned = new Task(std::move(task));
  pending_.fetch_add(1, std::memory_order_relaxed);
  while (rte_ring_enqueue(tasks_, owned) != 0) rte_pause();
}

}  // namespace culvert::dataplane
