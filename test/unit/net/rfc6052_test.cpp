// IPv4 addresses in IPv6 prefixes: the table of RFC 6052 §2.4 and the way back.
#include "net/rfc6052.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

using namespace culvert::net;

TEST_CASE("RFC 6052 section 2.4: its table of examples", "[net][rfc6052]") {
  struct Row {
    const char* prefix;
    const char* address;
  };
  const Row rows[] = {
      {"2001:db8::/32", "2001:db8:c000:221::"},
      {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
      {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
      {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
      {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
      {"2001:db8:122:344::/96", "2001:db8:122:344::c000:221"},
      {"64:ff9b::/96", "64:ff9b::c000:221"},
  };
  const Ipv4Address v4 = *Ipv4Address::parse("192.0.2.33");
  for (const Row& r : rows) {
    INFO(r.prefix);
    const Ipv6Prefix prefix = *Ipv6Prefix::parse(r.prefix);
    CHECK(is_rfc6052_length(prefix.length));
    CHECK(embed(prefix.address, prefix.length, v4) == *Ipv6Address::parse(r.address));
    CHECK(extract(*Ipv6Address::parse(r.address), prefix.length) == v4);
  }
}

TEST_CASE("RFC 6052: extract is the inverse of embed for every length", "[net][rfc6052]") {
  CHECK(rc::check("inverse", [] {
    const auto length = *rc::gen::element<unsigned>(32, 40, 48, 56, 64, 96);
    const Ipv4Address v4(*rc::gen::arbitrary<uint32_t>());
    Ipv6Address prefix =
        Ipv6Address::from_halves(*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>());
    prefix = prefix.masked(length);
    prefix.bytes[8] = 0;  // bits 64-71 must be zero in a /96 too (RFC 6052 §2.2)
    Ipv6Address a = embed(prefix, length, v4);
    RC_ASSERT(extract(a, length) == v4);
    RC_ASSERT(a.masked(length) == prefix);
    RC_ASSERT(a.bytes[8] == 0);
    if (length < 96) {  // the suffix is ignored
      RC_ASSERT(a.bytes[15] == 0);
      a.bytes[15] = *rc::gen::arbitrary<uint8_t>();
      RC_ASSERT(extract(a, length) == v4);
    }
  }));
}

TEST_CASE("RFC 6052 section 2.2: other lengths are none", "[net][rfc6052]") {
  unsigned known = 0;
  for (unsigned length = 0; length <= 128; length++) known += is_rfc6052_length(length);
  CHECK(known == 6);
}
