/// A StatefulBinding on a bench: one worker, tables made from a configuration by the real Registry, a log
/// ring that is read into a ledger after every step. No EAL, no packets.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "dataplane/binding/stateful.h"

namespace culvert::test {

using namespace dataplane;

/// One NAT44 instance: subscribers 10.0.0.0/24, one address each, and small pools.
inline config::Config small_config(std::vector<const char*> pools = {"203.0.113.0/31"},
                                   uint16_t set_size = 16, uint8_t sets_per_address = 4) {
  config::Config c;
  c.interfaces.resize(2);
  c.interfaces[0].name = "inside";
  c.interfaces[1].name = "outside";
  c.interfaces[1].role = config::Role::outside;
  config::Instance i;
  i.name = "main";
  i.carriage = config::Carriage::nat44;
  i.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("10.0.0.0/24"), 32}};
  for (const char* p : pools) i.pools.push_back(*net::Ipv4Prefix::parse(p));
  i.ports.first_port = 1024;
  i.ports.last_port = static_cast<uint16_t>(1024 + set_size * sets_per_address - 1);
  i.ports.set_size = set_size;
  i.ports.sets_per_subscriber = std::min<uint8_t>(2, sets_per_address);
  i.ports.explicit_first = 60000;
  i.ports.explicit_last = 60999;
  i.timers.udp = i.timers.icmp = config::seconds{30};
  i.timers.tcp_idle = config::seconds{100};
  i.timers.tcp_trans_open = i.timers.tcp_trans_close = config::seconds{20};
  i.timers.port_set = config::seconds{10};
  c.instances = {i};
  c.hold_down.timeout = config::seconds{120};
  return c;
}

inline InternalKey inside_endpoint(uint8_t host, uint16_t port, Protocol protocol = Protocol::udp) {
  InternalKey k;
  k.ipv4 = net::Ipv4Address(0x0a000000u + host);
  k.port = net::Be16(port);
  k.protocol = protocol;
  return k;
}
inline RemoteEndpoint remote_endpoint(uint8_t host, uint16_t port) {
  return {net::Ipv4Address(0xc6336400u + host), net::Be16(port)};  // 198.51.100.0/24
}

/// Who holds which ports according to the log alone (promise 6): what was allocated and not released.
class LogReader {
 public:
  using Range = std::tuple<net::Ipv4Address, uint16_t, uint16_t>;

  void read(logging::EventRing& ring) {
    while (const logging::Event* e = ring.peek()) {
      take(*e);
      ring.release(1);
    }
  }
  void take(const logging::Event& e) {
    const Range range{e.external, e.first_port, e.last_port};
    events.push_back(e);
    if (e.kind >= logging::EventKind::session_created) return;
    const auto key = std::pair{range, e.protocol};
    if (e.kind == logging::EventKind::block_allocated || e.kind == logging::EventKind::mapping_created) {
      if (!live.emplace(key, e.subscriber).second) throw std::logic_error("allocated twice");
    } else {
      auto it = live.find(key);
      if (it == live.end() || it->second != e.subscriber) throw std::logic_error("released, but not his");
      live.erase(it);
    }
  }
  std::optional<net::Ipv6Address> holder(const Range& range) const {
    auto it = live.find({range, 0});
    return it == live.end() ? std::nullopt : std::optional(it->second);
  }

  std::map<std::pair<Range, unsigned>, net::Ipv6Address> live;
  std::vector<logging::Event> events;
};

struct Bench {
  static constexpr Millis kStart = 1'700'000'000'000;

  struct Sizes {
    uint32_t mappings = 1000, sessions = 1000, subscribers = 100, held = 100'000, log = 4096;
  };

  explicit Bench(const config::Config& config) : Bench(config, Sizes{}) {}
  Bench(const config::Config& config, const Sizes& sizes, uint64_t seed = 1)
      : registry(1, 1u << 20), log(sizes.log), binding(setup(sizes, seed, &log), counters) {
    apply(config);
    while (binding.sweep(*tables, now)) continue;
  }

  /// What a reload does.
  void apply(const config::Config& config) {
    auto built = registry.build(config, now);
    if (!built.error.empty()) throw std::runtime_error(built.error);
    tables = std::move(built.tables);
    for (const auto& pool : built.added) binding.blocks().attach(std::make_unique<BlockAllocator>(*pool, 0));
  }

  SubscriberRule rule(const InternalKey& k) const {
    const SubscriberRule* r = tables->subscribers_nat44.find(k.ipv4);
    REQUIRE(r != nullptr);
    return *r;
  }
  /// An endpoint's mapping, made if need be, or why not. As the pipeline does, but without tracking.
  StatefulBinding::Outcome open(const InternalKey& k) {
    const MappingId id = binding.mappings().find(k);
    if (id != kNoMapping && binding.alive(*tables, id, now)) return id;
    auto outcome = binding.create(*tables, rule(k), k, now);
    ledger.read(log);
    return outcome;
  }
  MappingId must_open(const InternalKey& k) {
    auto outcome = open(k);
    if (const auto* why = std::get_if<DropReason>(&outcome)) FAIL("refused: " << name_of(*why));
    return std::get<MappingId>(outcome);
  }
  /// Why an endpoint gets no mapping; nullopt when it got one.
  std::optional<DropReason> refusal(const InternalKey& k) {
    auto outcome = open(k);
    if (const auto* why = std::get_if<DropReason>(&outcome)) return *why;
    return std::nullopt;
  }
  std::optional<DropReason> track(Direction d, MappingId id, const RemoteEndpoint& r, uint8_t flags = 0) {
    auto verdict = d == Direction::outbound ? binding.track<Direction::outbound>(*tables, id, r, flags, now)
                                            : binding.track<Direction::inbound>(*tables, id, r, flags, now);
    if (const auto* why = std::get_if<DropReason>(&verdict)) return *why;
    return std::nullopt;
  }
  /// Lets the clock run and sweeps until nothing more is due: all of it when that is 0.8 s or more.
  void advance(Millis ms) {
    now += ms;
    while (binding.sweep(*tables, now)) continue;
    ledger.read(log);
  }
  const Mapping& mapping(MappingId id) const { return binding.mappings()[id]; }
  Pool& pool_of(net::Ipv4Address a) { return *tables->pool_of(a); }
  BlockIndex block_of(const Mapping& m) {
    Pool& p = pool_of(m.external_address);
    return p.block_of(p.index_of(m.external_address), m.external_port.value());
  }
  uint32_t free_blocks() {
    uint32_t n = 0;
    for (const auto& p : tables->pools)
      if (p) n += binding.blocks().allocator(p->slot())->free_blocks();
    return n;
  }

  Millis now = kStart;
  Registry registry;
  Counters counters;
  logging::EventRing log;
  StatefulBinding binding;
  std::unique_ptr<Tables> tables;
  LogReader ledger;

 private:
  static BindingSetup setup(const Sizes& s, uint64_t seed, logging::EventRing* log) {
    BindingSetup b;
    b.mappings = s.mappings;
    b.sessions = s.sessions;
    b.subscribers = s.subscribers;
    b.held = s.held;
    b.seed = seed;
    b.log = log;
    return b;
  }
};

/// What must hold of a binding at any time between two packets. Throws std::logic_error naming what does not.
void check_invariants(Bench& b);
/// What must hold when everything has timed out: nothing is left of anybody.
void check_nothing_left(Bench& b, uint32_t free_blocks_at_start);

}  // namespace culvert::test
