// The exception path against a real kernel: a tap in a namespace of the test's own, where the test plays the
// worker and the neighbour on the wire.
#include "control/exception_path.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "control/event_loop.h"
#include "control/neighbours.h"
#include "dataplane/eal.h"
#include "net/checksum.h"
#include "network_namespace.h"

using namespace culvert;
using namespace culvert::control;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const auto kOurs = *net::MacAddress::parse("02:00:00:00:00:01");
const auto kTheirs = *net::MacAddress::parse("02:00:00:00:00:05");
const auto kOurIpv4 = *net::Ipv4Address::parse("192.0.2.2");
const auto kHopIpv4 = *net::Ipv4Address::parse("192.0.2.1");
const auto kOurIpv6 = *net::Ipv6Address::parse("2001:db8:1::2");
const auto kHopIpv6 = *net::Ipv6Address::parse("fe80::5");  // link-local next hops are as good as any

config::Interface interface(const std::string& name) {
  config::Interface i;
  i.name = name;
  i.mtu = 1600;
  i.ipv4_addresses = {{kOurIpv4, 24}};
  i.ipv6_addresses = {{kOurIpv6, 64}};
  i.next_hop_ipv4 = kHopIpv4;
  i.next_hop_ipv6 = kHopIpv6;
  return i;
}

/// The taps of an engine without one.
struct Box {
  explicit Box(const std::vector<config::Interface>& interfaces)
      : path(loop, fabric, interfaces, std::vector<net::MacAddress>(interfaces.size(), kOurs),
             [this](const std::string& text) { told.push_back(text); }) {}

  void to_kernel(const std::string& frame) {
    rte_mbuf* m = rte_pktmbuf_alloc(fabric.buffers);
    REQUIRE(m != nullptr);
    dataplane::unfence(m);
    std::memcpy(rte_pktmbuf_append(m, static_cast<uint16_t>(frame.size())), frame.data(), frame.size());
    dataplane::Mark{}.put(m);
    REQUIRE(rte_ring_enqueue(fabric.to_kernel, m) == 0);
  }
  /// The first frame from the kernel that `wanted` takes; nothing after two seconds.
  std::string from_kernel(const std::function<bool(const std::string&)>& wanted) {
    const auto until = std::chrono::steady_clock::now() + 2s;
    while (std::chrono::steady_clock::now() < until) {
      loop.run_once(10ms);
      void* p;
      while (rte_ring_dequeue(fabric.to_worker[0], &p) == 0) {
        auto* m = static_cast<rte_mbuf*>(p);
        const std::string frame(rte_pktmbuf_mtod(m, char*), m->data_len);
        CHECK(dataplane::Mark::of(m).form == dataplane::Form::frame);
        dataplane::free_packet(m);
        if (wanted(frame)) return frame;
      }
    }
    return "";
  }

  /// Whether a condition comes true within two seconds.
  bool soon(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + 2s;
    while (!condition() && std::chrono::steady_clock::now() < until) loop.run_once(10ms);
    return condition();
  }

  dataplane::BufferPool buffers = dataplane::make_buffers("exception", 1023, 1600);
  EventLoop loop;
  dataplane::Fabric fabric{1, 256, buffers.get()};
  std::vector<std::string> told;
  ExceptionPath path;
};

std::string word(uint16_t n) { return {static_cast<char>(n >> 8), static_cast<char>(n & 255)}; }
template <typename T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string arp(uint16_t operation, net::Ipv4Address from, net::Ipv4Address to) {
  const auto target = operation == 1 ? net::MacAddress{{255, 255, 255, 255, 255, 255}} : kOurs;
  return raw(target) + raw(kTheirs) + word(0x0806) + word(1) + word(0x0800) + "\x06\x04" + word(operation) +
         raw(kTheirs) + raw(from) + raw(operation == 1 ? net::MacAddress{} : kOurs) + raw(to);
}

/// A solicited neighbour advertisement (RFC 4861 §4.4) of kTheirs for `target`.
std::string advertisement(const net::Ipv6Address& target, const net::Ipv6Address& to) {
  std::string icmp =
      std::string("\x88\x00\x00\x00\x60\x00\x00\x00", 8) + raw(target) + "\x02\x01" + raw(kTheirs);
  const std::string pseudo = raw(target) + raw(to) + std::string("\0\0", 2) +
                             word(static_cast<uint16_t>(icmp.size())) + std::string("\0\0\0\x3a", 4);
  uint32_t sum = 0;
  const std::string covered = pseudo + icmp;
  for (size_t i = 0; i < covered.size(); i += 2) {
    sum +=
        static_cast<uint32_t>(static_cast<uint8_t>(covered[i]) << 8 | static_cast<uint8_t>(covered[i + 1]));
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  icmp.replace(2, 2, word(static_cast<uint16_t>(~sum)));
  return raw(kOurs) + raw(kTheirs) + word(0x86dd) + std::string("\x60\0\0\0", 4) +
         word(static_cast<uint16_t>(icmp.size())) + "\x3a\xff" + raw(target) + raw(to) + icmp;
}

bool is_arp(const std::string& frame, uint16_t operation) {
  return frame.size() >= 42 && frame.substr(12, 2) == word(0x0806) && frame.substr(20, 2) == word(operation);
}

bool asks_for(const std::string& frame, net::Ipv4Address target) {
  return is_arp(frame, 1) && frame.substr(38, 4) == raw(target);
}

/// Whether none of our routing rules are there.
bool no_rules() { return std::system("test -z \"$(ip rule | grep 301; ip -6 rule | grep 301)\"") == 0; }

}  // namespace

TEST_CASE("a tap has the interface's name, MAC, MTU and addresses, and answers for them",
          "[control][exception]") {
  test::NetworkNamespace own;
  if (!own) return;  // needs root
  dataplane::init_eal_for_replay();
  Box box({interface("inside")});
  CHECK(box.told.empty());
  REQUIRE(if_nametoindex("inside") != 0);
  CHECK(box.path.kernel_indices() == std::vector{static_cast<int>(if_nametoindex("inside"))});
  ifreq request{};
  std::strcpy(request.ifr_name, "inside");
  const int s = socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(ioctl(s, SIOCGIFMTU, &request) == 0);
  CHECK(request.ifr_mtu == 1600);
  REQUIRE(ioctl(s, SIOCGIFHWADDR, &request) == 0);
  CHECK(std::memcmp(request.ifr_hwaddr.sa_data, &kOurs, 6) == 0);
  close(s);

  box.to_kernel(arp(1, kHopIpv4, kOurIpv4));
  const std::string reply = box.from_kernel([](const auto& f) { return is_arp(f, 2); });
  REQUIRE(reply.size() >= 42);
  CHECK(reply.substr(0, 6) == raw(kTheirs));
  CHECK(reply.substr(22, 6) == raw(kOurs));
  CHECK(reply.substr(28, 4) == raw(kOurIpv4));
  CHECK(box.path.counters().to_kernel == 1);
  CHECK(box.path.counters().from_kernel >= 1);
}

TEST_CASE("RFC 5227 2.3, RFC 4861 7.2.6: neighbours are told an interface's MAC address without having asked",
          "[control][exception]") {
  test::NetworkNamespace own;
  if (!own) return;  // needs root
  dataplane::init_eal_for_replay();
  Box box({interface("inside")});
  box.path.announce(0);
  const std::string told = box.from_kernel([](const auto& f) { return asks_for(f, kOurIpv4); });
  REQUIRE(told.size() >= 42);
  CHECK(told.substr(0, 6) == std::string(6, '\xff'));
  CHECK(told.substr(22, 6) == raw(kOurs));
  CHECK(told.substr(28, 4) == raw(kOurIpv4));
  CHECK(!box.from_kernel([](const auto& f) {
              return f.size() >= 86 && f.substr(12, 2) == word(0x86dd) && f[54] == '\x88' &&
                     f.substr(62, 16) == raw(kOurIpv6) && f.substr(80, 6) == raw(kOurs);
            })
             .empty());
}

TEST_CASE("next hops are resolved by the kernel, kept while it believes in them, and lost when they fail",
          "[control][exception]") {
  test::NetworkNamespace own;
  if (!own) return;  // needs root
  dataplane::init_eal_for_replay();
  const std::vector interfaces{interface("inside")};
  Box box(interfaces);
  dataplane::NextHopCell cells[2];
  std::vector<std::string> said;
  Neighbours neighbours(
      box.loop, [&](unsigned, bool ipv6) -> dataplane::NextHopCell& { return cells[ipv6 ? 1 : 0]; },
      [&](const std::string& text, bool) { said.push_back(text); });
  neighbours.follow(interfaces, box.path.kernel_indices());
  CHECK(cells[0].mac == 0);

  // IPv4, by ARP
  REQUIRE(!box.from_kernel([](const auto& f) { return asks_for(f, kHopIpv4); }).empty());
  box.to_kernel(arp(2, kHopIpv4, kOurIpv4));
  box.soon([&] { return cells[0].mac != 0; });
  dataplane::NextHopCell expected;
  expected.set(kTheirs);
  CHECK(cells[0].mac == expected.mac);
  REQUIRE(said.size() == 1);
  CHECK_THAT(said[0], Contains("192.0.2.1 is at 02:00:00:00:00:05"));

  // IPv6, by neighbour discovery to a link-local address
  const std::string solicited = box.from_kernel([](const auto& f) {
    return f.size() >= 78 && f.substr(12, 2) == word(0x86dd) && f[54] == '\x87' &&
           f.substr(62, 16) == raw(kHopIpv6);
  });
  REQUIRE(!solicited.empty());
  net::Ipv6Address asker;
  std::memcpy(&asker, solicited.data() + 22, 16);
  box.to_kernel(advertisement(kHopIpv6, asker));
  box.soon([&] { return cells[1].mac != 0; });
  CHECK(cells[1].mac == expected.mac);
  CHECK(neighbours.all_resolved());
  for (const NextHopState& n : neighbours.next_hops()) CHECK(n.state() == "reachable");

  // The kernel gives up on one: a deletion by hand goes through FAILED.
  REQUIRE(std::system("ip neigh del 192.0.2.1 dev inside") == 0);
  box.soon([&] { return cells[0].mac == 0; });
  CHECK(cells[0].mac == 0);
  CHECK(cells[1].mac != 0);
  CHECK_THAT(said.back(), Contains("192.0.2.1 does not answer any more"));
  // And is asked again.
  CHECK(!box.from_kernel([](const auto& f) { return asks_for(f, kHopIpv4); }).empty());
}

TEST_CASE("a tap whose name is taken is refused, and nothing stays behind", "[control][exception]") {
  test::NetworkNamespace own;
  if (!own) return;  // needs root
  dataplane::init_eal_for_replay();
  REQUIRE(std::system("ip tuntap add outside mode tap") == 0);
  config::Interface second = interface("outside");
  second.ipv4_addresses = {{*net::Ipv4Address::parse("198.51.100.1"), 30}};
  CHECK_THROWS_WITH(Box({interface("inside"), second}), Contains("outside") && Contains("already"));
  CHECK(if_nametoindex("inside") == 0);
  CHECK(no_rules());
}

TEST_CASE("what the kernel says from our addresses leaves by their next hop", "[control][exception]") {
  test::NetworkNamespace own;
  if (!own) return;  // needs root
  dataplane::init_eal_for_replay();
  // The host has a default route of its own.
  REQUIRE(
      std::system("ip tuntap add mgmt mode tap && ip link set mgmt up && ip addr add 10.0.0.2/24 dev mgmt && "
                  "ip route add default via 10.0.0.1") == 0);
  {
    Box box({interface("inside")});
    CHECK(std::system("ip route get 9.9.9.9 from 192.0.2.2 | grep -q 'via 192.0.2.1 dev inside'") == 0);
    CHECK(std::system(
              "ip route get 192.0.2.7 from 192.0.2.2 | grep -q '192.0.2.7 from 192.0.2.2 dev inside'") == 0);
    CHECK(std::system(
              "ip -6 route get 2001:db8:9::9 from 2001:db8:1::2 | grep -q 'via fe80::5 dev inside'") == 0);
    CHECK(std::system("ip route get 9.9.9.9 | grep -q 'via 10.0.0.1 dev mgmt'") == 0);  // all else as before
  }
  CHECK(no_rules());
}
