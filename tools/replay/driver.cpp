#include "replay/driver.h"

#include <rte_mbuf.h>

#include "dataplane/packet.h"
#include "logging/event_entry.h"
#include "net/headers.h"

namespace culvert::replay {
namespace {

using dataplane::Millis;

constexpr uint32_t kBuffers = 8192;
constexpr uint16_t kRoom = 9900;  ///< bytes of the longest frame replayed
/// The clock moves at most this far at a time, so that timers end when they should.
constexpr Millis kStep = 500;

net::MacAddress mac(uint8_t last) { return {{0x02, 0xc0, 0, 0, 0, last}}; }

}  // namespace

Driver::Driver(const config::Config& config, uint64_t seed, uint64_t start_ns, Output output, Records records)
    : output_(std::move(output)),
      records_(std::move(records)),
      now_(start_ns / 1'000'000),
      now_ns_(start_ns) {
  dataplane::init_eal_for_replay(256);
  buffers_ = dataplane::make_buffers("replay", kBuffers, kRoom);
  std::vector<control::InterfaceFacts> facts;
  for (const auto& i : config.interfaces) {
    const bool outside = i.role == config::Role::outside;
    facts.push_back({static_cast<uint16_t>(outside ? 1 : 0), mac(outside ? 2 : 1), true});
  }
  control::Engine::Options options;
  options.seed = seed == 0 ? 1 : seed;
  options.buffers = buffers_.get();
  options.ring_files = false;
  engine_ = std::make_unique<control::Engine>(config, facts, options, now_);
  engine_->pump = [this] {
    for (unsigned w = 0; w < engine_->workers(); w++) engine_->worker(w).poll(now_);
  };
  // Nobody answers here: addresses of next hops stand for made-up MACs.
  for (unsigned i = 0; i < config.interfaces.size(); i++) {
    if (std::holds_alternative<net::Ipv4Address>(config.interfaces[i].next_hop_ipv4))
      engine_->next_hop_ipv4(i).set(mac(static_cast<uint8_t>(0x41 + i)));
    if (std::holds_alternative<net::Ipv6Address>(config.interfaces[i].next_hop_ipv6))
      engine_->next_hop_ipv6(i).set(mac(static_cast<uint8_t>(0x61 + i)));
  }
}

Driver::~Driver() {
  for (rte_mbuf* m : burst_) dataplane::free_packet(m);
}

const config::Interface& Driver::interface_of(Side side) const {
  const auto& all = engine_->config().interfaces;
  const auto wrong = side == Side::inside ? config::Role::outside : config::Role::inside;
  return all.front().role == wrong ? all.back() : all.front();
}

uint16_t Driver::port_of(Side side) const { return interface_of(side).role == config::Role::outside ? 1 : 0; }

void Driver::push(const Frame& frame, LinkType type) {
  const Millis at = frame.timestamp_ns / 1'000'000;
  if (!burst_.empty() && (at != now_ || frame.side != burst_side_ || burst_.size() == dataplane::kBurst))
    flush_burst();
  if (at > now_) advance(at);
  now_ns_ = std::max(now_ns_, frame.timestamp_ns);
  const uint16_t vlan = interface_of(frame.side).vlan.value_or(0);
  const bool raw = type == LinkType::raw_ip;
  const unsigned header = raw ? 14 + (vlan != 0 ? 4 : 0) : 0;
  if (frame.bytes.size() + header > kRoom) {
    oversized_++;
    return;
  }
  rte_mbuf* m = rte_pktmbuf_alloc(buffers_.get());
  auto* bytes = reinterpret_cast<uint8_t*>(
      m == nullptr ? nullptr : rte_pktmbuf_append(m, static_cast<uint16_t>(frame.bytes.size() + header)));
  if (bytes == nullptr) throw std::runtime_error("replay ran out of packet buffers");
  if (raw) {
    std::memset(bytes, 0, 12);
    const bool v6 = !frame.bytes.empty() && frame.bytes[0] >> 4 == 6;
    const net::Be16 tag[2] = {net::Be16(net::kEtherVlan), net::Be16(vlan)};
    if (vlan != 0) std::memcpy(bytes + 12, tag, sizeof tag);
    const net::Be16 ether_type(v6 ? net::kEtherIpv6 : net::kEtherIpv4);
    std::memcpy(bytes + header - 2, &ether_type, 2);
  }
  std::copy(frame.bytes.begin(), frame.bytes.end(), bytes + header);
  burst_.push_back(m);
  burst_side_ = frame.side;
}

void Driver::flush_burst() {
  if (burst_.empty()) return;
  dataplane::Worker& worker = engine_->worker(turn_++ % engine_->workers());
  worker.receive(port_of(burst_side_), burst_.data(), static_cast<unsigned>(burst_.size()), now_);
  burst_.clear();
  settle();
}

void Driver::settle() {
  unsigned moved = 1;
  while (moved != 0) {
    empty_outboxes();
    moved = 0;
    for (unsigned w = 0; w < engine_->workers(); w++) {
      moved += engine_->worker(w).poll(now_);
      moved += engine_->worker(w).behind() ? 1 : 0;
    }
  }
  empty_outboxes();
  void* m;
  while (rte_ring_dequeue(engine_->fabric().to_kernel, &m) == 0) {
    punted_++;
    dataplane::free_packet(static_cast<rte_mbuf*>(m));
  }
  for (logging::EventRing* ring : engine_->rings()) {
    while (const logging::Event* event = ring->peek()) {
      if (records_) record(*event);
      ring->release(1);
    }
  }
}

void Driver::record(const logging::Event& event) const {
  const dataplane::Tables& tables = engine_->tables();
  // A pool that is gone has no instance any more.
  const dataplane::Pool* pool = tables.pool_of(event.external);
  const dataplane::InstanceView& instance = tables.instances[pool == nullptr ? 0 : pool->instance()];
  records_(logging::entry_of(event, pool == nullptr ? "" : instance.name,
                             static_cast<logging::Entry::Carriage>(instance.carriage)));
}

void Driver::empty_outboxes() {
  for (unsigned w = 0; w < engine_->workers(); w++) {
    for (unsigned i = 0; i < engine_->config().interfaces.size(); i++) {
      auto& frames = engine_->worker(w).outbox().frames(static_cast<uint8_t>(i));
      const config::Role role = engine_->config().interfaces[i].role;
      for (rte_mbuf* m : frames) {
        // A one-armed box has one wire, and replay calls it the inside.
        const Side side = role == config::Role::outside ? Side::outside : Side::inside;
        output_(side, now_ns_, {dataplane::bytes_of(m), m->data_len});
        dataplane::free_packet(m);
      }
      frames.clear();
    }
  }
}

void Driver::advance(Millis to) {
  flush_burst();
  while (now_ < to) {
    now_ = std::min(to, now_ + kStep);
    now_ns_ = std::max(now_ns_, now_ * 1'000'000);
    settle();
    engine_->tick(now_);
    settle();
  }
}

void Driver::run_on(uint64_t milliseconds) { advance(now_ + milliseconds); }

}  // namespace culvert::replay
