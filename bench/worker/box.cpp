#include "box.h"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_ring.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <random>
#include <stdexcept>

#include "dataplane/huge_array.h"
#include "net/rfc6052.h"

namespace culvert::bench {
namespace {

using dataplane::kBurst;

constexpr dataplane::Millis kEpoch = 1'700'000'000'000;
constexpr unsigned kBuffers = 2 * kWindow;
constexpr uint16_t kFirstPort = 20000;

config::Config configuration(const Plan& plan) {
  config::Config c;
  c.workers = static_cast<uint16_t>(plan.workers);
  const auto tenth_more = [](uint32_t n) { return n + n / 10 + 64; };
  c.capacity.mappings = plan.mapping_capacity != 0 ? plan.mapping_capacity : tenth_more(plan.mappings());
  c.capacity.subscribers =
      plan.subscriber_capacity != 0 ? plan.subscriber_capacity : tenth_more(plan.subscribers);
  c.capacity.sessions = std::max(1000u, plan.workers);
  c.hold_down.timeout = config::seconds(plan.hold_down_seconds);
  c.hold_down.max = std::max(plan.mappings() / 10, 100'000u);
  c.interfaces.resize(2);
  c.interfaces[kInside] = {.name = "inside", .device = "", .role = config::Role::inside, .mtu = 1600};
  c.interfaces[kOutside] = {.name = "outside", .device = "", .role = config::Role::outside};
  for (auto& i : c.interfaces) {
    i.next_hop_ipv4 = net::MacAddress{{2, 0, 0, 0, 0, 9}};
    i.next_hop_ipv6 = net::MacAddress{{2, 0, 0, 0, 0, 9}};
  }
  config::Instance instance;
  instance.name = "bench";
  instance.carriage = plan.carriage;
  instance.timers = plan.timers;
  instance.limits.mappings = plan.limit;
  switch (plan.carriage) {
    case Carriage::nat44:
      instance.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("10.0.0.0/8"), 32}};
      break;
    case Carriage::ds_lite:
      instance.aftr_addresses = {aftr_address()};
      instance.subscribers_ipv6 = {{homes(plan.carriage), 64}};
      break;
    case Carriage::nat64:
      instance.nat64_prefixes = {net::kWellKnownPrefix};
      instance.subscribers_ipv6 = {{homes(plan.carriage), 64}};
  }
  const uint64_t blocks = c.capacity.subscribers *
                          ((plan.mappings_each + instance.ports.set_size - 1u) / instance.ports.set_size);
  const uint64_t addresses =
      std::bit_ceil(std::max<uint64_t>(blocks / instance.ports.sets_per_address() + 1, 4 * plan.workers));
  instance.pools = {{net::Ipv4Address(0x14000000), static_cast<uint8_t>(32 - std::countr_zero(addresses))}};
  c.instances = {instance};
  return c;
}

rte_ring* make_ring(const char* name) {
  rte_ring* r = rte_ring_create(name, 2 * kWindow, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (r == nullptr) throw std::runtime_error("no memory for a ring");
  return r;
}

}  // namespace

uint64_t ticks() { return rte_rdtsc_precise(); }
double ticks_per_second() { return static_cast<double>(rte_get_tsc_hz()); }

Box::Box(const Plan& plan) : plan_(plan) {
  static unsigned number = 0;
  number++;
  const size_t before = dataplane::pages_in_use();
  buffers_ = dataplane::make_buffers(fmt::format("bench{}", number), kBuffers, 1600);
  buffer_bytes_ = dataplane::pages_in_use() - before;
  control::Engine::Options options;
  options.seed = 1;
  options.buffers = buffers_.get();
  options.ring_files = false;
  options.event_ring_size = 1 << 20;
  born_ = ticks();
  engine_ = std::make_unique<control::Engine>(
      configuration(plan),
      std::vector<control::InterfaceFacts>{{kInside, {{2, 0, 0, 0, 0, 1}}}, {kOutside, {{2, 0, 0, 0, 0, 2}}}},
      options, now());
  mbufs_.resize(kWindow);
  out_.reserve(4 * kWindow);
  ring_in_ = make_ring(fmt::format("in{}", number).c_str());
  ring_out_ = make_ring(fmt::format("out{}", number).c_str());
}

Box::~Box() {
  free_collected();
  rte_ring_free(ring_in_);
  rte_ring_free(ring_out_);
}

dataplane::Millis Box::now() const {
  static const uint64_t per_millisecond = rte_get_tsc_hz() / 1000;
  return kEpoch + skipped_ + (rte_rdtsc() - born_) / per_millisecond;
}

void Box::load(const Fill& fill) {
  free_collected();
  if (rte_pktmbuf_alloc_bulk(buffers_.get(), mbufs_.data(), kWindow) != 0)
    throw std::runtime_error("packet buffers have leaked");
  for (unsigned i = 0; i < kWindow; i++) {
    rte_mbuf* m = mbufs_[i];
    const unsigned size = fill(rte_pktmbuf_mtod(m, uint8_t*), i);
    m->data_len = static_cast<uint16_t>(size);
    m->pkt_len = size;
  }
}

void Box::free_collected() {
  sent_ += out_.size();
  if (!out_.empty()) rte_pktmbuf_free_bulk(out_.data(), static_cast<unsigned>(out_.size()));
  out_.clear();
}

void Box::collect() {
  for (uint8_t i = 0; i < 2; i++) {
    auto& frames = worker().outbox().frames(i);
    out_.insert(out_.end(), frames.begin(), frames.end());
    frames.clear();
  }
}

Tally Box::window(uint16_t port, const Fill& fill) {
  load(fill);
  return counted(port);
}

Tally Box::counted(uint16_t port) { return drive(port); }

Tally Box::drive(uint16_t port) {
  dataplane::Worker& w = worker();
  const uint64_t start = ticks();
  for (unsigned done = 0; done < kWindow; done += kBurst) {
    const dataplane::Millis t = now();
    w.receive(port, &mbufs_[done], kBurst, t);
    collect();
    w.poll(t);
    collect();
  }
  const uint64_t end = ticks();
  return {kWindow, end - start};
}

Tally Box::window_by_ring(uint16_t port, const Fill& fill) {
  load(fill);
  dataplane::Worker& w = worker();
  const auto objects = [](rte_mbuf** m) { return reinterpret_cast<void**>(m); };
  rte_ring_sp_enqueue_bulk(ring_in_, objects(mbufs_.data()), kWindow, nullptr);
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
  out_.resize(rte_ring_count(ring_out_));
  rte_ring_sc_dequeue_bulk(ring_out_, objects(out_.data()), static_cast<unsigned>(out_.size()), nullptr);
  return {kWindow, end - start};
}

Tally Box::window_of_swaps(const Fill& fill) {
  load(fill);
  const uint64_t start = ticks();
  for (unsigned done = 0; done < kWindow; done += kBurst) {
    rte_mbuf** burst = &mbufs_[done];
    for (unsigned i = 0; i < kBurst; i++) {
      uint8_t* frame = rte_pktmbuf_mtod(burst[i], uint8_t*);
      uint64_t first, second;  // destination and the source's first two bytes; the source and the type
      std::memcpy(&first, frame, sizeof first);
      std::memcpy(&second, frame + 6, sizeof second);
      std::memcpy(frame + 6, &first, 6);
      std::memcpy(frame, &second, 6);
    }
    out_.insert(out_.end(), burst, burst + kBurst);
  }
  const uint64_t end = ticks();
  return {kWindow, end - start};
}

Tally Box::establish(uint64_t spread) {
  const FrameMaker maker(plan_.carriage, Protocol::udp, kSmallestIpv4, {{2, 0, 0, 0, 0, 1}},
                         {{2, 0, 0, 0, 0, 9}});
  Tally total;
  const uint32_t all = plan_.mappings();
  for (uint64_t at = 0; at < all; at += kWindow) {
    load([&](uint8_t* frame, unsigned i) {
      const auto n = static_cast<uint32_t>(std::min<uint64_t>(at + i, all - 1));
      return maker.outbound(frame, n / plan_.mappings_each, port_of(n));
    });
    const Tally t = drive(kInside);
    skip(spread * kWindow / all);
    total.packets += t.packets;
    total.ticks += t.ticks;
    drain_log();
  }
  if (const uint32_t made = worker().binding().mappings().size(); made != all)
    throw std::runtime_error(fmt::format("{} of {} mappings were made: {}", made, all, drop_reasons()));
  return total;
}

void Box::learn_ends(std::vector<End>* inside, std::vector<End>* outside, uint64_t seed) const {
  inside->clear();
  outside->clear();
  const auto& table = engine_->worker(0).binding().mappings();
  for (uint32_t i = 0; i < plan_.mappings(); i++)
    inside->push_back({i / plan_.mappings_each, static_cast<uint16_t>(kFirstPort + i % plan_.mappings_each)});
  for (uint32_t id = 0; id < table.high_water(); id++)
    if (table[id].in_use)
      outside->push_back({table[id].external_address.value(), table[id].external_port.value()});
  std::mt19937_64 random(seed);
  std::shuffle(inside->begin(), inside->end(), random);
  std::shuffle(outside->begin(), outside->end(), random);
}

uint16_t Box::port_of(uint32_t i) const {
  return static_cast<uint16_t>(kFirstPort + i % plan_.mappings_each);
}

dataplane::InternalKey Box::key_of(uint32_t i) const {
  dataplane::InternalKey key;
  const uint32_t s = i / plan_.mappings_each;
  key.port = net::Be16(port_of(i));
  if (plan_.carriage == Carriage::nat44) {
    key.ipv4 = net::Ipv4Address(0x0a000000 + s);
    return key;
  }
  key.ipv6 = home(plan_.carriage, s);
  if (plan_.carriage == Carriage::ds_lite) key.ipv4 = net::Ipv4Address(0xc0a80102);
  key.context = 1;
  return key;
}

uint64_t Box::dropped() const {
  uint64_t sum = 0;
  for (const auto& d : std::as_const(*engine_).worker(0).counters().drops) sum += d.get();
  return sum;
}

std::string Box::drop_reasons() const {
  std::string text;
  for (size_t r = 0; r < dataplane::kDropReasonCount; r++)
    if (const auto n = std::as_const(*engine_).worker(0).counters().drops[r].get(); n != 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n, dataplane::kDropReasons[r].name);
  return text.empty() ? "nothing was dropped" : text;
}

void Box::drain_log() {
  for (logging::EventRing* ring : engine_->rings()) ring->release(ring->waiting());
}

}  // namespace culvert::bench
