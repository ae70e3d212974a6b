// Identifications (RFC 7857 section 10, RFC 6864 section 5.3.1): when the same comes again.
#include "dataplane/identifications.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <utility>

using namespace culvert::dataplane;
namespace net = culvert::net;

TEST_CASE("RFC 6864 5.3.1: two endpoints see a number again only after all others, whatever goes elsewhere",
          "[dataplane][identifications]") {
  net::Random random(7);
  Identifications ids(0, 1, random);
  const net::Ipv4Address us(0xcb007105), they(0xc6336401);
  std::set<uint16_t> seen;
  for (unsigned i = 0; i < 65'536; i++) {
    if (i % 8 == 0) ids.next(us, net::Ipv4Address(i));
    const uint16_t id = ids.next(us, they).value();
    if (!seen.insert(id).second) {
      // Those who share the counter took some of its numbers.
      CHECK(i >= 65'536 - 65'536 / 8);
      return;
    }
  }
  CHECK(seen.size() == 65'536);
}

TEST_CASE("RFC 6864 5.3.1: workers behind one address never give the same number",
          "[dataplane][identifications]") {
  CHECK(rc::check("no two workers, no repetition", [] {
    const auto workers = *rc::gen::inRange(1u, 65u);
    const auto sends = *rc::gen::inRange(1u, 400u);
    net::Random random(*rc::gen::arbitrary<uint64_t>());
    std::map<std::pair<uint32_t, uint32_t>, std::set<uint16_t>> seen;
    for (unsigned self = 0; self < workers; self++) {
      Identifications ids(self, workers, random);
      for (unsigned i = 0; i < sends; i++) {
        const uint32_t source = 0xcb007100 + i % 3, destination = 0xc6336400 + i % 2;
        const uint16_t id = ids.next(net::Ipv4Address(source), net::Ipv4Address(destination)).value();
        RC_ASSERT((seen[{source, destination}].insert(id).second));
      }
    }
  }));
}
