// What the kernel says about neighbours, and what it cannot have said.
#include "control/netlink.h"

#include <linux/neighbour.h>
#include <rapidcheck.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>

#include "network_namespace.h"

using namespace culvert;
using namespace culvert::control;
using Catch::Matchers::Contains;

namespace {

template <typename T>
std::string bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string attribute(uint16_t type, const std::string& value) {
  rtattr a{};
  a.rta_type = type;
  a.rta_len = static_cast<uint16_t>(RTA_LENGTH(value.size()));
  std::string out = bytes(a) + value;
  out.resize(RTA_ALIGN(out.size()));
  return out;
}

std::string message(uint16_t type, uint8_t family, const std::string& attributes) {
  ndmsg body{};
  body.ndm_family = family;
  body.ndm_ifindex = 7;
  body.ndm_state = NUD_REACHABLE;
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_len = static_cast<uint32_t>(sizeof header + sizeof body + attributes.size());
  return bytes(header) + bytes(body) + attributes;
}

/// Parses a copy that has not a byte of room around it, for AddressSanitizer to see.
std::vector<Netlink::Neighbour> parse(const std::string& datagram) {
  const auto copy = std::make_unique<char[]>(datagram.size());
  std::memcpy(copy.get(), datagram.data(), datagram.size());
  std::vector<Netlink::Neighbour> heard;
  Netlink::parse({copy.get(), datagram.size()}, [&](const auto& n) { heard.push_back(n); });
  return heard;
}

const net::MacAddress kMac = *net::MacAddress::parse("02:00:00:00:00:05");
const auto kIpv4 = *net::Ipv4Address::parse("192.0.2.1");
const auto kIpv6 = *net::Ipv6Address::parse("fe80::5");

}  // namespace

TEST_CASE("neighbours of both families are read, several in a datagram", "[control][netlink]") {
  const std::string datagram =
      message(RTM_NEWNEIGH, AF_INET, attribute(NDA_DST, bytes(kIpv4)) + attribute(NDA_LLADDR, bytes(kMac))) +
      message(RTM_DELNEIGH, AF_INET6, attribute(NDA_LLADDR, bytes(kMac)) + attribute(NDA_DST, bytes(kIpv6)));
  const auto heard = parse(datagram);
  REQUIRE(heard.size() == 2);
  CHECK(heard[0].index == 7);
  CHECK(heard[0].address == IpAddress(kIpv4));
  CHECK(heard[0].mac == kMac);
  CHECK(heard[0].state == NUD_REACHABLE);
  CHECK_FALSE(heard[0].deleted);
  CHECK(heard[1].address == IpAddress(kIpv6));
  CHECK(heard[1].deleted);
}

TEST_CASE("messages that are cut, lie about lengths or are of another kind are left alone",
          "[control][netlink]") {
  const std::string good = message(RTM_NEWNEIGH, AF_INET, attribute(NDA_DST, bytes(kIpv4)));
  for (size_t n = 0; n < good.size(); ++n) CHECK(parse(good.substr(0, n)).empty());
  CHECK(parse(message(RTM_NEWLINK, AF_INET, attribute(NDA_DST, bytes(kIpv4)))).empty());
  CHECK(parse(message(RTM_NEWNEIGH, AF_INET6, attribute(NDA_DST, bytes(kIpv4)))).empty());
  CHECK(parse(message(RTM_NEWNEIGH, AF_INET, attribute(NDA_DST, "abc"))).empty());
  CHECK(parse(message(RTM_NEWNEIGH, AF_INET, "")).empty());
  std::string zero = good;
  std::memset(zero.data(), 0, 4);  // a length of 0 must not loop for ever
  CHECK(parse(zero + good).empty());
}

TEST_CASE("any bytes in a netlink datagram are safe", "[control][netlink]") {
  CHECK(rc::check("arbitrary", [](const std::string& datagram) { parse(datagram); }));
  CHECK(rc::check("a good message with one byte changed", [] {
    std::string datagram = message(RTM_NEWNEIGH, AF_INET6,
                                   attribute(NDA_DST, bytes(kIpv6)) + attribute(NDA_LLADDR, bytes(kMac)));
    datagram[*rc::gen::inRange<size_t>(0, datagram.size())] = *rc::gen::arbitrary<char>();
    parse(datagram + datagram);
  }));
}

TEST_CASE("the kernel's refusal is told with what was asked", "[control][netlink]") {
  test::NetworkNamespace own;
  if (!own) return;  // needs root
  Netlink netlink;
  CHECK_THROWS_WITH(netlink.add_address(4711, kIpv4, 24),
                    Contains("192.0.2.1/24") && Contains("No such device"));
  CHECK_THROWS_WITH(netlink.set_link(4711, 1500, kMac), Contains("02:00:00:00:00:05"));
  CHECK_NOTHROW(netlink.link_up(1));
  CHECK_NOTHROW(netlink.add_address(1, kIpv4, 32));
  CHECK_NOTHROW(netlink.add_address(1, kIpv4, 32));  // again is no mistake
}
