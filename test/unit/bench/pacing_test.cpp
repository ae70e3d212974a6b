/// The generator's pacing, its search for a rate, and its histogram of latencies.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "histogram.h"
#include "rate_search.h"
#include "token_bucket.h"

using namespace culvert::bench;

TEST_CASE("token bucket: sends at its rate when it is asked often enough", "[bench]") {
  TokenBucket bucket(1e6, 1e9, 64, 0);  // a packet each 1,000 ticks
  uint64_t sent = 0;
  for (uint64_t now = 0; now <= 100'000'000; now += 7'001) sent += bucket.take(now, 32);
  CHECK(sent >= 99'990);
  CHECK(sent <= 100'000);
  CHECK(bucket.missed() == 0);
}

TEST_CASE("token bucket: what it cannot hold is missed, not sent in one burst", "[bench]") {
  TokenBucket bucket(1e6, 1e9, 64, 0);
  CHECK(bucket.take(1'000'000, 1000) == 64);
  CHECK(bucket.missed() == 936);
  CHECK(bucket.take(1'000'000, 1000) == 0);
  CHECK(bucket.take(1'010'000, 1000) == 10);
}

TEST_CASE("rate search (RFC 2544 section 26.1): ends close below the rate where loss begins", "[bench]") {
  CHECK(rc::check([] {
    const double limit = *rc::gen::inRange(1'000, 50'000'000), first = *rc::gen::inRange(1, 10'000'000);
    const double most = 1e9, resolution = 0.05;
    RateSearch search(first, most, resolution);
    unsigned trials = 0;
    while (const auto rate = search.next()) {
      search.tell(*rate <= limit);
      RC_ASSERT(++trials < 60);
    }
    RC_ASSERT(search.best() <= limit);
    RC_ASSERT(search.best() >= limit * (1 - resolution) - 1);
    RC_ASSERT(!search.reached_most());
  }));
}

TEST_CASE("rate search: knows its ends", "[bench]") {
  RateSearch all(1'000, 5'000, 0.01);
  while (all.next()) all.tell(true);
  CHECK(all.best() == 5'000);
  CHECK(all.reached_most());

  RateSearch none(1'000, 5'000, 0.01);
  while (none.next()) none.tell(false);
  CHECK(none.best() == 0);
  CHECK_FALSE(none.reached_most());
}

TEST_CASE("histogram: quantiles are right within a thirty-second", "[bench]") {
  CHECK(rc::check([] {
    auto values = *rc::gen::nonEmpty<std::vector<uint32_t>>();
    Histogram h;
    for (const uint32_t v : values) h.add(v);
    std::ranges::sort(values);
    RC_ASSERT(h.count() == values.size());
    RC_ASSERT(h.min() == values.front());
    RC_ASSERT(h.max() == values.back());
    for (const double part : {0.01, 0.5, 0.99, 1.0}) {
      const auto rank =
          static_cast<size_t>(std::max(1.0, std::ceil(part * static_cast<double>(values.size()))));
      const double exact = values[rank - 1], found = h.quantile(part);
      RC_ASSERT(found >= exact);
      RC_ASSERT(found <= exact * (1 + 1.0 / 32) + 1);
    }
  }));
}
