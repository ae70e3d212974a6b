// What hardware is asked for: RSS requests by what a device offers, rules by what the tables say; and what a
// port says of it. The devices here are DPDK's virtual ones: net_null keeps an RSS key and table as it is
// given them (it hashes nothing), net_ring has neither.
#include "dataplane/steering_plan.h"

#include <fmt/format.h>
#include <rapidcheck.h>
#include <rte_ethdev.h>

#include <catch2/catch.hpp>

#include "config/load.h"
#include "dataplane/eal.h"
#include "dataplane/port.h"

using namespace culvert;
using namespace culvert::dataplane;
using Catch::Matchers::Contains;

namespace {

constexpr uint64_t kPlain = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_IPV6;

config::Config configuration(const std::string& pools, const std::string& statics = "") {
  auto loaded = config::load_text(R"(
interfaces:
  - {name: in, device: net_null0, role: inside, ipv4-address: 192.0.2.2/24, next-hop-ipv4: 192.0.2.1}
  - {name: out, device: net_null1, role: outside, ipv4-address: 198.51.100.1/30, next-hop-ipv4: 198.51.100.2}
workers: 4
instances:
  - name: plain
    type: nat44
    subscriber-match: [100.64.0.0/10]
    port-range: 4096-65535
    explicit-port-range: 1024-4095
    external-ip-address-pool: [)" + pools +
                                      "]\n" + statics,
                                  "steering.yaml");
  if (const auto* problems = std::get_if<config::Problems>(&loaded))
    throw std::runtime_error(problems->front().text());
  return std::get<config::Config>(loaded);
}

std::unique_ptr<Tables> tables_of(Registry& registry, const config::Config& config) {
  auto built = registry.build(config, 0);
  REQUIRE(built.error.empty());
  return std::move(built.tables);
}

uint32_t word(const net::Ipv6Address& a) {
  net::Ipv4Address v;
  std::memcpy(&v, a.bytes.data(), 4);
  return v.value();
}

/// The queue that a device with these rules chooses, or nullopt.
std::optional<unsigned> queue_by(const std::vector<SteeringRule>& rules, net::Ipv4Address destination) {
  const SteeringRule* best = nullptr;
  for (const SteeringRule& r : rules)
    if (r.field == SteeringRule::Field::destination_ipv4 &&
        (destination.value() & word(r.mask)) == word(r.address) && (!best || r.priority < best->priority))
      best = &r;
  return best == nullptr ? std::nullopt : std::optional<unsigned>(best->queue);
}

Port::Setup setup_of(const std::string& device, unsigned workers, BufferPool& buffers) {
  Port::Setup setup;
  setup.device = device;
  setup.workers = workers;
  setup.buffers = buffers.get();
  return setup;
}

}  // namespace

TEST_CASE("rules on destination addresses say what the owner table says", "[dataplane][steering]") {
  CHECK(rc::check([] {
    const auto workers = static_cast<unsigned>(*rc::gen::inRange(2, 17));
    const auto queues = static_cast<unsigned>(*rc::gen::inRange<int>(1, static_cast<int>(workers) + 1));
    Registry registry(workers, 4096);
    auto config = configuration("203.0.113.0/26, 198.18.0.0/27, 198.51.100.8/29, 192.0.0.8/32");
    auto t = tables_of(registry, config);
    // Levelling has moved some since the start.
    for (const auto& pool : t->pools) {
      for (unsigned n = *rc::gen::inRange(0, 9); n > 0; n--)
        pool->set_address_owner(*rc::gen::inRange(0u, pool->addresses()),
                                static_cast<WorkerId>(*rc::gen::inRange(0u, workers)));
    }
    const bool masked = *rc::gen::arbitrary<bool>();
    const PoolRules plan = rules_for_pools(*t, workers, queues, masked);
    RC_ASSERT(plan.addresses == 64u + 32 + 8 + 1);
    for (const auto& pool : t->pools) {
      for (uint32_t a = 0; a < pool->addresses(); a++) {
        const WorkerId owner = pool->address_owner(a);
        const auto queue = queue_by(plan.rules, pool->address(a));
        if (owner < queues) RC_ASSERT(queue == std::optional<unsigned>(owner));
        // A worker without a queue: nobody's rule is his, but a mask may take his moved addresses along.
        if (owner >= queues && !masked) RC_ASSERT(!queue);
      }
    }
    RC_ASSERT(!queue_by(plan.rules, net::Ipv4Address(0x08080808)));
  }));
}

TEST_CASE("one rule a worker serves a pool that is dealt in turn, and moved addresses have their own",
          "[dataplane][steering]") {
  Registry registry(4, 4096);
  auto t = tables_of(registry, configuration("203.0.113.0/24, 198.51.0.0/22"));
  PoolRules plan = rules_for_pools(*t, 4, 4, true);
  CHECK(plan.rules.size() == 8);
  CHECK(plan.rules[1].text() == "to 203.0.113.1 mask 255.255.255.3 to queue 1");
  t->pools[0]->set_address_owner(17, 3);
  plan = rules_for_pools(*t, 4, 4, true);
  REQUIRE(plan.rules.size() == 9);
  CHECK(plan.rules[4].text() == "to 203.0.113.17 mask 255.255.255.255 to queue 3");
  CHECK(plan.rules[4].priority < plan.rules[0].priority);
  CHECK(rules_for_pools(*t, 4, 4, false).rules.size() == 256 + 1024);
}

TEST_CASE("pools that are dealt by block have no rules", "[dataplane][steering]") {
  Registry registry(4, 16);
  auto t = tables_of(registry, configuration("203.0.113.0/30"));
  const PoolRules plan = rules_for_pools(*t, 4, 4, true);
  CHECK(plan.rules.empty());
  CHECK(plan.dealt_by_block == 4);
}

TEST_CASE("subscribers with static mappings get a rule where their bucket is another's",
          "[dataplane][steering]") {
  Registry registry(4, 64);
  std::string statics = "    mapping-table:\n";
  for (unsigned i = 0; i < 16; i++)
    statics += fmt::format(
        "      - {{transport-protocol: tcp, internal-src-address: 100.64.0.{}, "
        "internal-src-port: 80, external-src-address: 203.0.113.1, external-src-port: {}}}\n",
        i, 2000 + i);
  auto t = tables_of(registry, configuration("203.0.113.0/26", statics));
  unsigned elsewhere = 0;
  for (const StaticEntry& e : t->statics) {
    CHECK(t->steering.worker_of(e.subscriber) == 1);
    elsewhere += t->steering.bucket(t->steering.bucket_of(e.subscriber)) != 1;
  }
  CHECK(elsewhere > 0);
  const auto rules = rules_for_pins(*t, 4);
  CHECK(rules.size() == elsewhere);
  for (const SteeringRule& r : rules) {
    CHECK(r.field == SteeringRule::Field::source_ipv4);
    CHECK(r.queue == 1);
    CHECK_THAT(r.text(), Contains("from 100.64.0.") && Contains("mask 255.255.255.255 to queue 1"));
  }
  CHECK(rules_for_pins(*t, 1).empty());  // worker 1 has no queue
}

TEST_CASE("RSS is asked for in the best way the device offers", "[dataplane][steering]") {
  const SubscriberMasks homes{std::nullopt, uint8_t{56}}, both{uint8_t{32}, uint8_t{56}};
  const auto flags = [](const RssRequest& r) { return r.types & ~(kPlain); };

  RssPlan plan = plan_rss({kPlain | RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L3_PRE56, 128, 40}, both, 4);
  REQUIRE(plan.requests.size() == 4);
  CHECK(flags(plan.requests[0]) == (RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L3_PRE56));
  CHECK(flags(plan.requests[1]) == RTE_ETH_RSS_L3_SRC_ONLY);
  CHECK(plan.requests[1].subscribers->text() == "IPv6 sources by /56 and IPv4 sources by /32");
  CHECK(flags(plan.requests[2]) == 0);
  CHECK(plan.requests[2].subscribers->text() == "IPv6 sources by /56");
  CHECK_FALSE(plan.requests[3].subscribers);

  // A prefix that is not the mask's would not do.
  plan = plan_rss({kPlain | RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L3_PRE64, 512, 52}, both, 4);
  CHECK(flags(plan.requests[0]) == RTE_ETH_RSS_L3_SRC_ONLY);
  CHECK(plan.requests[0].subscribers->reta_bits() == 9);
  // The cut key does for one family what L3_SRC_ONLY would do.
  plan = plan_rss({kPlain, 128, 40}, homes, 4);
  REQUIRE(plan.requests.size() == 2);
  CHECK(plan.requests[0].subscribers->text() == "IPv6 sources by /56");
  // No flow label, no ports of extension headers: what hashes them is never asked for.
  plan = plan_rss({kPlain | RTE_ETH_RSS_IPV6_EX | RTE_ETH_RSS_L2_PAYLOAD, 128, 40}, homes, 4);
  CHECK(plan.requests[0].types == kPlain);

  const auto why = [&](const RssDevice& d, const SubscriberMasks& m, unsigned queues) {
    const RssPlan p = plan_rss(d, m, queues);
    CHECK(p.requests.size() == 1);
    CHECK_FALSE(p.requests[0].subscribers);
    return p.why_not;
  };
  CHECK_THAT(why({kPlain, 128, 40}, homes, 1), Contains("one receive queue"));
  CHECK_THAT(why({0, 128, 40}, homes, 4), Contains("no RSS"));
  CHECK_THAT(why({RTE_ETH_RSS_IPV4, 128, 40}, homes, 4), Contains("no RSS"));
  CHECK_THAT(why({kPlain, 0, 40}, homes, 4), Contains("0 entries"));
  CHECK_THAT(why({kPlain, 100, 40}, homes, 4), Contains("100 entries"));
  CHECK_THAT(why({kPlain, 128, 40}, {uint8_t{2}, std::nullopt}, 4), Contains("no RSS key"));
}

TEST_CASE("a device that keeps the RSS key and table it is given is steered by",
          "[dataplane][steering][port]") {
  init_eal_for_replay();
  BufferPool buffers = make_buffers("steering", 4095, 1500);
  Port::Setup setup = setup_of("net_null_steered", 4, buffers);
  setup.sides.inside = true;
  setup.sides.subscribers = {std::nullopt, uint8_t{56}};
  Port port(setup);
  CHECK_FALSE(port.steering().rss());
  port.start();
  CHECK(port.steering().inside_text() == "RSS, IPv6 sources by /56, 128 entries over 4 queues");
  auto rss = port.steering().rss();
  REQUIRE(rss);

  // What the device has now, asked of DPDK: with it, rte_softrss is what a NIC would do (steering_test.cpp).
  std::vector<uint8_t> key(40);
  rte_eth_rss_conf conf{};
  conf.rss_key = key.data();
  conf.rss_key_len = 40;
  REQUIRE(rte_eth_dev_rss_hash_conf_get(port.id(), &conf) == 0);
  CHECK(key == rss->key(40));
  CHECK((conf.rss_hf & RTE_ETH_RSS_IPV6) != 0);
  CHECK((conf.rss_hf & RTE_ETH_RSS_IPV6_EX) == 0);
  rte_eth_rss_reta_entry64 reta[2];
  for (auto& group : reta) group.mask = ~uint64_t{0};
  REQUIRE(rte_eth_dev_rss_reta_query(port.id(), reta, 128) == 0);
  const Steering steering(4, rss);
  for (unsigned e = 0; e < 128; e++) CHECK(reta[e / 64].reta[e % 64] == steering.bucket(e));

  // It knows no rules: that is said, and nothing else changes.
  Registry registry(4, 64);
  auto t = tables_of(registry, configuration("203.0.113.0/26"));
  port.steering().apply(*t);
  CHECK(port.steering().text() == "inside by " + port.steering().inside_text());
}

TEST_CASE("a port without steering says why", "[dataplane][steering][port]") {
  init_eal_for_replay();
  BufferPool buffers = make_buffers("steering", 8191, 1500);
  Registry registry(4, 64), small(4, 64);
  auto t = tables_of(registry, configuration("203.0.113.0/26")),
       few = tables_of(small, configuration("203.0.113.0/30"));

  Port::Setup outside = setup_of("net_null_outside", 4, buffers);
  outside.sides.outside = true;
  Port no_rules(outside);
  no_rules.start();
  no_rules.steering().apply(*t);
  CHECK_THAT(no_rules.steering().outside_text(), Contains("rings: the device refuses rules ("));
  no_rules.steering().apply(*few);
  CHECK(no_rules.steering().outside_text() == "rings: pools are dealt by block");

  Port::Setup ring = setup_of("net_ring_one", 2, buffers);
  ring.queues = 1;
  ring.sides.inside = ring.sides.outside = true;
  ring.sides.subscribers = {uint8_t{32}, std::nullopt};
  Port one_queue(ring);
  one_queue.start();
  CHECK(one_queue.steering().text() == "rings: 1 receive queue for 2 workers");

  Port::Setup alone = setup_of("net_null_alone", 1, buffers);
  alone.sides.inside = true;
  alone.sides.subscribers = {uint8_t{32}, std::nullopt};
  Port one_worker(alone);
  one_worker.start();
  CHECK(one_worker.steering().inside_text() == "one worker, nothing to steer");
}
