// What goes on record besides blocks: mappings and sessions where log-sessions asks for them (RFC 6888
// REQ-12), and refusals (REQ-4, REQ-11).
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <set>
#include <tuple>

#include "binding_bench.h"
#include "net/mapped.h"

using namespace culvert::test;
namespace config = culvert::config;
namespace logging = culvert::logging;
namespace net = culvert::net;
using logging::EventKind;

namespace {

constexpr uint8_t kFin = 1, kSyn = 2, kAck = 16;

config::Config logging_config(config::LogSessions what,
                              config::Filtering filtering = config::Filtering::eif) {
  config::Config c = small_config();
  c.instances[0].log_sessions = what;
  c.instances[0].filtering = filtering;
  return c;
}

/// Sessions that are open by the record alone: internal endpoint, protocol, destination.
using Session = std::tuple<net::Ipv6Address, uint16_t, uint8_t, uint32_t, uint16_t>;

std::multiset<Session> open_by_record(const std::vector<logging::Event>& events) {
  std::multiset<Session> open;
  for (const logging::Event& e : events) {
    const Session s{e.subscriber, e.internal_port, e.protocol, e.destination.value(), e.destination_port};
    if (e.kind == EventKind::session_created) open.insert(s);
    if (e.kind != EventKind::session_deleted) continue;
    const auto found = open.find(s);
    if (found == open.end()) throw std::logic_error("a session ended that was not open");
    open.erase(found);
  }
  return open;
}

std::vector<logging::Event> of_kind(const Bench& b, EventKind kind) {
  std::vector<logging::Event> found;
  for (const logging::Event& e : b.ledger.events)
    if (e.kind == kind) found.push_back(e);
  return found;
}

}  // namespace

TEST_CASE("log-sessions off: blocks alone are on record", "[dataplane][binding][log-sessions]") {
  Bench b(logging_config(config::LogSessions::off));
  const MappingId id = b.must_open(inside_endpoint(1, 5000));
  REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(1, 53)));
  b.advance(31'000);
  b.advance(11'000);
  CHECK(b.ledger.events.size() == 2);
}

TEST_CASE("log-sessions mappings: each mapping is on record, and no destination (RFC 6888 REQ-12)",
          "[dataplane][binding][log-sessions]") {
  Bench b(logging_config(config::LogSessions::mappings));
  const MappingId id = b.must_open(inside_endpoint(1, 5000));
  REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(1, 53)));
  REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(2, 53)));
  b.ledger.read(b.log);
  const auto created = of_kind(b, EventKind::session_created);
  REQUIRE(created.size() == 1);
  const logging::Event& e = created[0];
  CHECK(e.subscriber == net::mapped(*net::Ipv4Address::parse("10.0.0.1")));
  CHECK(e.subscriber_length == 128);
  CHECK(e.internal_port == 5000);
  CHECK(e.external == b.binding.mappings()[id].external_address);
  CHECK(e.first_port == b.binding.mappings()[id].external_port.value());
  CHECK(e.protocol == 17);
  CHECK(e.destination == net::Ipv4Address());
  CHECK(e.time == Bench::kStart);
  // The block comes first.
  CHECK(b.ledger.events.front().kind == EventKind::block_allocated);
  b.advance(31'000);
  CHECK(of_kind(b, EventKind::session_deleted).size() == 1);
  CHECK(open_by_record(b.ledger.events).empty());
}

TEST_CASE("log-sessions destinations: each session is on record, of datagrams each remote",
          "[dataplane][binding][log-sessions]") {
  Bench b(logging_config(config::LogSessions::destinations));
  SECTION("UDP under eif") {
    const MappingId id = b.must_open(inside_endpoint(1, 5000));
    for (const uint16_t port : {53, 54, 53})
      REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(1, port)));
    // Who comes in opens nothing, and gets in.
    REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(9, 9)));
    b.ledger.read(b.log);
    const auto created = of_kind(b, EventKind::session_created);
    REQUIRE(created.size() == 2);
    CHECK(created[0].destination == remote_endpoint(1, 53).address);
    CHECK(created[0].destination_port == 53);
    CHECK(created[1].destination_port == 54);
  }
  SECTION("TCP, and an end that another session outlives") {
    const InternalKey k = inside_endpoint(1, 5000, Protocol::tcp);
    const MappingId id = b.must_open(k);
    for (const uint8_t host : {1, 2}) {
      REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(host, 443), kSyn));
      REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(host, 443), kSyn | kAck));
    }
    for (const auto d : {Direction::outbound, Direction::inbound})
      REQUIRE_FALSE(b.track(d, id, remote_endpoint(1, 443), kFin | kAck));
    b.advance(21'000);
    const auto ended = of_kind(b, EventKind::session_deleted);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].destination == remote_endpoint(1, 443).address);
    CHECK(open_by_record(b.ledger.events).size() == 1);
  }
  b.advance(200'000);
  CHECK(open_by_record(b.ledger.events).empty());
}

TEST_CASE("What has begun is on record, what has ended too, whatever happens",
          "[dataplane][binding][log-sessions][property]") {
  CHECK(rc::check("open by the record == open", [] {
    const auto filtering =
        *rc::gen::element(config::Filtering::eif, config::Filtering::adf, config::Filtering::edf);
    const auto what = *rc::gen::element(config::LogSessions::mappings, config::LogSessions::destinations);
    Bench b(logging_config(what, filtering));
    const auto steps = *rc::gen::inRange(1, 60);
    for (int n = 0; n < steps; n++) {
      const auto protocol = *rc::gen::element(Protocol::udp, Protocol::tcp, Protocol::icmp);
      const InternalKey k =
          inside_endpoint(*rc::gen::inRange<uint8_t>(1, 4), *rc::gen::inRange<uint16_t>(1, 4), protocol);
      const auto remote =
          remote_endpoint(*rc::gen::inRange<uint8_t>(1, 4), *rc::gen::inRange<uint16_t>(1, 3));
      const auto flags = *rc::gen::elementOf(std::vector<uint8_t>{kSyn, kSyn | kAck, kAck, kFin | kAck, 4});
      const auto direction = *rc::gen::element(Direction::outbound, Direction::inbound);
      const auto outcome = b.open(k);
      if (const auto* id = std::get_if<MappingId>(&outcome)) b.track(direction, *id, remote, flags);
      if (*rc::gen::inRange(0, 10) == 0 && std::holds_alternative<MappingId>(outcome))
        b.binding.clear_mapping(*b.tables, std::get<MappingId>(outcome), b.now);
      b.ledger.read(b.log);
      if (*rc::gen::inRange(0, 3) == 0) b.advance(*rc::gen::inRange(1, 40'000));
      const auto open = open_by_record(b.ledger.events);
      if (what == config::LogSessions::mappings) RC_ASSERT(open.size() == b.binding.mappings().size());
    }
    b.advance(400'000);
    RC_ASSERT(b.binding.mappings().size() == 0u);
    RC_ASSERT(open_by_record(b.ledger.events).empty());
  }));
}

TEST_CASE("Without room in the log no session begins, and none ends unseen",
          "[dataplane][binding][log-sessions]") {
  Bench::Sizes sizes;
  sizes.log = 8;
  Bench b(logging_config(config::LogSessions::destinations), sizes);
  const MappingId id = b.must_open(inside_endpoint(1, 5000));
  for (uint8_t host = 1; host <= 8; host++)
    REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(host, 53)));
  CHECK(b.track(Direction::outbound, id, remote_endpoint(9, 53)) == DropReason::log_full);
  CHECK(b.binding.sessions().size() == 7);
  CHECK_FALSE(b.track(Direction::outbound, id, remote_endpoint(1, 53)));  // what flows goes on
  // Nobody reads the log: what has timed out stays.
  b.now += 60'000;
  while (b.binding.sweep(*b.tables, b.now)) {
    b.now += 50;
    if (b.now > Bench::kStart + 70'000) break;
  }
  CHECK(b.binding.mappings().size() == 1);
  b.ledger.read(b.log);
  CHECK(open_by_record(b.ledger.events).size() == 8);
  b.advance(2000);
  b.advance(2000);
  b.advance(2000);
  CHECK(b.binding.mappings().size() == 0);
  CHECK(open_by_record(b.ledger.events).empty());
}

TEST_CASE("Refusals are on record, once a second for each reason, with their number",
          "[dataplane][binding][log-sessions]") {
  Bench b(small_config());
  const SubscriberKey who = SubscriberKey::ipv4(*net::Ipv4Address::parse("10.0.0.7"), 32, 0);
  const auto refuse = [&](DropReason why) { b.binding.record_refusal(*b.tables, who, 128, why, b.now); };
  for (int n = 0; n < 5; n++) refuse(DropReason::no_ports);
  refuse(DropReason::no_blocks);
  refuse(DropReason::log_full);  // there is no place for that one
  b.now += 1000;
  refuse(DropReason::no_ports);
  b.ledger.read(b.log);
  const auto refused = of_kind(b, EventKind::refused);
  REQUIRE(refused.size() == 3);
  CHECK(refused[0].origin == static_cast<uint8_t>(DropReason::no_ports));
  CHECK(refused[0].lifetime == 1);
  CHECK(refused[0].subscriber == net::mapped(*net::Ipv4Address::parse("10.0.0.7")));
  CHECK(b.tables->pool_of(refused[0].external) != nullptr);
  CHECK(refused[1].origin == static_cast<uint8_t>(DropReason::no_blocks));
  CHECK(refused[2].lifetime == 5);
}
