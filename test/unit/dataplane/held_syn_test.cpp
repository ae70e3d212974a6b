// Held SYNs (RFC 5382 REQ-4): how many, of whom, for how long, and what the answer is.
#include "dataplane/held_syn.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "dataplane/icmp_message.h"
#include "fragment_bench.h"
#include "net/checksum.h"

using namespace culvert::dataplane;
namespace net = culvert::net;

namespace {

constexpr Millis kNow = 1'700'000'000'000;
constexpr uint32_t kWait = 6'000, kRate = 100'000;  // a rate that limits nothing

/// A SYN's bytes, with `options` bytes of IP options.
struct Syn {
  std::vector<uint8_t> bytes;

  Syn(uint32_t source, uint16_t source_port, uint16_t port = 5000, unsigned options = 0)
      : bytes(40 + options) {
    auto* ip = reinterpret_cast<net::Ipv4Header*>(bytes.data());
    ip->version_ihl = static_cast<uint8_t>(0x45 + options / 4);
    ip->total_length = net::Be16(static_cast<uint16_t>(bytes.size()));
    ip->ttl = 50;
    ip->protocol = net::kIpTcp;
    ip->source = net::Ipv4Address(source);
    ip->destination = net::Ipv4Address(0xcb007105);  // 203.0.113.5
    auto* tcp = reinterpret_cast<net::TcpHeader*>(bytes.data() + 20 + options);
    tcp->source = net::Be16(source_port);
    tcp->destination = net::Be16(port);
    bytes[20 + options + 7] = 0x99;  // sequence number
  }
  const net::Ipv4Header& ip() const { return *reinterpret_cast<const net::Ipv4Header*>(bytes.data()); }
};

bool hold(HeldSyns& held, const Syn& syn, Millis now = kNow, uint32_t wait = kWait, uint32_t rate = kRate) {
  return held.hold(syn.ip(), 1, wait, rate, now);
}

constexpr uint32_t kStranger = 0xc6336401;  // 198.51.100.1

}  // namespace

TEST_CASE("RFC 5382 REQ-4: a SYN waits for its time, and not a millisecond less", "[dataplane][held-syn]") {
  HeldSyns held{net::HashKey{}};
  CHECK(held.due(kNow) == nullptr);
  REQUIRE(hold(held, Syn(kStranger, 7000)));
  REQUIRE(hold(held, Syn(kStranger, 7001), kNow + 10));
  CHECK(held.due(kNow + kWait - 1) == nullptr);
  const HeldSyn* syn = held.due(kNow + kWait);
  REQUIRE(syn != nullptr);
  CHECK(syn->remote() == RemoteEndpoint{net::Ipv4Address(kStranger), net::Be16(7000)});
  CHECK(syn->external() == ExternalKey{net::Ipv4Address(0xcb007105), net::Be16(5000), Protocol::tcp});
  CHECK(syn->interface == 1);
  held.pop(true, kRate, kNow + kWait);
  CHECK(held.due(kNow + kWait) == nullptr);
  REQUIRE(held.due(kNow + kWait + 10) != nullptr);
  CHECK(held.due(kNow + kWait + 10)->remote().port.value() == 7001);
}

TEST_CASE("RFC 5382 REQ-4: where instances have different times no SYN waits shorter than its own",
          "[dataplane][held-syn]") {
  HeldSyns held{net::HashKey{}};
  REQUIRE(hold(held, Syn(kStranger, 1), kNow, 20'000));
  REQUIRE(hold(held, Syn(kStranger, 2), kNow, 6'000));
  REQUIRE(hold(held, Syn(kStranger, 3), kNow, 30'000));
  Millis now = kNow;
  for (const Millis wait : {20'000, 20'000, 30'000}) {
    while (held.due(now) == nullptr) now += 500;
    CHECK(now == kNow + wait);
    held.pop(false, kRate, now);
  }
  CHECK(held.size() == 0);
}

TEST_CASE("A SYN that is sent again is held once", "[dataplane][held-syn]") {
  HeldSyns held{net::HashKey{}};
  CHECK(hold(held, Syn(kStranger, 7000)));
  CHECK_FALSE(hold(held, Syn(kStranger, 7000), kNow + 1'000));
  CHECK(hold(held, Syn(kStranger, 7000, 5001), kNow + 1'000));  // another port of ours
  CHECK(hold(held, Syn(kStranger, 7001), kNow + 1'000));
  CHECK(held.size() == 3);
  held.pop(true, kRate, kNow + kWait);
  CHECK(hold(held, Syn(kStranger, 7000), kNow + 7'000));  // once more, after its answer
}

TEST_CASE("Of one source's SYNs only its share is held, others find room", "[dataplane][held-syn]") {
  HeldSyns held{net::HashKey{}};
  for (uint16_t port = 1; port <= 1000; port++) hold(held, Syn(kStranger, port));
  CHECK(held.size() == HeldSyns::kShare);
  CHECK(hold(held, Syn(kStranger + 1, 1)));
  // Each answer gives it one place back.
  for (unsigned i = 0; i < HeldSyns::kShare; i++) {
    held.pop(true, kRate, kNow + kWait);
    CHECK(hold(held, Syn(kStranger, static_cast<uint16_t>(2000 + i)), kNow + kWait));
    CHECK_FALSE(hold(held, Syn(kStranger, static_cast<uint16_t>(3000 + i)), kNow + kWait));
  }
}

TEST_CASE("The room for SYNs is bounded and used over and over", "[dataplane][held-syn]") {
  HeldSyns held{net::HashKey{}};
  unsigned kept = 0;
  for (uint32_t round = 0; round < 5; round++) {
    for (uint32_t i = 0; i < 2000; i++)
      kept += hold(held, Syn(kStranger + i, 1), kNow + round * kWait) ? 1 : 0;
    CHECK(held.size() == HeldSyns::kCapacity);
    for (unsigned i = 0; i < HeldSyns::kCapacity; i++) {
      REQUIRE(held.due(kNow + (round + 1) * kWait) != nullptr);
      held.pop(false, kRate, kNow + (round + 1) * kWait);
    }
    CHECK(held.size() == 0);
  }
  CHECK(kept == 5 * HeldSyns::kCapacity);
}

TEST_CASE("RFC 1812 section 4.3.2.8: SYNs are answered at a quarter of the rate, evenly",
          "[dataplane][held-syn]") {
  HeldSyns held{net::HashKey{}};
  constexpr uint32_t rate = 20;
  for (uint32_t i = 0; i < 2000; i++) hold(held, Syn(kStranger + i, 1), kNow, kWait, rate);
  CHECK(held.size() == rate / 4 * kWait / 1000);
  std::vector<Millis> answered;
  for (Millis now = kNow; held.size() != 0; now++) {
    if (held.due(now) == nullptr) continue;
    answered.push_back(now);
    held.pop(true, rate, now);
  }
  CHECK(answered.front() == kNow + kWait);
  for (size_t i = 1; i < answered.size(); i++) CHECK(answered[i] - answered[i - 1] == 200);
  CHECK_FALSE(hold(held, Syn(kStranger, 1), kNow, kWait, 0));  // no errors at all: none is held
}

TEST_CASE("RFC 5382 REQ-4, RFC 792: the answer is port unreachable with the SYN's first bytes",
          "[dataplane][held-syn]") {
  const BufferPool pool = culvert::test::test_buffers(2, 512);
  for (const unsigned options : {0u, 4u, 40u}) {
    INFO(options << " bytes of IP options");
    HeldSyns held{net::HashKey{}};
    const Syn syn(kStranger, 7000, 5000, options);
    REQUIRE(hold(held, syn));
    const HeldSyn& due = *held.due(kNow + kWait);
    rte_mbuf* m = rte_pktmbuf_alloc(pool.get());
    Packet out(m);
    write_icmp4_error(out, {net::Ipv4Address(0xc0000201), due.remote().address, net::kIcmpUnreachable, 3},
                      net::Be16(9), due.bytes.data(), due.size());
    const unsigned length = out.length;
    REQUIRE(length == 56 + options);
    const auto* ip = reinterpret_cast<const net::Ipv4Header*>(out.data);
    CHECK(ip->total_length.value() == length);
    CHECK(net::Sum().add_bytes(ip, 20).folded() == 0xffff);
    CHECK(ip->source == net::Ipv4Address(0xc0000201));
    CHECK(ip->destination == net::Ipv4Address(kStranger));
    CHECK(ip->protocol == net::kIpIcmp);
    const auto* icmp = reinterpret_cast<const net::IcmpHeader*>(out.data + 20);
    CHECK((icmp->type == 3 && icmp->code == 3 && icmp->word() == 0));
    CHECK(net::Sum().add_bytes(icmp, length - 20).folded() == 0xffff);
    CHECK(std::memcmp(out.data + 28, syn.bytes.data(), 28 + options) == 0);
    free_packet(m);
  }
}
