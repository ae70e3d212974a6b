/// The frames of benchmarks and generators are right packets.
#include "frames.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "net/checksum.h"
#include "net/headers.h"

using namespace culvert;
using namespace culvert::bench;

namespace {

/// The IPv4 header of a frame, whose checksum must be right.
net::Ipv4Header ipv4_at(const uint8_t* frame, size_t offset) {
  net::Ipv4Header ip{};
  std::memcpy(&ip, frame + offset, sizeof ip);
  CHECK(ip.version_ihl == 0x45);
  CHECK(net::Sum().add_bytes(&ip, sizeof ip).folded() == 0xffff);
  return ip;
}

}  // namespace

TEST_CASE("frames: DF is cleared where there is an IPv4 header, and nothing else but its checksum moves",
          "[bench]") {
  const auto carriage = GENERATE(Carriage::nat44, Carriage::ds_lite, Carriage::nat64);
  const auto protocol = GENERATE(Protocol::udp, Protocol::tcp);
  const auto size = GENERATE(46u, 1500u);
  const auto subscriber = GENERATE(0u, 0x12345u, kMaxSubscribers - 1);
  INFO(name_of(carriage) << ", subscriber " << subscriber);
  const FrameMaker whole(carriage, protocol, size, {}, {});
  FrameMaker cuttable = whole;
  cuttable.clear_dont_fragment();
  const auto compare = [](const uint8_t* a, const uint8_t* b, size_t ip) {
    net::Ipv4Header before = ipv4_at(a, ip), after = ipv4_at(b, ip);
    CHECK(before.fragment.value() == net::Ipv4Header::kDontFragment);
    CHECK(after.fragment.value() == 0);
    after.fragment = before.fragment;
    after.checksum = before.checksum;
    CHECK(std::memcmp(&before, &after, sizeof before) == 0);
    CHECK(std::memcmp(a, b, ip) == 0);
    CHECK(std::memcmp(a + ip + 20, b + ip + 20, 128 - ip - 20) == 0);
  };
  uint8_t a[kMaxFrame] = {}, b[kMaxFrame] = {};
  CHECK(whole.outbound(a, subscriber, 4000) == cuttable.outbound(b, subscriber, 4000));
  constexpr size_t kIp = sizeof(net::EthernetHeader);
  if (carriage == Carriage::nat64)
    CHECK(std::memcmp(a, b, 128) == 0);
  else
    compare(a, b, carriage == Carriage::ds_lite ? kIp + sizeof(net::Ipv6Header) : kIp);
  const net::Ipv4Address external(0xcb007100 + subscriber % 256);
  CHECK(whole.inbound(a, external, 2000) == cuttable.inbound(b, external, 2000));
  compare(a, b, kIp);
}
