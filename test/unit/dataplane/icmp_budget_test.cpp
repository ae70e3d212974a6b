// Who may be told how much: the purses of ICMP errors (RFC 1812 section 4.3.2.8).
#include "dataplane/icmp_budget.h"

#include <catch2/catch.hpp>

using namespace culvert::dataplane;
using Purse = IcmpBudget::Purse;

namespace {

constexpr Millis kNow = 1'700'000'000'000;
constexpr uint32_t kRate = 100;

/// How many of `tries` errors to a source may go out in one moment.
unsigned paid(IcmpBudget& budget, Purse purse, uint64_t source, unsigned tries, Millis now = kNow) {
  unsigned n = 0;
  for (unsigned i = 0; i < tries; i++) n += budget.take(purse, source, kRate, now) ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("RFC 1812 4.3.2.8: a source has a quarter of a second's errors, all together have all",
          "[dataplane][icmp-budget]") {
  IcmpBudget budget;
  CHECK(paid(budget, Purse::outside, 1, 200) == 25);
  unsigned all = 25;
  for (uint64_t source = 2; source < 20; source++) all += paid(budget, Purse::outside, source, 25);
  CHECK(all == kRate);
  CHECK(paid(budget, Purse::outside, 1, 200, kNow + 1000) == 25);
}

TEST_CASE("RFC 1812 4.3.2.8: no purse is paid from another, not even for sources of the same bucket",
          "[dataplane][icmp-budget]") {
  IcmpBudget budget;
  // What nobody asked for: a quarter, and never the bucket from which Fragmentation Needed is paid.
  for (unsigned second = 0; second < 5; second++)
    for (unsigned ms = 0; ms < 1000; ms += 10) paid(budget, Purse::refused, 7, 5, kNow + second * 1000 + ms);
  CHECK(paid(budget, Purse::outside, 7, 200, kNow + 5000) == 25);
  CHECK(paid(budget, Purse::inside, 7, 200, kNow + 5000) == 25);
  IcmpBudget fresh;
  unsigned refused = 0;
  for (uint64_t source = 0; source < 20; source++) refused += paid(fresh, Purse::refused, source, 25);
  CHECK(refused == kRate / 4);
}
