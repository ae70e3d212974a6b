// After a restart everybody has the blocks that the ledger says he holds, whatever the number of workers:
// the real engine writes a real ledger, and another engine begins with what that says.
#include "control/inheritance.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "../logging/test_directory.h"
#include "binding_bench.h"
#include "control/engine.h"
#include "logging/event_merge.h"
#include "logging/ledger/ledger.h"
#include "net/mapped.h"

using namespace culvert::test;
using culvert::control::Engine;
using culvert::control::Inheritance;
using culvert::logging::ledger::Ledger;
namespace config = culvert::config;
namespace control = culvert::control;
namespace logging = culvert::logging;
namespace net = culvert::net;

namespace {

using Place = std::pair<uint32_t, uint16_t>;  ///< address, first port
using Holders = std::map<Place, net::Ipv6Address>;

config::Config config_of(unsigned workers, const std::vector<const char*>& pools, uint16_t set_size = 16) {
  config::Config c = small_config(pools, set_size, 3);
  c.workers = static_cast<uint16_t>(workers);
  c.capacity.mappings = 10'000;
  c.capacity.subscribers = 2'000;
  c.capacity.external_addresses = 64;
  c.hold_down.timeout = std::chrono::seconds(60);
  return c;
}

/// A run of the box: an engine, and the ledger that it begins from and writes to.
class Run {
 public:
  Run(const config::Config& c, const std::string& directory, Millis start)
      : now(start), ledger(directory, start, {.tell = [](const std::string& text) { FAIL(text); }}) {
    const Inheritance inheritance = control::inheritance_of(ledger.state());
    Engine::Options options;
    options.seed = 7;
    options.ring_files = false;
    options.inheritance = &inheritance;
    engine = std::make_unique<Engine>(c, std::vector<control::InterfaceFacts>(2), options, now);
    engine->pump = [this] { poll(); };
    for (const uint64_t block : engine->disinherited()) ledger.release(block, logging::Reason::restart, now);
    for (const auto& endpoint : engine->mappings_that_left()) ledger.end_mapping(endpoint, now);
    ledger.define(engine->definitions(), now);
    REQUIRE(ledger.next_segment(now) == Ledger::Commit::done);
    epoch_ = start;
    write();
  }
  ~Run() { write(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void advance(Millis ms) {
    now += ms;
    poll();
    engine->tick(now);
  }
  void poll() {
    for (unsigned w = 0; w < engine->workers(); w++) {
      do engine->worker(w).poll(now);
      while (engine->worker(w).behind());
    }
  }
  /// A mapping of host 10.0.0.`host`; its block, if he gets one.
  std::optional<Place> open(uint8_t host, uint16_t port) {
    const InternalKey k = inside_endpoint(host, port);
    const SubscriberRule& rule = *tables().subscribers_nat44.find(k.ipv4);
    const SubscriberKey who = SubscriberKey::ipv4(k.ipv4, rule.mask, rule.instance);
    StatefulBinding& binding = engine->worker(tables().steering.worker_of(who)).binding();
    MappingId id = binding.mappings().find(k);
    if (id == kNoMapping) {
      auto made = binding.create(tables(), rule, k, now);
      if (!std::holds_alternative<MappingId>(made)) return std::nullopt;
      id = std::get<MappingId>(made);
    }
    const Mapping& m = binding.mappings()[id];
    const Pool& pool = *tables().pool_of(m.external_address);
    const BlockIndex b = pool.block_of(pool.index_of(m.external_address), m.external_port.value());
    return Place{m.external_address.value(), pool.first_port(b)};
  }
  /// Who has what, as the workers' tables say.
  Holders holders() const {
    Holders all;
    for (const auto& pool : tables().pools) {
      for (BlockIndex b = 0; pool && b < pool->block_count(); b++) {
        if (pool->block(b).state != BlockState::live) continue;
        const StatefulBinding& binding = engine->worker(pool->block_owner(b)).binding();
        const Subscriber& s = binding.subscribers()[pool->block(b).subscriber];
        all[{pool->address_of(b).value(), pool->first_port(b)}] = s.key.prefix;
        // Packets of his find the same worker as packets to his address.
        REQUIRE(tables().steering.worker_of(s.key) == pool->block_owner(b));
      }
    }
    return all;
  }
  /// What may not be given to anybody yet.
  std::set<Place> resting() const {
    std::set<Place> all;
    for (const auto& pool : tables().pools)
      for (BlockIndex b = 0; pool && b < pool->block_count(); b++)
        if (pool->block(b).state == BlockState::held)
          all.emplace(pool->address_of(b).value(), pool->first_port(b));
    return all;
  }
  const Tables& tables() const { return engine->tables(); }

  Millis now;
  Ledger ledger;
  std::unique_ptr<Engine> engine;

 private:
  void write() {
    std::vector<logging::EventMerge::Input> inputs;
    for (logging::EventRing* ring : engine->rings())
      inputs.push_back({ring, static_cast<uint8_t>(inputs.size())});
    logging::EventMerge merge(inputs);
    merge.gather();
    while (const logging::Event* e = merge.next()) ledger.take(*e, merge.input().worker, epoch_);
    if (ledger.commit(now) != Ledger::Commit::done) throw std::runtime_error(ledger.error());
    merge.release();
  }
  uint64_t epoch_ = 0;
};

}  // namespace

TEST_CASE("after a restart everybody has his blocks, with any number of workers",
          "[dataplane][inheritance]") {
  CHECK(rc::check("held before == held after", [] {
    TestDirectory directory;
    const std::vector<const char*> pools =
        *rc::gen::element(std::vector<const char*>{"203.0.113.0/28"},  // dealt by address
                          std::vector<const char*>{"203.0.113.0/32"},  // dealt by block
                          std::vector<const char*>{"203.0.113.0/30", "198.51.100.0/29"});
    Millis now = Bench::kStart;
    Holders before;
    std::set<Place> rested;
    for (unsigned runs = *rc::gen::inRange(2u, 5u); runs != 0; runs--) {
      const auto workers = *rc::gen::inRange(1u, 5u);
      Run run(config_of(workers, pools), directory.path("l"), now);
      RC_ASSERT(run.engine->disinherited().empty());
      RC_ASSERT(run.holders() == before);
      RC_ASSERT(run.resting() == rested);
      for (auto steps = *rc::gen::inRange(0u, 60u); steps != 0; steps--) {
        if (*rc::gen::inRange(0, 12) == 0) run.advance(*rc::gen::element(100u, 5'000u, 61'000u, 700'000u));
        const Holders held = run.holders();
        const std::set<Place> resting = run.resting();
        const auto host = *rc::gen::inRange<uint8_t>(1, 60);
        const auto block = run.open(host, *rc::gen::inRange<uint16_t>(1, 40));
        if (!block) continue;
        const auto who = net::mapped(net::Ipv4Address(0x0a000000u + host));
        const auto holder = held.find(*block);
        RC_ASSERT((holder == held.end() || holder->second == who));
        RC_ASSERT(!resting.contains(*block));
      }
      run.advance(1);
      before = run.holders();
      rested = run.resting();
      now = run.now;
    }
  }));
}

TEST_CASE("what the configuration has no place for is released, and rests", "[dataplane][inheritance]") {
  TestDirectory directory;
  const auto first = [&] {
    Run run(config_of(2, {"203.0.113.0/30"}), directory.path("l"), Bench::kStart);
    for (uint8_t host = 1; host <= 8; host++) REQUIRE(run.open(host, 1));
    return run.holders();
  }();
  REQUIRE(first.size() == 8);
  SECTION("blocks of another size") {
    Run run(config_of(2, {"203.0.113.0/30"}, 32), directory.path("l"), Bench::kStart + 1);
    CHECK(run.engine->disinherited().size() == 8);
    CHECK(run.holders().empty());
    for (const auto& [block, who] : first)  // the larger ones that they lie in
      CHECK(run.resting().contains(
          {block.first, static_cast<uint16_t>(1024 + (block.second - 1024) / 32 * 32)}));
    CHECK(run.ledger.state().held().empty());
  }
  SECTION("another pool") {
    Run run(config_of(2, {"198.51.100.0/30"}), directory.path("l"), Bench::kStart + 1);
    CHECK(run.engine->disinherited().size() == 8);
    CHECK(run.ledger.state().held().empty());
  }
  SECTION("another instance") {
    config::Config c = config_of(2, {"203.0.113.0/30"});
    c.instances[0].name = "other";
    Run run(c, directory.path("l"), Bench::kStart + 1);
    CHECK(run.engine->disinherited().size() == 8);
    CHECK(run.resting().size() == 8);
    CHECK(run.ledger.state().held().empty());
  }
  SECTION("subscribers that are others now") {
    config::Config c = config_of(2, {"203.0.113.0/30"});
    for (auto& match : c.instances[0].subscribers_ipv4) match.mask = 24;
    Run run(c, directory.path("l"), Bench::kStart + 1);
    CHECK(run.engine->disinherited().size() == 8);
  }
  SECTION("no room for so many subscribers") {
    config::Config c = config_of(1, {"203.0.113.0/30"});
    c.capacity.subscribers = 3;
    Run run(c, directory.path("l"), Bench::kStart + 1);
    CHECK(run.engine->disinherited().size() == 5);
    CHECK(run.holders().size() == 3);
    CHECK(run.resting().size() == 5);
    CHECK(run.ledger.state().held().size() == 3);
  }
}

TEST_CASE("hold-down goes on over a restart as long as it would have", "[dataplane][inheritance]") {
  TestDirectory directory;
  config::Config c = config_of(1, {"203.0.113.0/32"});
  Place block;
  {
    Run run(c, directory.path("l"), Bench::kStart);
    block = *run.open(1, 1);
    run.engine->run(0, [](Worker& w, const Tables& t, Millis at) {
      w.binding().clear_subscriber(
          t, w.binding().subscribers().find(SubscriberKey::ipv4(net::Ipv4Address(0x0a000001), 32, 0)), at);
    });
  }
  Run run(c, directory.path("l"), Bench::kStart + 20'000);
  CHECK(run.resting() == std::set<Place>{block});
  run.advance(39'000);
  CHECK(run.resting().size() == 1);
  run.advance(1'100);
  CHECK(run.resting().empty());
}

TEST_CASE("after a crash of the machine nobody gets a new block for a while", "[dataplane][inheritance]") {
  Inheritance inheritance;
  inheritance.nothing_new_before = Bench::kStart + 60'000;
  Engine::Options options;
  options.seed = 7;
  options.ring_files = false;
  options.inheritance = &inheritance;
  Engine engine(config_of(1, {"203.0.113.0/30"}), std::vector<control::InterfaceFacts>(2), options,
                Bench::kStart);
  StatefulBinding& binding = engine.worker(0).binding();
  const InternalKey k = inside_endpoint(1, 1);
  const SubscriberRule& rule = *engine.tables().subscribers_nat44.find(k.ipv4);
  CHECK(std::get<DropReason>(binding.create(engine.tables(), rule, k, Bench::kStart + 59'999)) ==
        DropReason::no_blocks);
  CHECK(std::holds_alternative<MappingId>(binding.create(engine.tables(), rule, k, Bench::kStart + 60'000)));
}
