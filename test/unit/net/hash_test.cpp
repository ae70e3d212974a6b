// The keyed hash: keys that differ little, as subscribers' do, spread like random ones.
#include "net/hash.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <set>
#include <vector>

using namespace culvert::net;

namespace {

/// Chi-squared of `count` keys over `bins`, in standard deviations above what chance gives (below: more
/// even).
double excess(unsigned count, unsigned bins, const std::function<uint64_t(uint64_t)>& bin_of) {
  std::vector<unsigned> hits(bins);
  for (uint64_t i = 0; i < count; i++) hits[bin_of(i)]++;
  const double expected = static_cast<double>(count) / bins;
  double chi = 0;
  for (unsigned h : hits) chi += (h - expected) * (h - expected) / expected;
  return (chi - (bins - 1)) / std::sqrt(2.0 * (bins - 1));
}

}  // namespace

TEST_CASE("Sequential keys fall evenly into buckets and tags", "[net][hash]") {
  const HashKey key;
  constexpr unsigned kKeys = 200'000, kBins = 1021;
  // One bit or byte moves: ports, /64s, /56s, interface identifiers, addresses in the upper half.
  for (unsigned shift : {0u, 8u, 16u, 32u, 44u}) {
    INFO("shift " << shift);
    auto one = [&](uint64_t i) { return hash(key, i << shift); };
    auto two = [&](uint64_t i) { return hash(key, 0x20010db800000000 + (i << shift), 1); };
    auto other = [&](uint64_t i) { return hash(key, 0x20010db800000000, i << shift); };
    auto three = [&](uint64_t i) { return hash(key, 0x20010db800000000, 1, i << shift); };
    for (const std::function<uint64_t(uint64_t)>& h :
         {std::function<uint64_t(uint64_t)>(one), std::function<uint64_t(uint64_t)>(two),
          std::function<uint64_t(uint64_t)>(other), std::function<uint64_t(uint64_t)>(three)}) {
      CHECK(excess(kKeys, kBins, [&](uint64_t i) { return pick(h(i), kBins); }) < 6);
      CHECK(excess(kKeys, 1024, [&](uint64_t i) { return h(i) & 1023; }) < 6);
    }
  }
}

TEST_CASE("Other secrets give other hashes", "[net][hash]") {
  HashKey a, b;
  for (unsigned w = 0; w < 4; w++) {
    b = a;
    b.word[w] ^= 0x10;  // the lowest bit is forced for multipliers
    unsigned equal = 0;
    for (uint64_t i = 0; i < 1000; i++) equal += pick(hash(a, i, 7, 9), 4096) == pick(hash(b, i, 7, 9), 4096);
    INFO("word " << w);
    CHECK(equal < 8);
  }
}

TEST_CASE("No two of 300,000 sequential keys have the same 64-bit hash", "[net][hash]") {
  const HashKey key;
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < 300'000; i++) seen.insert(hash(key, i, i << 40, i ^ 0xff));
  CHECK(seen.size() == 300'000);
}

TEST_CASE("pick() stays below its bound and reaches both ends", "[net][hash]") {
  CHECK(pick(0, 10) == 0);
  CHECK(pick(~uint64_t{0}, 10) == 9);
  CHECK(pick(~uint64_t{0}, 1) == 0);
}

TEST_CASE("Random::below is even and repeats with its seed", "[net][hash]") {
  Random r(7), again(7), other(8);
  CHECK(r.next() == again.next());
  CHECK(r.next() != other.next());
  CHECK(excess(100'000, 97, [&](uint64_t) { return r.below(97); }) < 6);
}
