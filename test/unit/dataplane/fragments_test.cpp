// Reassembly under attack: what is refused, for how long, and what is kept apart. Who has to go when there is
// no room: fragments_room_test.cpp.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>

#include "fragment_bench.h"

using namespace culvert::test;
namespace net = culvert::net;

namespace {

constexpr Piece kFirst{0, 8, true}, kMiddle{8, 8, true}, kLast{16, 5, false};

template <typename T>
rc::Gen<T> uniform(T low, T high) {  // both included, whatever the size
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(low, high + 1));
}

/// A datagram of these pieces ends with the last one, is refused for the rest of its time, and not longer.
void check_ends_as(FragmentBench& bench, const std::vector<Piece>& pieces, DropReason why) {
  const uint64_t before = bench.drops(why), all_before = bench.all_drops();
  const Millis ends = bench.now + bench.kTimeout;
  for (size_t i = 0; i < pieces.size(); i++) {
    CHECK(bench.all_drops() == all_before);
    CHECK(bench.waiting.held() == i);
    CHECK(bench.add(1, 1, pieces[i]).first == nullptr);
    bench.now++;
  }
  CHECK(bench.waiting.held() == 0);
  CHECK(bench.drops(why) == before + pieces.size());
  // What would have been right comes too late, until the time is over.
  bench.wait_until(ends - 2);
  CHECK_FALSE(bench.completes(1, 1, {0, 24, false}));
  bench.now = ends - 1;
  CHECK_FALSE(bench.completes(1, 1, {0, 24, false}));
  CHECK(bench.drops(why) == before + pieces.size() + 2);
  CHECK(bench.all_drops() == all_before + pieces.size() + 2);
  bench.now = ends;
  CHECK(bench.completes(1, 1, {0, 24, false}));
  CHECK(bench.accounts_are_right());
}

}  // namespace

TEST_CASE("RFC 5722 §3, RFC 8200 §4.5: an overlap ends the datagram, and what still comes of it is refused",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(300, 1500);
  FragmentBench bench(pool, 200);
  const auto overlap = DropReason::fragment_overlap;
  SECTION("the end of the one before") { check_ends_as(bench, {{0, 16, true}, {8, 16, true}}, overlap); }
  SECTION("the beginning of the one behind") {
    check_ends_as(bench, {{8, 16, true}, {0, 16, true}}, overlap);
  }
  SECTION("a part of it") { check_ends_as(bench, {{0, 32, true}, {8, 8, true}}, overlap); }
  SECTION("all of it and more") { check_ends_as(bench, {{8, 8, true}, {0, 32, true}}, overlap); }
  SECTION("its beginning") { check_ends_as(bench, {{8, 16, true}, {8, 8, true}}, overlap); }
  SECTION("its end") { check_ends_as(bench, {{8, 16, true}, {16, 8, true}}, overlap); }
  SECTION("several at once") {
    check_ends_as(bench, {{8, 8, true}, {24, 8, true}, {40, 3, false}, {0, 48, true}}, overlap);
  }
  SECTION("the last by a byte") { check_ends_as(bench, {{16, 5, false}, {20 / 8 * 8, 1, false}}, overlap); }
  SECTION("elsewhere, the same bytes") {
    check_ends_as(bench, {{8, 16, true, kFlat}, {16, 16, true, kFlat}}, overlap);
  }
  SECTION("less, the same bytes") {
    check_ends_as(bench, {{8, 16, true, kFlat}, {8, 8, true, kFlat}}, overlap);
  }
  SECTION("the same place, other bytes") { check_ends_as(bench, {{8, 8, true}, {8, 8, true, 1}}, overlap); }
  SECTION("the same bytes, but the last this time") {
    check_ends_as(bench, {{8, 8, true}, {8, 8, false}}, overlap);
  }
  SECTION("the same bytes, but no longer the last") {
    check_ends_as(bench, {{8, 8, false}, {8, 8, true}}, overlap);
  }
  SECTION("another last fragment behind the last") {
    check_ends_as(bench, {{8, 8, false}, {16, 8, false}}, overlap);
  }
  SECTION("another last fragment before the last") {
    check_ends_as(bench, {{16, 8, false}, {8, 8, false}}, overlap);
  }
  SECTION("data behind the last fragment") { check_ends_as(bench, {{8, 8, false}, {16, 8, true}}, overlap); }
  SECTION("data far behind the last fragment") {
    check_ends_as(bench, {{8, 8, false}, {65'000, 8, true}}, overlap);
  }
  SECTION("a last fragment before data") { check_ends_as(bench, {{16, 8, true}, {8, 8, false}}, overlap); }
  SECTION("a last fragment between data") {
    check_ends_as(bench, {{8, 8, true}, {32, 8, true}, {16, 8, false}}, overlap);
  }
}

TEST_CASE("RFC 5722 §3: whatever overlaps, in whatever order, nothing of the datagram is left",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(300, 9600);
  CHECK(rc::check("overlap", [&] {
    FragmentBench bench(pool, 200);
    // A datagram in pieces; the first is withheld, so that nothing less than all can be whole.
    const auto lengths =
        *rc::gen::container<std::vector<unsigned>>(*uniform(size_t{1}, size_t{99}), uniform(1u, 40u));
    std::vector<Piece> pieces;
    unsigned offset = 8;
    for (const unsigned n : lengths) {
      pieces.push_back({offset, n * 8, true});
      offset += n * 8;
    }
    pieces.back().more = *rc::gen::arbitrary<bool>();
    // The intruder has a byte with one of them in common, and is not the same.
    const Piece& victim = *rc::gen::elementOf(pieces);
    const unsigned byte = *uniform(victim.offset, victim.offset + victim.length - 1);
    const unsigned unit = byte / 8;
    Piece intruder{*uniform(unit - std::min(unit - 1, 1000u), unit) * 8, 0, *rc::gen::arbitrary<bool>(), 0};
    const unsigned units = (byte - intruder.offset) / 8 + *uniform(1u, 50u);
    intruder.length = intruder.more ? units * 8 : units * 8 - *uniform(0u, 7u - byte % 8);
    RC_ASSERT(intruder.offset <= byte);
    RC_ASSERT(intruder.offset + intruder.length > byte);
    for (const Piece& p : pieces) {
      if (p.offset == intruder.offset && p.length == intruder.length && p.more == intruder.more)
        intruder.content = 1;
    }
    std::vector<Piece> order = pieces;
    order.push_back(intruder);
    std::shuffle(order.begin(), order.end(), std::mt19937(*uniform(0u, 1u << 30)));
    for (const Piece& p : order) RC_ASSERT_FALSE(bench.completes(1, 1, p));
    RC_ASSERT(bench.waiting.held() == 0u);
    RC_ASSERT(bench.drops(DropReason::fragment_overlap) == order.size());
    bench.now += bench.kTimeout - 1;
    RC_ASSERT_FALSE(bench.completes(1, 1, kFirst));
    RC_ASSERT(bench.waiting.held() == 0u);
    bench.now++;
    for (const Piece& p : {kLast, kFirst}) RC_ASSERT_FALSE(bench.completes(1, 1, p));
    RC_ASSERT(bench.completes(1, 1, kMiddle));
    RC_ASSERT(bench.all_drops() == order.size() + 1);
    RC_ASSERT(bench.accounts_are_right());
  }));
}

TEST_CASE("RFC 8200 §4.5: an exact duplicate drops only itself", "[dataplane][fragments]") {
  BufferPool pool = test_buffers(64, 1500);
  FragmentBench bench(pool, 60);
  for (const Piece& p : {kLast, kLast, kFirst, kFirst, kLast, kFirst}) CHECK_FALSE(bench.completes(1, 1, p));
  CHECK(bench.drops(DropReason::fragment_duplicate) == 4);
  CHECK(bench.waiting.held() == 2);
  CHECK(bench.completes(1, 1, kMiddle));
  CHECK(bench.all_drops() == 4);
  CHECK(bench.accounts_are_right());
}

TEST_CASE("RFC 8200 §4.5, RFC 791 §3.2: a fragment that cannot be right is dropped and its datagram waits on",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(64, 9600);
  FragmentBench bench(pool, 60);
  CHECK_FALSE(bench.completes(1, 1, kFirst));
  const Piece wrong[] = {
      {8, 0, true},          {8, 0, false},     {21, 0, false},        // empty
      {8, 1, true},          {8, 7, true},      {8, 9, true},          // not a multiple of eight, more behind
      {65'528, 8, false},    {65'528, 8, true}, {65'528, 1480, true},  // ends behind 65,535
      {57'344, 8192, false},
  };
  uint64_t n = 0;
  for (const Piece& p : wrong) {
    CAPTURE(p.offset, p.length, p.more);
    CHECK_FALSE(bench.completes(1, 1, p));
    CHECK(bench.drops(DropReason::fragment_malformed) == ++n);
    CHECK(bench.waiting.held() == 1);
  }
  CHECK_FALSE(bench.completes(1, 1, kMiddle));
  CHECK(bench.completes(1, 1, kLast));
  CHECK(bench.all_drops() == n);
  // 65,535 bytes is right.
  for (unsigned offset = 0; offset < 57'344; offset += 8192)
    CHECK_FALSE(bench.completes(1, 2, {offset, 8192, true}));
  const Reassembly::Whole whole = bench.add(1, 2, {57'344, 8191, false});
  REQUIRE(whole.first != nullptr);
  CHECK(whole.length == 65'535);
  bench.give_back(whole);
  CHECK(bench.accounts_are_right());
}

TEST_CASE("RFC 4787 REQ-14a: a datagram has at most 120 fragments", "[dataplane][fragments]") {
  BufferPool pool = test_buffers(300, 1500);
  const unsigned most = Reassembly::kMostFragments;
  CHECK(most == 120);
  for (const bool backwards : {false, true}) {
    FragmentBench bench(pool, 200);
    const auto piece = [&](unsigned i, unsigned n) {
      if (backwards) i = n - 1 - i;
      return Piece{i * 8, 8, i + 1 < n};
    };
    for (unsigned i = 0; i + 1 < most; i++) CHECK_FALSE(bench.completes(1, 1, piece(i, most)));
    CHECK(bench.completes(1, 1, piece(most - 1, most)));
    CHECK(bench.all_drops() == 0);
    for (unsigned i = 0; i < most; i++) CHECK_FALSE(bench.completes(1, 2, piece(i, most + 1)));
    CHECK(bench.waiting.held() == most);
    CHECK_FALSE(bench.completes(1, 2, piece(most, most + 1)));
    CHECK(bench.waiting.held() == 0);
    CHECK(bench.drops(DropReason::fragment_limit) == most + 1);
    CHECK_FALSE(bench.completes(1, 2, {0, 8, false}));
    CHECK(bench.drops(DropReason::fragment_limit) == most + 2);
    CHECK(bench.accounts_are_right());
  }
}

TEST_CASE("RFC 6146 §3.4: no datagram goes before fragment-min-timeout, and all are gone 0.5 s after it",
          "[dataplane][fragments]") {
  constexpr unsigned kDatagrams = 3000;
  constexpr Millis kSoon = 500;
  BufferPool pool = test_buffers(kDatagrams + 1, 1500);
  // Time is kept in 32 bits: the second run goes over their end.
  for (const Millis start : {FragmentBench::kStart, Millis{400} << 32}) {
    for (const Millis poll : {1, 40}) {
      FragmentBench bench(pool, kDatagrams);
      bench.now = start - 4000;
      std::mt19937 random(5);
      std::multimap<Millis, uint32_t> begins, completed, left;  // when → host; left: to its end
      for (uint32_t host = 0; host < kDatagrams; host++) begins.emplace(bench.now + random() % 8000, host);
      const Millis until = bench.now + 8000 + bench.kTimeout + kSoon + poll;
      unsigned whole = 0, early = 0, late = 0;
      for (; bench.now < until; bench.now++) {
        for (auto [it, end] = completed.equal_range(bench.now); it != end; ++it)
          whole += bench.completes(it->second, 1, {8, 8, false});
        completed.erase(bench.now);
        for (auto [it, end] = begins.equal_range(bench.now); it != end; ++it) {
          bench.add(it->second, 1, kFirst);
          const Millis ends = bench.now + bench.kTimeout;
          if (it->second % 2 == 0)
            completed.emplace(ends - 1, it->second);  // its last chance
          else
            left.emplace(ends, it->second);
        }
        if (bench.now % poll == 0)
          while (bench.waiting.sweep(bench.now)) {
          }
        left.erase(left.begin(), left.lower_bound(bench.now - std::min(bench.now, kSoon + poll)));
        const auto must = static_cast<size_t>(std::distance(left.upper_bound(bench.now), left.end()));
        early += bench.waiting.held() < completed.size() + must;
        late += bench.waiting.held() > completed.size() + left.size();
      }
      CHECK(whole == kDatagrams / 2);
      CHECK(early == 0);
      CHECK(late == 0);
      CHECK(bench.waiting.held() == 0);
      CHECK(bench.drops(DropReason::fragment_timeout) == kDatagrams / 2);
      CHECK(bench.all_drops() == kDatagrams / 2);
      CHECK(bench.accounts_are_right());
    }
  }
}

TEST_CASE("RFC 6146 §3.4: a fragment that comes after the time is over begins a datagram, swept or not",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(64, 1500);
  FragmentBench bench(pool, 60);
  bench.add(1, 1, kFirst);
  bench.now += 1000;
  bench.add(1, 1, kMiddle);  // gives no more time
  bench.now += 1000;
  CHECK_FALSE(bench.completes(1, 1, kLast));
  CHECK(bench.drops(DropReason::fragment_timeout) == 2);
  CHECK(bench.waiting.held() == 1);
  bench.now += 1999;
  CHECK_FALSE(bench.completes(1, 1, kFirst));
  CHECK(bench.completes(1, 1, kMiddle));
  CHECK(bench.all_drops() == 2);
  CHECK(bench.accounts_are_right());
}

TEST_CASE("what was refused is forgotten with its time, also by a clock that comes round",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(8, 1500);
  FragmentBench bench(pool, 8);
  bench.add(1, 1, {8, 8, true});
  bench.add(1, 1, {8, 16, true});
  bench.wait_until(bench.now + bench.kTimeout + 500);
  bench.now += Millis{30} * 86'400'000;  // ShortTime takes what is 30 days ago for the future
  CHECK(bench.completes(1, 1, {0, 24, false}));
  CHECK(bench.all_drops() == 2);
}

TEST_CASE(
    "RFC 791 §3.2, RFC 8200 §4.5: a datagram is told by addresses, identification, protocol and its way",
    "[dataplane][fragments]") {
  net::Ipv4Header ip4{};
  ip4.protocol = 17;
  ip4.id = net::Be16(7);
  ip4.source = net::Ipv4Address(1);
  ip4.destination = net::Ipv4Address(2);
  net::Ipv6Header ip6{};
  std::vector<DatagramKey> keys{DatagramKey::ipv4(ip4),
                                DatagramKey::ipv6(ip6, 7, 0),
                                DatagramKey::ipv6(ip6, 7, 1),
                                DatagramKey::ipv6(ip6, 7u | 1u << 31, 0),
                                DatagramKey::softwire_inner(ip6, ip4, 0),
                                DatagramKey::softwire_inner(ip6, ip4, 1)};
  const auto with4 = [&](auto change) {
    net::Ipv4Header ip = ip4;
    change(ip);
    keys.push_back(DatagramKey::ipv4(ip));
    keys.push_back(DatagramKey::softwire_inner(ip6, ip, 0));
  };
  with4([](auto& ip) { ip.protocol = 6; });
  with4([](auto& ip) { ip.id = net::Be16(8); });
  with4([](auto& ip) { ip.source = net::Ipv4Address(3); });
  with4([](auto& ip) { ip.destination = net::Ipv4Address(1); });
  for (unsigned byte : {0u, 7u, 8u, 15u}) {  // another home, the same addresses in it
    net::Ipv6Header ip = ip6;
    ip.source.bytes[byte] = 1;
    keys.push_back(DatagramKey::ipv6(ip, 7, 0));
    keys.push_back(DatagramKey::softwire_inner(ip, ip4, 0));
    std::swap(ip.source, ip.destination);
    keys.push_back(DatagramKey::ipv6(ip, 7, 0));
  }
  BufferPool pool = test_buffers(64, 1500);
  FragmentBench bench(pool, 60);
  for (size_t i = 0; i < keys.size(); i++)
    for (size_t j = 0; j < keys.size(); j++) {
      CHECK((keys[i] == keys[j]) == (i == j));
      CHECK((keys[i].hash({}) == keys[j].hash({})) == (i == j));
    }
  for (size_t i = 0; i < keys.size(); i++) CHECK(bench.add(keys[i], i, kFirst).first == nullptr);
  for (size_t i = 0; i < keys.size(); i++) {
    const Reassembly::Whole whole = bench.add(keys[i], i, {8, 8, false});
    REQUIRE(whole.first != nullptr);
    bench.give_back(whole);
  }
  CHECK(bench.all_drops() == 0);
  CHECK(keys[2].kind() == Kind::ipv6);
  CHECK(keys[2].context() == 1);
  CHECK(static_cast<uint32_t>(keys[3].rest) == (7u | 1u << 31));
  CHECK(keys[5].kind() == Kind::softwire_inner);
  CHECK(keys[5].context() == 1);
  CHECK(static_cast<uint32_t>(keys[5].rest) == 7);
  CHECK(keys[0].kind() == Kind::ipv4);
  // The rest of an IPv4 header does not matter, nor where in it the fragment stands.
  net::Ipv4Header other = ip4;
  other.ttl = 3;
  other.tos = 0xff;
  other.fragment = net::Be16(0x2001);
  other.total_length = net::Be16(99);
  CHECK(DatagramKey::ipv4(other) == keys[0]);
}

TEST_CASE("a Reassembly gives back what it holds when it ends", "[dataplane][fragments]") {
  BufferPool pool = test_buffers(64, 1500);
  {
    FragmentBench bench(pool, 60);
    for (uint32_t host = 0; host < 10; host++) {
      bench.add(host, 1, kFirst);
      bench.add(host, 1, kLast);
    }
    CHECK(bench.completes(3, 1, kMiddle));
    CHECK(bench.buffers_taken() == 18);
  }
  CHECK(rte_mempool_in_use_count(pool.get()) == 0);
}
