// Longest-prefix match against looking at every prefix.
#include "net/range_map.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

using namespace culvert::net;

namespace {

template <typename Prefix>
using Entries = std::vector<typename RangeMap<Prefix, int>::Entry>;

/// The longest prefix that contains the address; of equal ones the last.
template <typename Prefix, typename Address>
const int* naive(const Entries<Prefix>& entries, const Address& a) {
  const typename RangeMap<Prefix, int>::Entry* best = nullptr;
  for (const auto& e : entries)
    if (e.prefix.contains(a) && (best == nullptr || e.prefix.length >= best->prefix.length)) best = &e;
  return best == nullptr ? nullptr : &best->value;
}

bool same(const int* a, const int* b) { return a == nullptr || b == nullptr ? a == b : *a == *b; }

/// Addresses with few different bits, so that prefixes nest and touch often.
Ipv4Address narrow_ipv4() {
  const auto high = *rc::gen::element<uint32_t>(0, 0x80000000, 0xffffff00, 0xc0000200);
  return Ipv4Address(high | *rc::gen::inRange<uint32_t>(0, 256));
}

Ipv6Address narrow_ipv6() {
  const auto high = *rc::gen::element<uint64_t>(0, ~uint64_t{0}, 0x20010db800000000);
  const auto low = *rc::gen::element<uint64_t>(0, ~uint64_t{0}, 0x100, 0x1ff);
  return Ipv6Address::from_halves(high ^ *rc::gen::inRange<uint64_t>(0, 4),
                                  low ^ *rc::gen::inRange<uint64_t>(0, 4));
}

}  // namespace

TEST_CASE("IPv4 longest match is what a look at every prefix finds", "[net][range-map]") {
  CHECK(rc::check("ipv4", [] {
    Entries<Ipv4Prefix> entries;
    const int count = *rc::gen::inRange(0, 40);
    for (int i = 0; i < count; i++) {
      const auto length = *rc::gen::element<uint8_t>(0, 1, 8, 24, 25, 27, 28, 29, 30, 31, 32);
      const uint32_t mask = length == 0 ? 0 : ~uint32_t{0} << (32 - length);
      entries.push_back({{Ipv4Address(narrow_ipv4().value() & mask), length}, i});
    }
    const RangeMap<Ipv4Prefix, int> map(entries);
    RC_ASSERT(map.empty() == entries.empty());
    for (int i = 0; i < 64; i++) {
      const Ipv4Address a = narrow_ipv4();
      RC_ASSERT(same(map.find(a), naive<Ipv4Prefix>(entries, a)));
    }
    for (const auto& e : entries) {  // the borders and what lies next to them
      for (uint32_t n : {e.prefix.first(), e.prefix.last(), e.prefix.first() - 1, e.prefix.last() + 1})
        RC_ASSERT(same(map.find(Ipv4Address(n)), naive<Ipv4Prefix>(entries, Ipv4Address(n))));
    }
  }));
}

TEST_CASE("IPv6 longest match is what a look at every prefix finds", "[net][range-map]") {
  CHECK(rc::check("ipv6", [] {
    Entries<Ipv6Prefix> entries;
    const int count = *rc::gen::inRange(0, 30);
    for (int i = 0; i < count; i++) {
      const auto length = *rc::gen::element<uint8_t>(0, 1, 32, 61, 62, 63, 64, 65, 120, 126, 127, 128);
      entries.push_back({{narrow_ipv6().masked(length), length}, i});
    }
    const RangeMap<Ipv6Prefix, int> map(entries);
    for (int i = 0; i < 64; i++) {
      const Ipv6Address a = narrow_ipv6();
      RC_ASSERT(same(map.find(a), naive<Ipv6Prefix>(entries, a)));
    }
    for (const auto& e : entries)
      RC_ASSERT(same(map.find(e.prefix.address), naive<Ipv6Prefix>(entries, e.prefix.address)));
  }));
}

TEST_CASE("The whole address space as one prefix", "[net][range-map]") {
  const RangeMap<Ipv4Prefix, int> v4({{{Ipv4Address(0), 0}, 4}});
  CHECK(*v4.find(Ipv4Address(0)) == 4);
  CHECK(*v4.find(Ipv4Address(~0u)) == 4);
  const RangeMap<Ipv6Prefix, int> v6({{{Ipv6Address{}, 0}, 6}});
  CHECK(*v6.find(Ipv6Address::from_halves(~uint64_t{0}, ~uint64_t{0})) == 6);
  CHECK(RangeMap<Ipv4Prefix, int>().find(Ipv4Address(1)) == nullptr);
}
