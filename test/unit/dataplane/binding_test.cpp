// The stateful binding, one behaviour a test: what the random model (binding_model_test.cpp) does not reach
// or does not say plainly.
#include <catch2/catch.hpp>
#include <set>

#include "binding_bench.h"
#include "net/mapped.h"

using namespace culvert::test;
namespace config = culvert::config;
namespace logging = culvert::logging;
namespace net = culvert::net;

namespace {

constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

config::Config with(void (*change)(config::Config&)) {
  config::Config c = small_config();
  change(c);
  return c;
}

/// Opens a TCP connection from inside, up to established.
MappingId connect(Bench& b, const InternalKey& k, const RemoteEndpoint& r) {
  const MappingId id = b.must_open(k);
  REQUIRE_FALSE(b.track(Direction::outbound, id, r, kSyn));
  REQUIRE_FALSE(b.track(Direction::inbound, id, r, kSyn | kAck));
  return id;
}

}  // namespace

TEST_CASE("Promise 1: without room in the log there is no block, and later there is",
          "[dataplane][binding]") {
  Bench::Sizes sizes;
  sizes.log = 2;
  Bench b(small_config(), sizes);
  // Nobody reads the log: not through open(), which would.
  auto create = [&](uint8_t host) {
    const InternalKey k = inside_endpoint(host, 1);
    return b.binding.create(*b.tables, b.rule(k), k, b.now);
  };
  const uint32_t free = b.free_blocks();
  REQUIRE(std::holds_alternative<MappingId>(create(1)));
  REQUIRE(std::holds_alternative<MappingId>(create(2)));
  const auto refused = create(3);
  REQUIRE(std::holds_alternative<DropReason>(refused));
  CHECK(std::get<DropReason>(refused) == DropReason::log_full);
  CHECK(b.counters.block_refusals.get() == 1);
  CHECK(b.free_blocks() == free - 2);
  CHECK(b.binding.subscribers().size() == 2);
  // Who has a block already goes on.
  const InternalKey other = inside_endpoint(1, 2);
  CHECK(std::holds_alternative<MappingId>(b.binding.create(*b.tables, b.rule(other), other, b.now)));
  b.ledger.read(b.log);
  CHECK(std::holds_alternative<MappingId>(create(3)));
  b.ledger.read(b.log);
  CHECK_NOTHROW(check_invariants(b));
}

TEST_CASE("A block whose release finds no room in the log stays his until it does", "[dataplane][binding]") {
  Bench::Sizes sizes;
  sizes.log = 4;
  Bench b(small_config(), sizes);
  for (uint8_t host = 1; host <= 4; host++) {
    const InternalKey k = inside_endpoint(host, 1);
    REQUIRE(std::holds_alternative<MappingId>(b.binding.create(*b.tables, b.rule(k), k, b.now)));
  }
  auto wait = [&](Millis ms) {
    b.now += ms;
    while (b.binding.sweep(*b.tables, b.now)) continue;
  };
  wait(31'000);  // mappings end
  wait(11'000);  // port-set-timeout passes, and the log is full
  CHECK(b.counters.mappings_live.get() == 0);
  CHECK(b.counters.blocks_live.get() == 4);
  CHECK(b.binding.subscribers().size() == 4);
  b.ledger.read(b.log);
  CHECK(b.ledger.live.size() == 4);
  for (int i = 0; i < 8; i++) b.advance(1000);  // releases leave half of the ring to allocations
  CHECK(b.counters.blocks_live.get() == 0);
  CHECK(b.ledger.live.empty());
}

TEST_CASE("Of a mapping that is past its time each packet of a burst is told so, and it ends once",
          "[dataplane][binding]") {
  Bench b(small_config());
  const MappingId id = b.must_open(inside_endpoint(1, 1));
  b.must_open(inside_endpoint(1, 2));
  b.now += 31'000;  // unswept
  CHECK_FALSE(b.binding.alive(*b.tables, id, b.now));
  CHECK_FALSE(b.binding.alive(*b.tables, id, b.now));
  CHECK(b.binding.mappings().size() == 1);
  CHECK(b.counters.mappings_expired.get() == 1);
}

TEST_CASE("RFC 6888 REQ-8: a freed port rests for hold-down-timeout, then serves again",
          "[dataplane][binding]") {
  Bench b(small_config({"203.0.113.0/32"}, 2, 1));  // one block of two ports
  const auto kept = b.mapping(b.must_open(inside_endpoint(1, 1))).external();
  b.must_open(inside_endpoint(1, 2));
  CHECK(b.refusal(inside_endpoint(1, 3)) == DropReason::no_ports);
  for (int i = 0; i < 2; i++) {  // keep one mapping, and so the block
    b.advance(20'000);
    REQUIRE_FALSE(b.track(Direction::outbound, b.must_open(inside_endpoint(1, 1)), remote_endpoint(1, 1)));
  }
  REQUIRE(b.binding.mappings().find(inside_endpoint(1, 2)) == kNoMapping);
  Millis waited = 0;
  while (b.refusal(inside_endpoint(1, 4)) == DropReason::no_ports) {
    b.advance(5'000);
    waited += 5'000;
    REQUIRE_FALSE(b.track(Direction::outbound, b.must_open(inside_endpoint(1, 1)), remote_endpoint(1, 1)));
    REQUIRE(waited <= 300'000);
  }
  // It ended between 20 and 40 s, seen at 40 s: from there 120 s.
  CHECK(waited == 120'000);
  CHECK(b.mapping(b.must_open(inside_endpoint(1, 1))).external() ==
        kept);  // endpoint-independent all the while
}

TEST_CASE("RFC 6888 REQ-8 exception A: a TCP port may be used at once after a close that was seen",
          "[dataplane][binding]") {
  struct Row {
    const char* name;
    std::vector<std::pair<Direction, uint8_t>> packets;
    bool held;
  };
  using enum Direction;
  const Row rows[] = {
      {"both FINs", {{outbound, kFin | kAck}, {inbound, kFin | kAck}, {outbound, kAck}}, false},
      {"RST from outside", {{inbound, kRst}}, false},
      {"RST from inside", {{outbound, kRst}}, false},
      {"one FIN only", {{outbound, kFin | kAck}}, true},
      {"silence", {}, true},
  };
  for (const Row& r : rows) {
    INFO(r.name);
    Bench b(small_config({"203.0.113.0/32"}, 2, 1));
    const MappingId id = connect(b, inside_endpoint(1, 1, Protocol::tcp), remote_endpoint(1, 80));
    for (const auto& [direction, flags] : r.packets)
      REQUIRE_FALSE(b.track(direction, id, remote_endpoint(1, 80), flags));
    while (b.binding.mappings().size() != 0) {
      b.must_open(inside_endpoint(1, 9, Protocol::udp));  // keeps the block
      REQUIRE_FALSE(b.track(Direction::outbound, b.must_open(inside_endpoint(1, 9)), remote_endpoint(1, 1)));
      b.advance(1000);
      if (b.binding.mappings().find(inside_endpoint(1, 1, Protocol::tcp)) == kNoMapping) break;
    }
    REQUIRE_FALSE(b.refusal(inside_endpoint(1, 2, Protocol::tcp)));
    CHECK((b.refusal(inside_endpoint(1, 3, Protocol::tcp)) == DropReason::no_ports) == r.held);
  }
}

TEST_CASE("RFC 6888 REQ-8: hold-down-max lets the oldest go early, and counts that", "[dataplane][binding]") {
  Bench::Sizes sizes;
  sizes.held = 3;
  Bench b(small_config({"203.0.113.0/32"}, 16, 1), sizes);
  for (uint16_t port = 0; port < 6; port++) b.must_open(inside_endpoint(1, port));
  b.must_open(inside_endpoint(1, 77, Protocol::tcp));
  b.advance(31'000);
  CHECK(b.counters.holds_cut_short.get() >= 3);
  CHECK_NOTHROW(check_invariants(b));
}

TEST_CASE("RFC 4787 REQ-4: parity of UDP ports is kept while there are such ports", "[dataplane][binding]") {
  Bench b(with([](config::Config& c) { c.instances[0].ports.sets_per_subscriber = 1; }));
  for (uint16_t port = 0; port < 8; port++)
    CHECK(b.mapping(b.must_open(inside_endpoint(1, static_cast<uint16_t>(2 * port)))).external_port.value() %
              2 ==
          0);
  // The even ones are used up: the ninth gets an odd one rather than nothing.
  CHECK(b.mapping(b.must_open(inside_endpoint(1, 100))).external_port.value() % 2 == 1);
}

TEST_CASE("RFC 6888 REQ-2: a second block comes from the first one's address, or not at all",
          "[dataplane][binding]") {
  Bench b(small_config({"203.0.113.0/31"}, 2, 2));  // two addresses with two blocks of two ports
  for (uint16_t port = 1; port <= 2; port++) b.must_open(inside_endpoint(1, port));
  for (uint16_t port = 1; port <= 2; port++) b.must_open(inside_endpoint(2, port));
  const auto first = b.mapping(b.must_open(inside_endpoint(1, 1))).external_address;
  CHECK(first != b.mapping(b.must_open(inside_endpoint(2, 1))).external_address);
  b.must_open(inside_endpoint(3, 1));
  b.must_open(inside_endpoint(4, 1));
  // Every block is taken.
  CHECK(b.refusal(inside_endpoint(1, 3)) == DropReason::no_blocks);
  CHECK(b.refusal(inside_endpoint(5, 1)) == DropReason::no_blocks);
  b.binding.clear_subscriber(*b.tables, b.mapping(b.must_open(inside_endpoint(3, 1))).subscriber, b.now);
  b.advance(121'000);
  Bench fresh(small_config({"203.0.113.0/31"}, 2, 2));
  for (uint16_t port = 1; port <= 4; port++)
    CHECK(fresh.mapping(fresh.must_open(inside_endpoint(1, port))).external_address ==
          fresh.mapping(fresh.must_open(inside_endpoint(1, 1))).external_address);
  CHECK(fresh.refusal(inside_endpoint(1, 5)) == DropReason::no_ports);
}

TEST_CASE("Blocks are given back in any order, also those of a pool that left", "[dataplane][binding]") {
  for (unsigned first = 0; first < 3; first++) {
    INFO("first " << first);
    config::Config c = small_config({"203.0.113.0/32", "203.0.113.8/32"}, 2, 4);
    c.instances[0].ports.sets_per_subscriber = 4;
    Bench b(c);
    // The second pool is asked first, so that the numbers of the pools differ in every turn.
    std::swap(c.instances[0].pools[0], c.instances[0].pools[1]);
    if (first != 0)
      b.apply(c);
    else
      std::swap(c.instances[0].pools[0], c.instances[0].pools[1]);
    const uint32_t free = b.free_blocks();
    std::vector<MappingId> opened;
    for (uint16_t port = 0; port < 6; port++) opened.push_back(b.must_open(inside_endpoint(1, port)));
    std::map<BlockIndex, std::vector<MappingId>> by_block;
    for (MappingId id : opened) by_block[b.block_of(b.mapping(id))].push_back(id);
    REQUIRE(by_block.size() == 3);
    auto clear = [&](unsigned n) {
      for (MappingId id : std::next(by_block.begin(), n)->second)
        b.binding.clear_mapping(*b.tables, id, b.now);
    };
    auto keep = [&] {
      for (MappingId id : opened)
        if (b.mapping(id).in_use) b.track(Direction::outbound, id, remote_endpoint(1, 1));
    };
    clear(first);
    b.advance(11'000);  // port-set-timeout
    CHECK(b.counters.blocks_live.get() == 2);
    CHECK_NOTHROW(check_invariants(b));
    // The pool leaves; he gets a block of another one into the same chain.
    keep();
    config::Config less = c;
    less.instances[0].pools.erase(less.instances[0].pools.begin());
    b.apply(less);
    CHECK(b.mapping(b.must_open(inside_endpoint(1, 100))).external_address ==
          less.instances[0].pools[0].address);
    CHECK(b.counters.blocks_live.get() == 3);
    CHECK_NOTHROW(check_invariants(b));
    clear((first + 1) % 3);
    b.advance(1'000);  // of a pool that leaves a block goes at once
    CHECK(b.counters.blocks_live.get() == 2);
    CHECK_NOTHROW(check_invariants(b));
    b.binding.clear_subscriber(
        *b.tables, b.binding.subscribers().find(SubscriberKey::ipv4(net::Ipv4Address(0x0a000001), 32, 0)),
        b.now);
    b.ledger.read(b.log);
    b.advance(121'000);
    CHECK_NOTHROW(check_nothing_left(b, free));
  }
}

TEST_CASE("RFC 6056: ports within a block are not given in order", "[dataplane][binding]") {
  for (uint16_t size : {64, 256}) {
    INFO("block of " << size);
    Bench b(small_config({"203.0.113.0/32"}, size, 1));
    unsigned steps_of_two = 0;
    uint16_t last = 0;
    for (uint16_t i = 0; i < size / 4; i++) {
      const InternalKey k = inside_endpoint(1, static_cast<uint16_t>(2 * i));
      const uint16_t port = b.mapping(b.must_open(k)).external_port.value();
      steps_of_two += port == last + 2;
      last = port;
    }
    CHECK(steps_of_two < size / 8);
  }
}

TEST_CASE("RFC 4787 REQ-5 and RFC 5508 REQ-2: datagram mappings live as long as their timer says",
          "[dataplane][binding]") {
  for (Protocol p : {Protocol::udp, Protocol::icmp}) {
    Bench b(small_config());
    const MappingId id = b.must_open(inside_endpoint(1, 1, p));
    b.advance(29'999);
    CHECK(b.mapping(id).in_use);
    REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(1, 1)));
    b.advance(29'999);
    CHECK(b.mapping(id).in_use);
    b.now += 1;
    CHECK_FALSE(b.binding.alive(*b.tables, id, b.now));  // before any sweep comes to it
    CHECK(b.binding.mappings().size() == 0);
  }
}

TEST_CASE("RFC 4787 REQ-6: packets from outside refresh a UDP mapping only where configured",
          "[dataplane][binding]") {
  for (bool refresh : {false, true}) {
    config::Config c = small_config();
    c.instances[0].udp_inbound_refresh = refresh;
    Bench b(c);
    const MappingId id = b.must_open(inside_endpoint(1, 1));
    b.advance(20'000);
    REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(1, 1)));
    b.advance(20'000);
    CHECK((b.binding.mappings().find(inside_endpoint(1, 1)) != kNoMapping) == refresh);
  }
}

TEST_CASE("RFC 5382 REQ-5: TCP timers by state", "[dataplane][binding]") {
  auto lifetime = [](Bench& b, MappingId id) {
    Millis lived = 0;
    while (b.mapping(id).in_use && lived < 1'000'000) {
      b.advance(1000);
      lived += 1000;
    }
    return lived / 1000;
  };
  const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
  const RemoteEndpoint r = remote_endpoint(1, 80);
  {
    Bench b(small_config());
    const MappingId id = b.must_open(k);
    REQUIRE_FALSE(b.track(Direction::outbound, id, r, kSyn));
    CHECK(lifetime(b, id) == 20);  // tcp-trans-open-timeout
  }
  {
    Bench b(small_config());
    CHECK(lifetime(b, connect(b, k, r)) == 100);  // tcp-idle-timeout
  }
  {
    Bench b(small_config());
    const MappingId id = connect(b, k, r);
    REQUIRE_FALSE(b.track(Direction::outbound, id, r, kFin));
    REQUIRE_FALSE(b.track(Direction::inbound, id, r, kFin));
    b.advance(10'000);
    REQUIRE_FALSE(b.track(Direction::outbound, id, r, kAck));  // prolongs nothing
    CHECK(lifetime(b, id) == 10);                              // tcp-trans-close-timeout
  }
  {
    Bench b(small_config());
    const MappingId id = connect(b, k, r);
    REQUIRE_FALSE(b.track(Direction::inbound, id, r, kRst));
    b.advance(10'000);
    REQUIRE_FALSE(b.track(Direction::outbound, id, r, kAck));  // RFC 7857 §2.2: it lives
    CHECK(lifetime(b, id) == 100);
  }
}

TEST_CASE("A mapping lives as long as the longest of its TCP sessions", "[dataplane][binding]") {
  Bench b(small_config());
  const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
  const MappingId id = connect(b, k, remote_endpoint(1, 80));
  const auto external = b.mapping(id).external();
  for (uint8_t host = 2; host <= 5; host++) connect(b, k, remote_endpoint(host, 80));
  CHECK(b.mapping(id).extra_sessions == 4);
  REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(1, 80), kRst));
  REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(3, 80), kRst));
  b.advance(21'000);
  CHECK(b.mapping(id).in_use);
  CHECK(b.mapping(id).external() == external);
  CHECK(b.mapping(id).extra_sessions == 2);
  b.advance(80'000);
  CHECK(b.binding.mappings().size() == 0);
  CHECK(b.binding.sessions().size() == 0);
}

TEST_CASE("RFC 5382 REQ-2: a closed connection opened again from outside lives on", "[dataplane][binding]") {
  Bench b(with([](config::Config& c) {
    c.instances[0].timers.tcp_trans_open = config::seconds{10};
    c.instances[0].timers.tcp_trans_close = config::seconds{20};
  }));
  const RemoteEndpoint server = remote_endpoint(1, 80), other = remote_endpoint(2, 80);
  const MappingId id = connect(b, inside_endpoint(1, 1, Protocol::tcp), server);
  connect(b, inside_endpoint(1, 1, Protocol::tcp), other);  // a session outside of the mapping's record
  for (const RemoteEndpoint& r : {server, other}) {
    REQUIRE_FALSE(b.track(Direction::outbound, id, r, kFin | kAck));
    REQUIRE_FALSE(b.track(Direction::inbound, id, r, kFin | kAck));
  }
  SECTION("soon: what was left of the old one stays") {
    b.advance(1'000);
    for (const RemoteEndpoint& r : {server, other}) REQUIRE_FALSE(b.track(Direction::inbound, id, r, kSyn));
    b.advance(18'000);
    REQUIRE(b.mapping(id).in_use);
    CHECK(b.mapping(id).extra_sessions == 1);
  }
  SECTION("in its last second: the answer has tcp-trans-open-timeout") {
    b.advance(19'000);
    for (const RemoteEndpoint& r : {server, other}) REQUIRE_FALSE(b.track(Direction::inbound, id, r, kSyn));
    b.advance(9'000);
    REQUIRE(b.mapping(id).in_use);
    CHECK(b.mapping(id).extra_sessions == 1);
  }
  SECTION("nobody answers: it ends") {
    b.advance(19'000);
    for (int i = 0; i < 3; i++) {
      for (const RemoteEndpoint& r : {server, other}) REQUIRE_FALSE(b.track(Direction::inbound, id, r, kSyn));
      b.advance(4'000);
    }
    CHECK(b.binding.mappings().size() == 0);
    return;
  }
  for (const RemoteEndpoint& r : {server, other})
    REQUIRE_FALSE(b.track(Direction::outbound, id, r, kSyn | kAck));
  b.advance(99'000);  // tcp-idle-timeout is 100 s here
  REQUIRE(b.mapping(id).in_use);
  CHECK(b.mapping(id).extra_sessions == 1);
}

TEST_CASE("RFC 5382 REQ-4: which connections a SYN from inside has opened", "[dataplane][binding]") {
  Bench b(small_config());
  const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
  const MappingId id = connect(b, k, remote_endpoint(1, 80));
  connect(b, k, remote_endpoint(2, 80));
  const ExternalKey external = b.mapping(id).external();
  CHECK(b.binding.has_session(external, remote_endpoint(1, 80)));
  CHECK(b.binding.has_session(external, remote_endpoint(2, 80)));
  CHECK_FALSE(b.binding.has_session(external, remote_endpoint(1, 81)));
  CHECK_FALSE(b.binding.has_session(external, remote_endpoint(3, 80)));
  ExternalKey next = external;
  next.port = net::Be16(static_cast<uint16_t>(external.port.value() ^ 1));
  CHECK_FALSE(b.binding.has_session(next, remote_endpoint(1, 80)));
}

TEST_CASE("Strangers' SYNs fill no table", "[dataplane][binding]") {
  Bench b(small_config());
  const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
  const MappingId id = connect(b, k, remote_endpoint(1, 80));
  for (uint16_t port = 1; port < 500; port++)
    REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(9, port), kSyn));
  CHECK(b.binding.sessions().size() == 0);
  // The inside's answer makes the session; it is established and lives on.
  REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(9, 7), kSyn | kAck));
  CHECK(b.binding.sessions().size() == 1);
  REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(1, 80), kRst));
  b.advance(99'000);
  CHECK(b.mapping(id).in_use);
}

TEST_CASE("RFC 4787 section 5: who may come in, by filtering-type", "[dataplane][binding]") {
  using F = config::Filtering;
  struct Row {
    F filtering;
    bool same_port, same_address, stranger;
  };
  for (const Row& r :
       {Row{F::eif, true, true, true}, Row{F::adf, true, true, false}, Row{F::edf, true, false, false}}) {
    for (Protocol p : {Protocol::udp, Protocol::tcp}) {
      INFO("filtering " << int(r.filtering) << " protocol " << int(p));
      config::Config c = small_config();
      c.instances[0].filtering = r.filtering;
      Bench b(c);
      const InternalKey k = inside_endpoint(1, 1, p);
      const MappingId id = b.must_open(k);
      // Two remotes: one kept in the mapping, one in the session table.
      for (uint8_t host : {1, 2}) {
        REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(host, 80), kSyn));
        auto in = [&](uint8_t from, uint16_t port) {
          return b.track(Direction::inbound, id, remote_endpoint(from, port), kSyn) != DropReason::filtered;
        };
        CHECK(in(host, 80) == r.same_port);
        CHECK(in(host, 81) == r.same_address);
        CHECK(in(9, 80) == r.stranger);
      }
    }
  }
}

TEST_CASE("Address entries of adf do not keep a closed TCP mapping", "[dataplane][binding]") {
  config::Config c = small_config();
  c.instances[0].filtering = config::Filtering::adf;
  Bench b(c);
  const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
  const MappingId id = connect(b, k, remote_endpoint(1, 80));
  connect(b, k, remote_endpoint(2, 80));
  for (uint8_t host : {1, 2}) REQUIRE_FALSE(b.track(Direction::inbound, id, remote_endpoint(host, 80), kRst));
  b.advance(21'000);  // tcp-trans-close-timeout
  CHECK(b.binding.mappings().size() == 0);
  CHECK(b.binding.sessions().size() == 0);
}

TEST_CASE("An address entry of adf lives as long as its sessions", "[dataplane][binding]") {
  config::Config c = small_config();
  c.instances[0].filtering = config::Filtering::adf;
  Bench b(c);
  const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
  const MappingId id = connect(b, k, remote_endpoint(1, 80));
  connect(b, k, remote_endpoint(2, 80));
  for (int i = 0; i < 5; i++) {  // five times 60 s, with an idle timeout of 100 s
    b.advance(60'000);
    for (uint8_t host : {1, 2})
      REQUIRE_FALSE(b.track(Direction::outbound, id, remote_endpoint(host, 80), kAck));
  }
  CHECK(b.track(Direction::inbound, id, remote_endpoint(2, 81), kSyn) != DropReason::filtered);
}

TEST_CASE("RFC 6888 REQ-11: full tables refuse newcomers and keep what is there", "[dataplane][binding]") {
  SECTION("mappings") {
    Bench::Sizes sizes;
    sizes.mappings = 3;
    Bench b(small_config(), sizes);
    for (uint16_t port = 1; port <= 3; port++) b.must_open(inside_endpoint(1, port));
    CHECK(b.refusal(inside_endpoint(1, 4)) == DropReason::mapping_table_full);
    CHECK(b.refusal(inside_endpoint(2, 1)) == DropReason::mapping_table_full);
    CHECK(b.binding.subscribers().size() == 1);
    CHECK(b.binding.mappings().size() == 3);
  }
  SECTION("sessions") {
    Bench::Sizes sizes;
    sizes.sessions = 2;
    Bench b(small_config(), sizes);
    const InternalKey k = inside_endpoint(1, 1, Protocol::tcp);
    for (uint8_t host = 1; host <= 3; host++) connect(b, k, remote_endpoint(host, 80));
    CHECK(b.track(Direction::outbound, b.must_open(k), remote_endpoint(4, 80), kSyn) ==
          DropReason::session_table_full);
    CHECK_FALSE(b.track(Direction::outbound, b.must_open(k), remote_endpoint(2, 80), kAck));
  }
  SECTION("subscribers") {
    Bench::Sizes sizes;
    sizes.subscribers = 1;
    Bench b(small_config(), sizes);
    b.must_open(inside_endpoint(1, 1));
    CHECK(b.refusal(inside_endpoint(2, 1)) == DropReason::subscriber_table_full);
  }
}

TEST_CASE("A static mapping is put on record, never expires and leaves with its configuration",
          "[dataplane][binding]") {
  config::Config c = small_config();
  config::StaticMapping s;
  s.protocol = Protocol::tcp;
  s.internal_address = net::Ipv4Address(0x0a000005);
  s.internal_port = 8080;
  s.external_address = net::Ipv4Address(0xcb007101);
  s.external_port = 60080;
  c.instances[0].static_mappings = {s};
  Bench b(c);
  const uint32_t free = b.free_blocks();
  REQUIRE(b.tables->statics.size() == 1);
  const StaticEntry entry = b.tables->statics[0];
  auto made = b.binding.add_static(*b.tables, entry, b.now);
  b.ledger.read(b.log);
  REQUIRE(std::holds_alternative<MappingId>(made));
  const MappingId id = std::get<MappingId>(made);
  const logging::Event& event = b.ledger.events.back();
  CHECK(event.kind == logging::EventKind::mapping_created);
  CHECK(event.first_port == 60080);
  CHECK(event.subscriber == net::mapped(net::Ipv4Address(0x0a000005)));
  CHECK(event.internal_port == 8080);
  CHECK(b.ledger.live.size() == 1);
  CHECK(std::get<MappingId>(b.binding.add_static(*b.tables, entry, b.now)) == id);  // a second time: the same
  CHECK_NOTHROW(check_invariants(b));
  // RFC 6888 REQ-2: his dynamic ports come from that address, too.
  CHECK(b.mapping(b.must_open(inside_endpoint(5, 1))).external_address == s.external_address);
  b.advance(10'000'000);
  b.advance(200'000);
  b.advance(200'000);
  CHECK(b.mapping(id).in_use);
  CHECK(b.binding.mappings().size() == 1);
  b.binding.clear_mapping(*b.tables, id, b.now);
  CHECK(b.mapping(id).in_use);
  CHECK(b.binding.remove_static(*b.tables, entry, b.now));
  b.ledger.read(b.log);
  b.advance(200'000);
  CHECK_NOTHROW(check_nothing_left(b, free));
}

TEST_CASE("Time long gone or far ahead confuses no timer", "[dataplane][binding]") {
  // A record's times are 32 bits of milliseconds: they wrap every 49.7 days.
  Bench b(small_config());
  b.now = ((b.now >> 32) + 1) << 32;
  b.now -= 15'000;
  while (b.binding.sweep(*b.tables, b.now)) continue;
  const MappingId id = b.must_open(inside_endpoint(1, 1));
  b.advance(20'000);
  CHECK(b.mapping(id).in_use);
  b.advance(20'000);
  CHECK(b.binding.mappings().size() == 0);
}

TEST_CASE("Blocks of one pool do not wait for another pool's to be given back", "[dataplane][binding]") {
  Bench::Sizes sizes;
  sizes.subscribers = 250;
  Bench b(small_config({"203.0.113.0/27", "203.0.113.64/27"}), sizes);
  std::set<uint16_t> used, returned;
  for (unsigned host = 1; host < 250; host++) {
    const MappingId id = b.must_open(inside_endpoint(static_cast<uint8_t>(host), 1));
    used.insert(b.pool_of(b.mapping(id).external_address).slot());
  }
  REQUIRE(used.size() == 2);
  b.advance(31'000);  // mappings end
  const size_t before = b.ledger.events.size();
  b.now += 11'000;  // port-set-timeout: all blocks are due at once
  for (int sweeps = 0; sweeps < 2; sweeps++) b.binding.sweep(*b.tables, b.now);
  b.ledger.read(b.log);
  for (size_t i = before; i < b.ledger.events.size(); i++)
    returned.insert(b.pool_of(b.ledger.events[i].external).slot());
  CHECK(returned == used);
}
