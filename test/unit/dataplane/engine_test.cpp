// The engine without devices and threads: dealing blocks between workers, and reloads. Workers are turned by
// hand.
#include "control/engine.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "binding_bench.h"

using namespace culvert::test;
using culvert::control::Engine;
namespace config = culvert::config;
namespace control = culvert::control;
namespace logging = culvert::logging;
namespace net = culvert::net;

namespace {

class Box {
 public:
  explicit Box(const config::Config& c, std::shared_ptr<const SubscriberRss> rss = nullptr)
      : free_at_start(0) {
    Engine::Options options;
    options.rss = std::move(rss);
    options.seed = 1;
    options.ring_files = false;
    options.event_ring_size = 1u << 16;
    engine = std::make_unique<Engine>(c, std::vector<control::InterfaceFacts>(2), options, now);
    engine->pump = [this] { poll(); };
    free_at_start = free_blocks();
    read_log();
  }
  void poll() {
    for (unsigned w = 0; w < engine->workers(); w++) {
      do engine->worker(w).poll(now);
      while (engine->worker(w).behind());
    }
    read_log();
  }
  void read_log() {
    for (logging::EventRing* ring : engine->rings()) ledger.read(*ring);
  }
  void advance(Millis ms) {
    for (const Millis end = now + ms; now < end;) {
      now = std::min(end, now + 500);
      poll();
      engine->tick(now);
    }
  }
  const Tables& tables() const { return engine->tables(); }
  StatefulBinding& binding(unsigned w) { return engine->worker(w).binding(); }

  WorkerId worker_of(const InternalKey& k) const {
    const SubscriberRule* r = tables().subscribers_nat44.find(k.ipv4);
    REQUIRE(r != nullptr);
    return tables().steering.worker_of(SubscriberKey::ipv4(k.ipv4, r->mask, r->instance));
  }
  /// A mapping at the worker the subscriber belongs to.
  StatefulBinding::Outcome open(const InternalKey& k) {
    StatefulBinding& b = binding(worker_of(k));
    const MappingId known = b.mappings().find(k);
    if (known != kNoMapping) return known;
    auto made = b.create(tables(), *tables().subscribers_nat44.find(k.ipv4), k, now);
    read_log();
    return made;
  }
  bool opens(const InternalKey& k) { return std::holds_alternative<MappingId>(open(k)); }
  const Mapping& mapping(const InternalKey& k) {
    const auto id = open(k);
    REQUIRE(std::holds_alternative<MappingId>(id));
    return binding(worker_of(k)).mappings()[std::get<MappingId>(id)];
  }
  /// Hosts of 10.0.0.0/24 that belong to a worker.
  std::vector<uint8_t> hosts_of(WorkerId w) const {
    std::vector<uint8_t> hosts;
    for (unsigned h = 0; h < 256; h++)
      if (worker_of(inside_endpoint(static_cast<uint8_t>(h), 1)) == w)
        hosts.push_back(static_cast<uint8_t>(h));
    return hosts;
  }
  uint32_t free_blocks(unsigned w) {
    uint32_t n = 0;
    for (const auto& p : tables().pools)
      if (p && binding(w).blocks().allocator(p->slot()))
        n += binding(w).blocks().allocator(p->slot())->free_blocks();
    return n;
  }
  uint32_t free_blocks() {
    uint32_t n = 0;
    for (unsigned w = 0; w < engine->workers(); w++) n += free_blocks(w);
    return n;
  }
  /// Every mapping is where packets for its external endpoint go, and no external endpoint is given twice.
  void check_owners() {
    std::set<std::tuple<net::Ipv4Address, uint16_t, Protocol>> external;
    for (unsigned w = 0; w < engine->workers(); w++) {
      const MappingTable& table = binding(w).mappings();
      for (MappingId id = 0; id < table.high_water(); id++) {
        const Mapping& m = table[id];
        if (!m.in_use) continue;
        const Pool& pool = *tables().pool_of(m.external_address);
        CHECK(pool.owner(m.external_address, m.external_port.value()) == w);
        CHECK(external.emplace(m.external_address, m.external_port.value(), m.internal.protocol).second);
      }
    }
  }

  Millis now = Bench::kStart;
  std::unique_ptr<Engine> engine;
  LogReader ledger;
  uint32_t free_at_start;
};

config::Config config_of(unsigned workers, std::vector<const char*> pools, uint16_t set_size = 16,
                         uint8_t sets = 16) {
  config::Config c = small_config(std::move(pools), set_size, sets);
  c.workers = static_cast<uint16_t>(workers);
  c.capacity.mappings = 10'000;
  c.capacity.sessions = 1'000;
  c.capacity.subscribers = 1'000;
  c.capacity.external_addresses = 64;
  return c;
}

config::StaticMapping static_mapping(uint8_t host, uint16_t port, const char* external,
                                     uint16_t external_port) {
  config::StaticMapping s;
  s.protocol = Protocol::tcp;
  s.internal_address = net::Ipv4Address(0x0a000000u + host);
  s.internal_port = port;
  s.external_address = *net::Ipv4Address::parse(external);
  s.external_port = external_port;
  return s;
}

}  // namespace

TEST_CASE("A split pool serves one worker's subscribers to its last block but a few", "[dataplane][engine]") {
  Box box(config_of(2, {"203.0.113.0/32"}, 16, 64));  // one address, 64 blocks, dealt singly
  CHECK(box.tables().pools[0]->split());
  CHECK(box.free_blocks(0) == 32);
  unsigned served = 0;
  for (uint8_t h : box.hosts_of(0)) {
    served += box.opens(inside_endpoint(h, 1));
    box.advance(200);
  }
  CHECK(served >= 60);
  CHECK(served + box.free_blocks() == 64);
  CHECK(box.ledger.live.size() == served);
  box.check_owners();
}

TEST_CASE("Two addresses a worker are dealt whole, fewer by block", "[dataplane][engine][steering]") {
  CHECK_FALSE(Box(config_of(2, {"203.0.113.0/30"}, 16, 4)).tables().pools[0]->split());
  CHECK(Box(config_of(4, {"203.0.113.0/30"}, 16, 4)).tables().pools[0]->split());
  CHECK_FALSE(Box(config_of(1, {"203.0.113.0/32"}, 16, 4)).tables().pools[0]->split());
}

TEST_CASE("Blocks dealt one by one go to workers in runs, over all pools of the instance",
          "[dataplane][engine][steering]") {
  config::Config c = config_of(4, {"203.0.113.0/32", "203.0.113.8/31"}, 16, 4);
  c.capacity.external_addresses = 4;
  Box box(c);
  std::vector<WorkerId> owners;
  for (const auto& pool : box.tables().pools)
    for (BlockIndex b = 0; b < pool->block_count(); b++) owners.push_back(pool->block_owner(b));
  CHECK(owners == std::vector<WorkerId>{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3});
  // A pool that a reload adds is everybody's too.
  c.instances[0].pools.push_back(*net::Ipv4Prefix::parse("203.0.113.16/32"));
  REQUIRE(box.engine->apply(c, box.now).empty());
  const Pool& added = *box.tables().pools[2];
  CHECK(added.split());
  for (BlockIndex b = 0; b < 4; b++) CHECK(added.block_owner(b) == b);
}

TEST_CASE("Whole addresses move to the worker that runs out while they are free", "[dataplane][engine]") {
  Box box(config_of(2, {"203.0.113.0/28"}, 16, 4));  // 16 addresses of 4 blocks
  CHECK_FALSE(box.tables().pools[0]->split());
  CHECK(box.free_blocks(0) == 32);
  unsigned served = 0;
  for (uint8_t h : box.hosts_of(0)) {
    served += box.opens(inside_endpoint(h, 1));
    box.advance(200);
  }
  CHECK(served >= 56);
  CHECK(served + box.free_blocks() == 64);
  box.check_owners();
}

TEST_CASE("After the rush every block is free again, whoever has it now", "[dataplane][engine]") {
  for (const char* pool : {"203.0.113.0/32", "203.0.113.0/28"}) {
    Box box(config_of(4, {pool}, 16, 64));
    for (unsigned h = 0; h < 256; h++) {
      box.opens(inside_endpoint(static_cast<uint8_t>(h), 1));
      if (h % 8 == 0) box.advance(100);
    }
    box.check_owners();
    box.advance(200'000);
    CHECK(box.free_blocks() == box.free_at_start);
    CHECK(box.ledger.live.empty());
    Pool& p = *box.tables().pools[0];
    for (BlockIndex b = 0; b < p.block_count(); b++) {
      CHECK(p.block(b).state == BlockState::free);
      CHECK(p.block_owner(b) < 4);
    }
  }
}

TEST_CASE("Many small pools are dealt to all workers", "[dataplane][engine]") {
  for (unsigned workers : {2u, 4u}) {
    std::vector<const char*> pools = {
        "203.0.113.1/32",  "203.0.113.3/32",  "203.0.113.5/32",  "203.0.113.7/32",
        "203.0.113.9/32",  "203.0.113.11/32", "203.0.113.13/32", "203.0.113.15/32",
        "203.0.113.17/32", "203.0.113.19/32", "203.0.113.21/32", "203.0.113.23/32",
        "203.0.113.25/32", "203.0.113.27/32", "203.0.113.29/32", "203.0.113.31/32"};
    Box box(config_of(workers, pools, 16, 8));
    for (unsigned w = 0; w < workers; w++) {
      INFO("worker " << w << " of " << workers);
      CHECK(box.free_blocks(w) == box.free_at_start / workers);
    }
  }
}

TEST_CASE("An address with a static mapping stays where that is", "[dataplane][engine]") {
  config::Config c = config_of(2, {"203.0.113.0/28"}, 16, 4);
  for (unsigned a = 0; a < 16; a++) {
    const std::string address = "203.0.113." + std::to_string(a);
    c.instances[0].static_mappings.push_back(
        static_mapping(static_cast<uint8_t>(200 + a), 80, address.c_str(), 60080));
  }
  Box box(c);
  CHECK(box.engine->take_warnings().empty());
  std::vector<WorkerId> before;
  for (unsigned a = 0; a < 16; a++) before.push_back(box.tables().pools[0]->address_owner(a));
  for (uint8_t h : box.hosts_of(0)) {
    box.opens(inside_endpoint(h, 1));
    box.advance(200);
  }
  for (unsigned a = 0; a < 16; a++) CHECK(box.tables().pools[0]->address_owner(a) == before[a]);
  box.check_owners();
}

TEST_CASE("Reload: an added pool is used, and nothing of the old ones is lost", "[dataplane][engine]") {
  for (unsigned workers : {1u, 2u}) {
    config::Config c = config_of(workers, {"203.0.113.0/32"}, 16, 4);
    Box box(c);
    std::vector<std::pair<InternalKey, ExternalKey>> before;
    unsigned refused = 0;
    for (uint8_t h = 0; h < 8; h++) {
      const InternalKey k = inside_endpoint(h, 1);
      if (box.opens(k))
        before.push_back({k, box.mapping(k).external()});
      else
        refused++;
    }
    CHECK(refused >= 4);
    c.instances[0].pools.push_back(*net::Ipv4Prefix::parse("198.51.100.0/29"));
    CHECK(box.engine->apply(c, box.now) == "");
    for (uint8_t h = 0; h < 24; h++) CHECK(box.opens(inside_endpoint(h, 1)));
    for (const auto& [k, e] : before) CHECK(box.mapping(k).external() == e);
    box.check_owners();
  }
}

TEST_CASE("Reload: a removed pool drains, then its slot serves another", "[dataplane][engine]") {
  for (unsigned workers : {1u, 2u}) {
    config::Config c = config_of(workers, {"203.0.113.0/30", "198.51.100.0/30"});
    Box box(c);
    const InternalKey k = inside_endpoint(1, 1);
    const ExternalKey e = box.mapping(k).external();
    const uint16_t slot = box.tables().pool_of(e.address)->slot();
    REQUIRE(slot == 0);
    config::Config less = c;
    less.instances[0].pools.erase(less.instances[0].pools.begin());
    REQUIRE(box.engine->apply(less, box.now) == "");
    CHECK(box.tables().draining);
    CHECK(box.tables().pools[0]->draining);
    // The mapping goes on; the subscriber's next one comes from another pool.
    CHECK(box.mapping(k).external() == e);
    CHECK(box.mapping(inside_endpoint(1, 2)).external_address.value() >> 8 == 0xc63364u);
    CHECK(box.mapping(inside_endpoint(2, 1)).external_address.value() >> 8 == 0xc63364u);
    // A pool that overlaps it cannot come meanwhile.
    config::Config other = less;
    other.instances[0].pools.push_back(*net::Ipv4Prefix::parse("203.0.113.0/29"));
    CHECK_THAT(box.engine->apply(other, box.now), Catch::Matchers::Contains("still draining"));
    box.advance(10'000);
    REQUIRE(box.tables().pools[0] != nullptr);
    // The mapping ends at 30 s, its block is given back at once and held for 120 s.
    box.advance(30'000);
    CHECK(box.tables().pools[0] != nullptr);
    box.advance(125'000);
    CHECK(box.tables().pools[0] == nullptr);
    CHECK_FALSE(box.tables().draining);
    CHECK(box.ledger.live.size() == 0);
    REQUIRE(box.engine->apply(other, box.now) == "");
    REQUIRE(box.tables().pools[0] != nullptr);
    CHECK(box.tables().pools[0]->prefix().text() == "203.0.113.0/29");
    for (uint8_t h = 0; h < 40; h++) CHECK(box.opens(inside_endpoint(h, 1)));
    box.check_owners();
  }
}

TEST_CASE("Reload: what is left of a removed pool is cut at its deadline", "[dataplane][engine]") {
  config::Config c = config_of(1, {"203.0.113.0/30", "198.51.100.0/30"});
  c.drain_timeout = config::seconds{60};
  Box box(c);
  const InternalKey k = inside_endpoint(1, 1);
  REQUIRE(box.opens(k));
  config::Config less = c;
  less.instances[0].pools.erase(less.instances[0].pools.begin());
  REQUIRE(box.engine->apply(less, box.now) == "");
  for (int i = 0; i < 5; i++) {  // kept alive by traffic
    box.advance(11'000);
    const MappingId id = box.binding(0).mappings().find(k);
    REQUIRE(id != kNoMapping);
    box.binding(0).track<Direction::outbound>(box.tables(), id, remote_endpoint(1, 1), 0, box.now);
  }
  CHECK(box.binding(0).mappings().size() == 1);
  box.advance(6'000);
  CHECK(box.binding(0).mappings().size() == 0);
  CHECK(box.ledger.events.back().reason == logging::Reason::pool_removed);
}

TEST_CASE("Reload: a pool that comes back while it drains just goes on", "[dataplane][engine]") {
  config::Config c = config_of(1, {"203.0.113.0/30", "198.51.100.0/30"});
  Box box(c);
  const InternalKey k = inside_endpoint(1, 1);
  const ExternalKey e = box.mapping(k).external();
  config::Config less = c;
  less.instances[0].pools.erase(less.instances[0].pools.begin());
  REQUIRE(box.engine->apply(less, box.now) == "");
  REQUIRE(box.engine->apply(c, box.now) == "");
  CHECK_FALSE(box.tables().draining);
  CHECK(box.mapping(k).external() == e);
  CHECK(box.mapping(inside_endpoint(1, 2)).external_address == e.address);
}

TEST_CASE("Reload: what needs a restart is refused with its figures, and nothing changes",
          "[dataplane][engine]") {
  const config::Config c = config_of(2, {"203.0.113.0/30"});
  Box box(c);
  const uint64_t version = box.tables().version;
  struct Row {
    void (*change)(config::Config&);
    std::vector<const char*> says;
  };
  const Row rows[] = {
      {[](config::Config& x) { x.capacity.mappings = 20'000; }, {"mappings", "10000", "20000", "restart"}},
      {[](config::Config& x) { x.capacity.sessions = 5; }, {"sessions", "1000", "5", "restart"}},
      {[](config::Config& x) { x.capacity.subscribers = 7; }, {"subscribers", "1000", "7", "restart"}},
      {[](config::Config& x) { x.workers = 3; }, {"workers", "2", "3", "restart"}},
      {[](config::Config& x) { x.hold_down.max = 9; }, {"hold-down-max", "9", "restart"}},
      {[](config::Config& x) { x.interfaces[0].mtu = 9000; }, {"inside", "restart"}},
      {[](config::Config& x) { x.instances[0].ports.set_size = 32; }, {"geometry", "203.0.113.0/30", "16"}},
      {[](config::Config& x) { x.instances[0].pools.push_back(*net::Ipv4Prefix::parse("198.51.100.0/26")); },
       {"198.51.100.0/26", "64 external addresses", "restart"}},
      {[](config::Config& x) {
         x.instances[0].name = "renamed";  // another instance, which would take the pool of the first
       },
       {"203.0.113.0/30", "instance"}},
  };
  for (const Row& r : rows) {
    config::Config next = c;
    r.change(next);
    const std::string reason = box.engine->apply(next, box.now);
    INFO(reason);
    CHECK_FALSE(reason.empty());
    for (const char* word : r.says) CHECK(reason.find(word) != std::string::npos);
    CHECK(box.tables().version == version);
    CHECK(box.engine->config().capacity == c.capacity);
    CHECK_FALSE(box.tables().draining);
  }
  CHECK(box.opens(inside_endpoint(1, 1)));
}

TEST_CASE("Reload: refused configurations leave no trace, however many", "[dataplane][engine]") {
  const config::Config c = config_of(1, {"203.0.113.0/30"});
  Box box(c);
  for (int i = 0; i < 100; i++) {
    config::Config next = c;
    next.instances[0].name = "other" + std::to_string(i);
    CHECK_FALSE(box.engine->apply(next, box.now).empty());
  }
  config::Config next = c;
  next.instances[0].timers.udp = config::seconds{40};
  CHECK(box.engine->apply(next, box.now) == "");
}

TEST_CASE("Reload: static mappings come and go, on record", "[dataplane][engine]") {
  for (unsigned workers : {1u, 2u, 4u}) {
    config::Config c = config_of(workers, {"203.0.113.0/28"}, 16, 4);
    Box box(c);
    // Somebody active, who then gets a static mapping that may lie on another worker's address.
    const InternalKey k = inside_endpoint(7, 1);
    REQUIRE(box.opens(k));
    config::Config more = c;
    for (unsigned a = 0; a < 4; a++) {
      const std::string address = "203.0.113." + std::to_string(a);
      more.instances[0].static_mappings.push_back(
          static_mapping(static_cast<uint8_t>(7 + a), 80, address.c_str(), static_cast<uint16_t>(60080 + a)));
    }
    REQUIRE(box.engine->apply(more, box.now) == "");
    CHECK(box.engine->take_warnings().empty());
    box.poll();
    CHECK(std::ranges::count_if(box.ledger.live, [](const auto& e) { return e.first.second == 6; }) == 4);
    // Everything of a subscriber is at one worker (RFC 6888 REQ-2: on the static mapping's address).
    CHECK(box.mapping(k).external_address.text() == "203.0.113.0");
    const InternalKey server = inside_endpoint(7, 80, Protocol::tcp);
    CHECK(box.mapping(server).external_port.value() == 60080);
    CHECK(box.mapping(server).is_static);
    box.check_owners();

    REQUIRE(box.engine->apply(c, box.now) == "");
    box.poll();
    CHECK(std::ranges::count_if(box.ledger.live, [](const auto& e) { return e.first.second == 6; }) == 0);
    unsigned statics = 0, holders = 0;
    for (unsigned w = 0; w < workers; w++) {
      const MappingTable& table = box.binding(w).mappings();
      for (MappingId id = 0; id < table.high_water(); id++)
        statics += table[id].in_use && table[id].is_static;
      holders += box.binding(w).subscribers().find(SubscriberKey::ipv4(k.ipv4, 32, 0)) != kNoSubscriber;
      // Nobody is left at a worker that is not his any more.
      if (w != box.worker_of(k)) CHECK(box.binding(w).mappings().find(k) == kNoMapping);
    }
    CHECK(statics == 0);
    CHECK(holders <= 1);
    box.advance(300'000);
    CHECK(box.free_blocks() == box.free_at_start);
    CHECK(box.ledger.live.empty());
  }
}

TEST_CASE("Reload: a static mapping whose port another has is told, not made", "[dataplane][engine]") {
  config::Config c = config_of(1, {"203.0.113.0/30"});
  c.capacity.mappings = 1;
  c.instances[0].static_mappings = {static_mapping(1, 80, "203.0.113.0", 60080),
                                    static_mapping(2, 80, "203.0.113.0", 60081)};
  Box box(c);
  const auto warnings = box.engine->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Catch::Matchers::Contains("203.0.113.0:60081"));
  CHECK(box.engine->take_warnings().empty());
  CHECK(box.ledger.live.size() == 1);
}

TEST_CASE("Reload: a removed instance's mappings live on under its last policy while its pool drains",
          "[dataplane][engine]") {
  config::Config c = config_of(1, {"203.0.113.0/30"});
  config::Instance softwires = c.instances[0];
  softwires.name = "softwires";
  softwires.carriage = config::Carriage::ds_lite;
  softwires.subscribers_ipv4.clear();
  softwires.subscribers_ipv6 = {{*net::Ipv6Prefix::parse("2001:db8:100::/40"), 56}};
  softwires.aftr_addresses = {*net::Ipv6Address::parse("2001:db8:ffff::1")};
  softwires.pools = {*net::Ipv4Prefix::parse("198.51.100.0/30")};
  c.instances.push_back(softwires);
  Box box(c);
  InternalKey k;
  k.ipv6 = *net::Ipv6Address::parse("2001:db8:100::1");
  k.ipv4 = *net::Ipv4Address::parse("192.168.1.2");
  k.port = net::Be16(5);
  REQUIRE(box.tables().softwires.size() == 1);
  k.context = box.tables().softwires[0];
  const SubscriberRule rule = *box.tables().subscribers_ds_lite.find(k.ipv6);
  REQUIRE(std::holds_alternative<MappingId>(box.binding(0).create(box.tables(), rule, k, box.now)));
  c.instances.pop_back();
  REQUIRE(box.engine->apply(c, box.now) == "");
  CHECK(box.tables().subscribers_ds_lite.find(k.ipv6) == nullptr);
  InternalKey newcomer = k;
  newcomer.ipv6 = *net::Ipv6Address::parse("2001:db8:1ff::1");
  CHECK(std::get<DropReason>(box.binding(0).create(box.tables(), rule, newcomer, box.now)) ==
        DropReason::draining);
  const MappingId id = box.binding(0).mappings().find(k);
  REQUIRE(id != kNoMapping);
  const InstanceView& view = box.tables().instances[box.binding(0).mappings()[id].instance];
  // Or else its packets would leave without their softwire, and its timers would be zero.
  CHECK(view.carriage == Carriage::ds_lite);
  CHECK(view.udp == 30'000);
  CHECK(box.tables().softwires == std::vector<Context>{k.context});
  for (int i = 0; i < 4; i++) {
    box.advance(20'000);
    REQUIRE(box.binding(0).alive(box.tables(), id, box.now));
    box.binding(0).track<Direction::outbound>(box.tables(), id, remote_endpoint(1, 1), 0, box.now);
  }
  box.advance(160'000);
  CHECK(box.binding(0).mappings().size() == 0);
  CHECK(box.tables().softwires.empty());
}

TEST_CASE("What RSS was set up for stays through reloads, and a shorter mask is told",
          "[dataplane][engine][steering]") {
  const auto rss = std::make_shared<const SubscriberRss>(SubscriberMasks{uint8_t{32}, std::nullopt}, 7, true);
  config::Config c = config_of(4, {"203.0.113.0/28"}, 16, 4);
  Box box(c, rss);
  const uint64_t version = box.engine->owners_version();
  const auto worker = [&](uint32_t host, unsigned mask) {
    return box.tables().steering.worker_of(SubscriberKey::ipv4(net::Ipv4Address(host), mask, 0));
  };
  for (uint32_t host = 0x0a000000; host < 0x0a000080; host++)
    CHECK(worker(host, 32) == *rss->entry(SubscriberKey::ipv4(net::Ipv4Address(host), 32, 0).prefix) % 4);
  const WorkerId before = worker(0x0a000011, 32);
  REQUIRE(box.engine->apply(c, box.now).empty());
  CHECK(box.engine->take_warnings().empty());
  CHECK(worker(0x0a000011, 32) == before);
  CHECK(box.engine->owners_version() > version);  // the hardware's rules are looked at again
  for (auto& m : c.instances[0].subscribers_ipv4) m.mask = 28;
  REQUIRE(box.engine->apply(c, box.now).empty());
  const auto warnings = box.engine->take_warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("IPv4 sources by /32") != std::string::npos);
  CHECK(worker(0x0a000011, 28) == worker(0x0a00001f, 28));  // one worker all the same, some by ring
}
