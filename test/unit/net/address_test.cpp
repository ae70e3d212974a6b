#include "net/address.h"

#include <catch2/catch.hpp>

using namespace culvert::net;

TEST_CASE("IPv4 prefixes refuse host bits", "[net]") {
  CHECK(Ipv4Prefix::parse("192.0.2.0/24"));
  CHECK_FALSE(Ipv4Prefix::parse("192.0.2.1/24"));
  CHECK_FALSE(Ipv4Prefix::parse("192.0.2.0/33"));
  CHECK_FALSE(Ipv4Prefix::parse("192.0.2.0"));
}

TEST_CASE("IPv6 masking keeps exactly the leading bits", "[net]") {
  auto a = *Ipv6Address::parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
  CHECK(a.masked(52).text() == "2001:db8:ffff:f000::");
  CHECK(a.masked(0).text() == "::");
  CHECK(a.masked(128) == a);
  CHECK(Ipv6Address::from_halves(a.high(), a.low()) == a);
}

TEST_CASE("MAC addresses parse six hex pairs only", "[net]") {
  CHECK(MacAddress::parse("02:00:00:00:00:01")->text() == "02:00:00:00:00:01");
  CHECK_FALSE(MacAddress::parse("02:00:00:00:00"));
  CHECK_FALSE(MacAddress::parse("02:00:00:00:00:0g"));
}
