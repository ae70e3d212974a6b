// Cutting and joining: every piece is right by itself, and all of them, in whatever order and however often
// they come, are the datagram again, byte for byte.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "dataplane/fragments/cut.h"
#include "fragment_datagrams.h"

using namespace culvert::test;
namespace net = culvert::net;

namespace {

constexpr unsigned kMostPayload = 65'515;

template <typename T>
rc::Gen<T> uniform(T low, T high) {  // both included, whatever the size
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(low, high + 1));
}

void check_ipv4_piece(const Bytes& piece, const Datagram& d, unsigned offset, bool last) {
  RC_ASSERT(be16(&piece[2]) == piece.size());
  RC_ASSERT(checksum(piece.data(), d.header) == 0u);
  const unsigned flags = be16(&d.bytes[6]) | (last ? 0u : 0x2000u);  // DF as it was; MF on all but the last
  RC_ASSERT(be16(&piece[6]) == (flags | offset / 8));
  Bytes header(piece.begin(), piece.begin() + d.header);
  Bytes expected(d.bytes.begin(), d.bytes.begin() + d.header);
  if (offset != 0) std::ranges::copy(d.later_options, expected.begin() + 20);
  for (unsigned i : {2u, 3u, 6u, 7u, 10u, 11u}) header[i] = expected[i];
  RC_ASSERT(header == expected);  // the identification too
}

void check_ipv6_piece(const Bytes& piece, const Datagram& d, unsigned offset, bool last, uint32_t id) {
  RC_ASSERT(be16(&piece[4]) == piece.size() - kIpv6);
  RC_ASSERT(piece[6] == 44);
  Bytes header(piece.begin(), piece.begin() + kIpv6);
  Bytes expected(d.bytes.begin(), d.bytes.begin() + kIpv6);
  for (unsigned i : {4u, 5u, 6u}) header[i] = expected[i];
  RC_ASSERT(header == expected);
  const uint8_t* fragment = &piece[kIpv6];
  RC_ASSERT(fragment[0] == d.bytes[6]);
  RC_ASSERT(fragment[1] == 0);
  RC_ASSERT(be16(fragment + 2) == (offset | (last ? 0u : 1u)));
  RC_ASSERT((be16(fragment + 4) << 16 | be16(fragment + 6)) == id);
}

/// Cuts a datagram and checks every piece.
std::vector<Bytes> cut(FragmentBench& bench, const Datagram& d, bool ipv6, unsigned limit, uint32_t id) {
  const auto& ip4 = *reinterpret_cast<const net::Ipv4Header*>(d.bytes.data());
  const auto& ip6 = *reinterpret_cast<const net::Ipv6Header*>(d.bytes.data());
  const unsigned payload = static_cast<unsigned>(d.bytes.size()) - d.header;
  const unsigned headers = d.header + (ipv6 ? kFragmentHeader : 0);
  const CutPlan plan = ipv6 ? plan_ipv6(ip6, limit) : plan_ipv4(ip4, limit);
  if (d.bytes.size() > limit && limit < headers + 8) {
    RC_ASSERT(plan.pieces == 0u);
    return {};
  }
  std::vector<Bytes> pieces;
  unsigned offset = 0;
  for (unsigned i = 0; i < plan.pieces; i++) {
    rte_mbuf* m = bench.buffer_with({});
    if (ipv6)
      write_piece(m, ip6, plan, i, id);
    else
      write_piece(m, ip4, plan, i);
    RC_ASSERT(m->data_len == m->pkt_len);
    const Bytes piece(bytes_of(m), bytes_of(m) + m->data_len);
    free_packet(m);
    RC_ASSERT(piece.size() <= limit);
    const bool last = i + 1 == plan.pieces;
    if (plan.pieces == 1) {
      RC_ASSERT(piece == d.bytes);
      return {piece};
    }
    const unsigned length = static_cast<unsigned>(piece.size()) - headers;
    RC_ASSERT(length > 0);
    // RFC 791 §3.2, RFC 8200 §4.5: a multiple of eight but in the last; no smaller than need be.
    if (!last) RC_ASSERT(length == (limit - headers) / 8 * 8);
    if (ipv6)
      check_ipv6_piece(piece, d, offset, last, id);
    else
      check_ipv4_piece(piece, d, offset, last);
    RC_ASSERT(offset + length <= payload);
    RC_ASSERT(std::memcmp(&piece[headers], &d.bytes[d.header + offset], length) == 0);
    offset += length;
    pieces.push_back(piece);
  }
  RC_ASSERT(plan.pieces > 1);
  RC_ASSERT(offset == payload);
  return pieces;
}

Bytes expected_join(const Datagram& d, Kind kind) {
  if (kind != Kind::softwire_inner) return d.bytes;
  Bytes joined(kIpv6, 0xfd);
  joined[0] = 0x60;
  joined[1] = 0x0d;
  put16(&joined[4], static_cast<unsigned>(d.bytes.size()));
  joined[6] = 4;  // the extension headers are gone
  joined[7] = 64;
  if ((d.bytes[1] & 3) == 3) joined[1] |= 3 << 4;
  joined.insert(joined.end(), d.bytes.begin(), d.bytes.end());
  return joined;
}

void cut_shuffle_and_join(BufferPool& pool, Kind kind) {
  const bool ipv6 = kind == Kind::ipv6;
  const auto payload = *rc::gen::oneOf(uniform(1u, kMostPayload), uniform(1u, 3000u),
                                       rc::gen::element(1u, 7u, 8u, 9u, 1480u, kMostPayload));
  const auto options = std::min(ipv6 ? 0 : *uniform(0u, 10u) * 4, kMostPayload - payload);
  const auto limit = *rc::gen::oneOf(uniform(576u, 9500u), uniform(20u, 600u), uniform(1280u, 1500u));
  const bool dont_fragment = *rc::gen::arbitrary<bool>();
  const bool extension = *rc::gen::arbitrary<bool>();
  std::mt19937 random(*uniform(0u, 1u << 30));
  const Datagram d =
      ipv6 ? ipv6_datagram(payload, random) : ipv4_datagram(payload, options / 4 * 4, dont_fragment, random);
  {
    FragmentBench bench(pool, 1000);
    const auto id = static_cast<uint32_t>(random());
    const std::vector<Bytes> pieces = cut(bench, d, ipv6, limit, id);
    RC_ASSERT(bench.buffers_taken() == 0u);
    // One that passes whole has no fragment header; in IPv4 it is a datagram of one fragment.
    if (pieces.empty() || (ipv6 && pieces.size() == 1)) RC_SUCCEED("nothing to join");
    const auto n = static_cast<unsigned>(pieces.size());
    const bool too_many = n > Reassembly::kMostFragments;

    std::vector<unsigned> order(n);
    for (unsigned i = 0; i < n; i++) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    const DatagramKey key = key_of(1, 1);
    unsigned largest = 0, duplicates = 0;
    Reassembly::Whole whole;
    const auto give = [&](unsigned piece) {
      Arrival a = arrive(pieces[piece], kind, extension, piece == 0, piece % 3 == 1);
      largest = std::max(largest, a.fragment.size);
      a.fragment.m = bench.buffer_with(a.bytes);
      return bench.waiting.add(key, 7, a.fragment, bench.now, bench.kTimeout);
    };
    for (unsigned i = 0; i < n; i++) {
      RC_ASSERT(whole.first == nullptr);
      whole = give(order[i]);
      while (i + 1 < n && random() % 4 == 0) {
        duplicates++;
        RC_ASSERT(give(order[random() % (i + 1)]).first == nullptr);
      }
    }
    if (too_many) {
      RC_ASSERT(whole.first == nullptr);
      RC_ASSERT(bench.waiting.held() == 0u);
      RC_ASSERT(bench.drops(DropReason::fragment_limit) + bench.drops(DropReason::fragment_duplicate) ==
                n + duplicates);
      RC_ASSERT(bench.accounts_are_right());
      RC_SUCCEED("too many fragments");
    }
    RC_ASSERT(whole.first != nullptr);
    RC_ASSERT(bench.drops(DropReason::fragment_duplicate) == duplicates);
    RC_ASSERT(whole.length == payload);
    RC_ASSERT(whole.fragments == n);
    RC_ASSERT(whole.largest == largest);
    unsigned offset = 0;
    for (rte_mbuf* m = whole.first; m != nullptr; m = m->next) {
      RC_ASSERT(Reassembly::Place::of(m).offset == offset);
      offset += Reassembly::Place::of(m).length;
    }
    const Bytes joined = bench.join(whole, kind);
    RC_ASSERT(joined == expected_join(d, kind));
    RC_ASSERT(bench.waiting.held() == 0u);
    RC_ASSERT(bench.accounts_are_right());
  }
  RC_ASSERT(rte_mempool_in_use_count(pool.get()) == 0u);
}

}  // namespace

TEST_CASE("RFC 791 §3.2: an IPv4 datagram cut, shuffled and joined is the same again",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(200, 9600);
  CHECK(rc::check("IPv4", [&] { cut_shuffle_and_join(pool, Kind::ipv4); }));
}

TEST_CASE("RFC 8200 §4.5: an IPv6 datagram cut, shuffled and joined is the same again",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(200, 9600);
  CHECK(rc::check("IPv6", [&] { cut_shuffle_and_join(pool, Kind::ipv6); }));
}

TEST_CASE("RFC 6333 §6.3: an IPv4 datagram cut inside a softwire is joined behind one outer header",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(200, 9600);
  CHECK(rc::check("softwire", [&] { cut_shuffle_and_join(pool, Kind::softwire_inner); }));
}

TEST_CASE("RFC 791 §3.1: options that are not copied are no-operations in later fragments",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(8, 1500);
  FragmentBench bench(pool, 10);
  // In first and in later pieces: record route (7), router alert (148, copied), and what is no option.
  const std::vector<std::pair<Bytes, Bytes>> cases = {
      {{7, 7, 4, 1, 2, 3, 4, 0}, {1, 1, 1, 1, 1, 1, 1, 0}},
      {{148, 4, 0, 0, 7, 3, 4, 1}, {148, 4, 0, 0, 1, 1, 1, 1}},
      {{1, 7, 3, 4, 1, 1, 148, 2}, {1, 1, 1, 1, 1, 1, 148, 2}},
      {{1, 1, 0, 7, 3, 4, 7, 3}, {1, 1, 0, 7, 3, 4, 7, 3}},    // padding is not read
      {{1, 1, 1, 1, 1, 1, 1, 7}, {1, 1, 1, 1, 1, 1, 1, 1}},    // cut off before its length
      {{1, 1, 1, 1, 7, 200, 3, 4}, {1, 1, 1, 1, 1, 1, 1, 1}},  // longer than the header
      {{7, 0, 7, 3, 4, 1, 1, 1}, {7, 0, 7, 3, 4, 1, 1, 1}},    // no length: what follows is padding
      {{148, 255, 7, 3, 4, 1, 1, 1}, {148, 255, 7, 3, 4, 1, 1, 1}},
  };
  for (const auto& [first, later] : cases) {
    std::mt19937 random(1);
    Datagram d = ipv4_datagram(32, 8, false, random);
    std::ranges::copy(first, d.bytes.begin() + 20);
    const auto& ip = *reinterpret_cast<const net::Ipv4Header*>(d.bytes.data());
    const CutPlan plan = plan_ipv4(ip, 28 + 16);
    REQUIRE(plan.pieces == 2);
    for (unsigned i = 0; i < plan.pieces; i++) {
      rte_mbuf* m = bench.buffer_with({});
      write_piece(m, ip, plan, i);
      CHECK(Bytes(bytes_of(m) + 20, bytes_of(m) + 28) == (i == 0 ? first : later));
      CHECK(checksum(bytes_of(m), 28) == 0);
      CHECK(std::memcmp(bytes_of(m) + 28, &d.bytes[28 + 16 * i], 16) == 0);
      free_packet(m);
    }
  }
}

TEST_CASE("no datagram is cut into more pieces than a CutPlan may have, at the smallest limit",
          "[dataplane][fragments]") {
  const unsigned smallest = CutPlan::kSmallestLimit;
  CHECK(piece_limit(0, 1500) == smallest);
  CHECK(piece_limit(68, 1500) == smallest);  // somebody sent crumbs
  CHECK(piece_limit(1400, 1500) == 1400);
  CHECK(piece_limit(kAnySize, 1500) == 1500);
  CHECK(piece_limit(68, 296) == 296);
  net::Ipv4Header ip4{};
  ip4.total_length = net::Be16(65'535);
  for (unsigned words = 5; words <= 15; words++) {
    ip4.version_ihl = static_cast<uint8_t>(0x40 | words);
    CHECK(plan_ipv4(ip4, smallest).pieces > 0);
    CHECK(plan_ipv4(ip4, smallest).pieces <= CutPlan::kMostPieces);
    CHECK(plan_ipv4(ip4, 65'535).pieces == 1);
    CHECK(plan_ipv4(ip4, words * 4 + 8).pieces == (65'535u - words * 4 + 7) / 8);
    CHECK(plan_ipv4(ip4, words * 4 + 7).pieces == 0);
  }
  net::Ipv6Header ip6{};
  ip6.payload_length = net::Be16(65'535);
  CHECK(plan_ipv6(ip6, smallest).pieces <= CutPlan::kMostPieces);
  CHECK(plan_ipv6(ip6, kIpv6 + 65'535).pieces == 1);
  CHECK(plan_ipv6(ip6, kIpv6 + 65'534).pieces == 2);
  CHECK(plan_ipv6(ip6, kIpv6 + 16).pieces == 8192);
  CHECK(plan_ipv6(ip6, kIpv6 + 15).pieces == 0);
}

TEST_CASE("RFC 791 §3.1: fragments that make more than 65,535 bytes cannot be joined",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(20, 9600);
  struct Case {
    Kind kind;
    unsigned header, payload, joined;
  };
  const Case cases[] = {{Kind::ipv4, 20, 65'515, 65'535},
                        {Kind::ipv4, 20, 65'516, 0},
                        {Kind::ipv4, 60, 65'475, 65'535},
                        {Kind::ipv4, 60, 65'476, 0},
                        {Kind::ipv4, 20, 65'535, 0},
                        {Kind::ipv6, 48, 65'535, 65'575},
                        {Kind::softwire_inner, 20, 65'515, 65'575},
                        {Kind::softwire_inner, 20, 65'516, 0}};
  for (const Case& c : cases) {
    CAPTURE(static_cast<int>(c.kind), c.header, c.payload);
    FragmentBench bench(pool, 20);
    const unsigned before = c.kind == Kind::softwire_inner ? kIpv6 : 0;
    Reassembly::Whole whole;
    for (unsigned offset = 0; offset < c.payload; offset += 9000) {
      const unsigned length = std::min(9000u, c.payload - offset);
      Bytes bytes(before + c.header, c.kind == Kind::ipv4 ? 0x45 : 0x60);
      for (unsigned i = 0; i < length; i++) bytes.push_back(payload_byte(offset + i));
      whole = bench.waiting.add(key_of(1, 1), 1,
                                {bench.buffer_with(bytes), before, before + c.header, length, offset,
                                 offset + length < c.payload, c.header + length, 0},
                                bench.now, bench.kTimeout);
    }
    REQUIRE(whole.first != nullptr);
    CHECK(joined_length(whole, c.kind) == c.joined);
    const Bytes joined = bench.join(whole, c.kind);
    if (c.joined != 0)
      CHECK(be16(&joined[c.kind == Kind::ipv4 ? 2 : 4]) == c.joined - (c.kind == Kind::ipv4 ? 0 : kIpv6));
    if (c.joined != 0) CHECK(joined.back() == payload_byte(c.payload - 1));
    CHECK(bench.accounts_are_right());
  }
}

TEST_CASE(
    "RFC 3168 §5.3: congestion that any fragment met is marked on the datagram, or the datagram is lost",
    "[dataplane][fragments]") {
  BufferPool pool = test_buffers(8, 1500);
  constexpr uint8_t kNotEct = 0, kMarked = 3;
  for (const Kind kind : {Kind::ipv4, Kind::ipv6, Kind::softwire_inner}) {
    for (unsigned n = 0; n < 64; n++) {
      const uint8_t ecn[] = {static_cast<uint8_t>(n & 3), static_cast<uint8_t>(n >> 2 & 3),
                             static_cast<uint8_t>(n >> 4)};
      const auto has = [&](uint8_t e) { return std::ranges::count(ecn, e) != 0; };
      CAPTURE(static_cast<int>(kind), int{ecn[0]}, int{ecn[1]}, int{ecn[2]});
      FragmentBench bench(pool, 8);
      std::mt19937 random(n);
      Datagram d = kind == Kind::ipv6 ? ipv6_datagram(40, random) : ipv4_datagram(40, 4, false, random);
      uint8_t& tos = d.bytes[1];
      tos = static_cast<uint8_t>(kind == Kind::ipv6 ? (tos & 0xcf) | ecn[0] << 4 : (tos & 0xfc) | ecn[0]);
      const auto& ip4 = *reinterpret_cast<const net::Ipv4Header*>(d.bytes.data());
      const auto& ip6 = *reinterpret_cast<const net::Ipv6Header*>(d.bytes.data());
      const CutPlan plan = kind == Kind::ipv6 ? plan_ipv6(ip6, 64) : plan_ipv4(ip4, 40);
      REQUIRE(plan.pieces == 3);
      Reassembly::Whole whole;
      for (const unsigned i : {1u, 2u, 0u}) {
        rte_mbuf* m = bench.buffer_with({});
        if (kind == Kind::ipv6)
          write_piece(m, ip6, plan, i, 1);
        else
          write_piece(m, ip4, plan, i);
        Arrival a = arrive({bytes_of(m), bytes_of(m) + m->data_len}, kind, true, i == 0);
        free_packet(m);
        a.fragment.ecn = ecn[i];
        a.fragment.m = bench.buffer_with(a.bytes);
        whole = bench.waiting.add(key_of(1, 1), 1, a.fragment, bench.now, bench.kTimeout);
      }
      if (has(kMarked) && has(kNotEct)) {
        CHECK(whole.first == nullptr);
        CHECK(bench.drops(DropReason::ecn_congestion) == 3);
        CHECK_FALSE(bench.completes(1, 1, {0, 8, false}));  // and the rest is refused
        CHECK(bench.drops(DropReason::ecn_congestion) == 4);
      } else {
        REQUIRE(whole.first != nullptr);
        CHECK(whole.congestion == has(kMarked));
        const Bytes joined = bench.join(whole, kind);
        const uint8_t* inner = joined.data() + (kind == Kind::softwire_inner ? kIpv6 : 0);
        const unsigned expected = has(kMarked) ? kMarked : ecn[0];
        if (kind == Kind::ipv6) {
          CHECK((inner[1] >> 4 & 3) == expected);
          CHECK((inner[1] & 0xcf) == (tos & 0xcf));
        } else {
          CHECK((inner[1] & 3) == expected);
          CHECK((inner[1] & 0xfc) == (tos & 0xfc));
          CHECK(checksum(inner, d.header) == 0);
        }
        if (kind == Kind::softwire_inner) CHECK((joined[1] >> 4 & 3) == (has(kMarked) ? kMarked : 0));
      }
      CHECK(bench.accounts_are_right());
    }
  }
}
