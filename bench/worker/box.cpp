#include "box.h"

#include <fmt/format.h>
#include <rte_ring.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "dataplane/huge_array.h"

namespace culvert::bench {
namespace {

using dataplane::kBurst;

constexpr uint16_t kFirstPort = 20000;
constexpr uint32_t kRingSize = 65536;  ///< of event ring files: the default of culvertd

/// A window on its way in, one on its way out; what caches of several lcores may hold back.
unsigned buffers_for(const Plan& plan) {
  return plan.workers == 1 ? 2 * kWindow : plan.workers * (2 * kWindow + 1024);
}

rte_ring* make_ring(const std::string& name) {
  rte_ring* r = rte_ring_create(name.c_str(), 2 * kWindow, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (r == nullptr) throw std::runtime_error("no memory for a ring");
  return r;
}

}  // namespace

Box::Box(const Plan& plan) : plan_(plan) {
  static unsigned number = 0;
  number++;
  const size_t before = dataplane::pages_in_use();
  buffers_ = dataplane::make_buffers(fmt::format("bench{}", number), buffers_for(plan), 1600);
  buffer_bytes_ = dataplane::pages_in_use() - before;
  control::Engine::Options options;
  options.seed = 1;
  options.buffers = buffers_.get();
  options.ring_files = !plan.ring_directory.empty();
  options.event_ring_size = options.ring_files ? kRingSize : 1 << 20;
  engine_ = std::make_unique<control::Engine>(
      configuration(plan),
      std::vector<control::InterfaceFacts>{{kInside, kInsideMac}, {kOutside, kOutsideMac}}, options, now());
  feed_ = std::make_unique<Feed>(buffers_.get());
  ring_in_ = make_ring(fmt::format("in{}", number));
  ring_out_ = make_ring(fmt::format("out{}", number));
}

Box::~Box() {
  rte_ring_free(ring_in_);
  rte_ring_free(ring_out_);
}

Tally Box::window(uint16_t port, const Fill& fill, unsigned to) {
  feed_->load(fill);
  return counted(port, to);
}

Tally Box::counted(uint16_t port, unsigned to) { return drive(port, to); }

inline void Box::turn(uint16_t port, unsigned to, unsigned packet) {
  const dataplane::Millis t = now();
  dataplane::Worker& receiver = worker(to);
  receiver.receive(port, feed_->from(packet), kBurst, t);
  feed_->collect(receiver);
  for (unsigned i = 0; i < plan_.workers; i++) {
    worker(i).poll(t);
    feed_->collect(worker(i));
  }
}

Tally Box::drive(uint16_t port, unsigned to) {
  const uint64_t start = ticks();
  for (unsigned done = 0; done < kWindow; done += kBurst) turn(port, to, done);
  return {kWindow, ticks() - start};
}

Tally Box::window_watched(uint16_t port, const Fill& fill) {
  feed_->load(fill);
  const uint64_t start = ticks();
  uint64_t longest = 0, last = start;
  for (unsigned done = 0; done < kWindow; done += kBurst) {
    turn(port, 0, done);
    const uint64_t now = ticks();
    longest = std::max(longest, now - last);
    last = now;
  }
  return {kWindow, last - start, longest};
}

Tally Box::window_by_ring(uint16_t port, const Fill& fill) {
  feed_->load(fill);
  dataplane::Worker& w = worker();
  const auto objects = [](rte_mbuf** m) { return reinterpret_cast<void**>(m); };
  rte_ring_sp_enqueue_bulk(ring_in_, objects(feed_->from(0)), kWindow, nullptr);
  rte_mbuf* burst[kBurst];
  const uint64_t start = ticks();
  for (unsigned done = 0; done < kWindow; done += kBurst) {
    const dataplane::Millis t = now();
    rte_ring_sc_dequeue_bulk(ring_in_, objects(burst), kBurst, nullptr);
    w.receive(port, burst, kBurst, t);
    w.poll(t);
    for (uint8_t i = 0; i < 2; i++) {
      auto& frames = w.outbox().frames(i);
      rte_ring_sp_enqueue_bulk(ring_out_, objects(frames.data()), static_cast<unsigned>(frames.size()),
                               nullptr);
      frames.clear();
    }
  }
  const uint64_t end = ticks();
  auto& out = feed_->out();
  out.resize(rte_ring_count(ring_out_));
  rte_ring_sc_dequeue_bulk(ring_out_, objects(out.data()), static_cast<unsigned>(out.size()), nullptr);
  return {kWindow, end - start};
}

Tally Box::window_of_swaps(const Fill& fill) {
  feed_->load(fill);
  auto& out = feed_->out();
  const uint64_t start = ticks();
  for (unsigned done = 0; done < kWindow; done += kBurst) {
    rte_mbuf** burst = feed_->from(done);
    for (unsigned i = 0; i < kBurst; i++) {
      auto* frame = rte_pktmbuf_mtod(burst[i], uint8_t*);
      uint64_t first, second;  // destination and the source's first two bytes; the source and the type
      std::memcpy(&first, frame, sizeof first);
      std::memcpy(&second, frame + 6, sizeof second);
      std::memcpy(frame + 6, &first, 6);
      std::memcpy(frame, &second, 6);
    }
    out.insert(out.end(), burst, burst + kBurst);
  }
  return {kWindow, ticks() - start};
}

Tally Box::establish(uint64_t spread) {
  const FrameMaker maker(plan_.carriage, Protocol::udp, kSmallestIpv4, kInsideMac, kNeighbourMac);
  Tally total;
  const uint32_t all = plan_.mappings();
  for (uint64_t at = 0; at < all; at += kWindow) {
    feed_->load([&](uint8_t* frame, unsigned i) {
      const auto n = static_cast<uint32_t>(std::min<uint64_t>(at + i, all - 1));
      return maker.outbound(frame, n / plan_.mappings_each, port_of(n));
    });
    total += drive(kInside, 0);
    clock_.skip(spread / ((all + kWindow - 1) / kWindow));
    drain_log();
  }
  if (const uint32_t made = mappings(); made != all)
    throw std::runtime_error(fmt::format("{} of {} mappings were made: {}", made, all, drop_reasons()));
  return total;
}

uint16_t Box::port_of(uint32_t i) const {
  return static_cast<uint16_t>(kFirstPort + i % plan_.mappings_each);
}

dataplane::InternalKey Box::key_of(uint32_t i) const {
  return internal_key(plan_.carriage, i / plan_.mappings_each, port_of(i));
}

uint32_t Box::mappings() const {
  uint32_t sum = 0;
  for (unsigned i = 0; i < plan_.workers; i++) sum += engine_->worker(i).binding().mappings().size();
  return sum;
}

uint64_t Box::dropped() const {
  uint64_t sum = 0;
  for (unsigned i = 0; i < plan_.workers; i++)
    for (const auto& d : std::as_const(*engine_).worker(i).counters().drops) sum += d.get();
  return sum;
}

std::string Box::drop_reasons() const {
  std::array<uint64_t, dataplane::kDropReasonCount> sum{};
  for (unsigned i = 0; i < plan_.workers; i++)
    for (size_t r = 0; r < sum.size(); r++)
      sum[r] += std::as_const(*engine_).worker(i).counters().drops[r].get();
  std::string text;
  for (size_t r = 0; r < sum.size(); r++)
    if (sum[r] != 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", sum[r], dataplane::kDropReasons[r].name);
  return text.empty() ? "nothing was dropped" : text;
}

void Box::check_none_dropped_since(uint64_t before, const char* what) const {
  if (dropped() != before) throw std::runtime_error(fmt::format("{}: {}", what, drop_reasons()));
}

void Box::drain_log() {
  for (logging::EventRing* ring : engine_->rings()) ring->release(ring->waiting());
}

}  // namespace culvert::bench
