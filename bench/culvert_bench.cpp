/// How fast one worker is, with packets from memory: Worker::receive() as the appliance calls it, and nothing
/// else.
///
/// Packets are written into mbufs anew before every burst, in the baseline as well as in every scenario, so
/// the ratio to the baseline tells what the NAT costs. All scenarios are measured in turn, several rounds,
/// and the best round counts: what the machine can do when nobody disturbs it.

#include <fmt/format.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "control/engine.h"
#include "dataplane/eal.h"
#include "dataplane/packet.h"
#include "net/checksum.h"
#include "net/rfc6052.h"

namespace {

using namespace culvert;
using dataplane::kBurst;

constexpr unsigned kPackets = 2048;  ///< mbufs in turn: more than fits L1, as with a NIC's ring
constexpr uint32_t kPortsEach = 10;  ///< mappings of a subscriber
constexpr dataplane::Millis kNow = 1'700'000'000'000;

net::MacAddress mac(uint8_t last) { return {{2, 0, 0, 0, 0, last}}; }

config::Config configuration(uint32_t mappings) {
  config::Config c;
  c.capacity.mappings = 3 * mappings + 1000;
  c.capacity.subscribers = 3 * (mappings / kPortsEach) + 1000;
  c.capacity.sessions = 1000;
  c.interfaces.resize(2);
  c.interfaces[0] = {.name = "inside", .device = "", .role = config::Role::inside, .mtu = 1600};
  c.interfaces[1] = {.name = "outside", .device = "", .role = config::Role::outside};
  for (auto& i : c.interfaces) {
    i.next_hop_ipv4 = mac(9);
    i.next_hop_ipv6 = mac(9);
  }
  const auto prefix = [](const char* text) { return *net::Ipv4Prefix::parse(text); };
  const auto prefix6 = [](const char* text) { return *net::Ipv6Prefix::parse(text); };
  c.instances.resize(3);
  for (auto& i : c.instances) i.timers.udp = config::seconds(86400);
  config::Instance &nat44 = c.instances[0], &ds_lite = c.instances[1], &nat64 = c.instances[2];
  nat44.name = "nat44";
  nat44.subscribers_ipv4 = {{prefix("10.0.0.0/8"), 32}};
  nat44.pools = {prefix("20.0.0.0/18")};
  ds_lite.name = "ds-lite";
  ds_lite.carriage = config::Carriage::ds_lite;
  ds_lite.aftr_addresses = {*net::Ipv6Address::parse("2001:db8:a::1")};
  ds_lite.subscribers_ipv6 = {{prefix6("2001:db8:8000::/33"), 64}};
  ds_lite.pools = {prefix("20.1.0.0/18")};
  nat64.name = "nat64";
  nat64.carriage = config::Carriage::nat64;
  nat64.nat64_prefixes = {net::kWellKnownPrefix};
  nat64.subscribers_ipv6 = {{prefix6("2001:db8::/33"), 64}};
  nat64.pools = {prefix("20.2.0.0/18")};
  return c;
}

/// A frame of up to 128 bytes.
struct Frame {
  alignas(64) uint8_t bytes[128] = {};
  unsigned size = 0;
};

void ethernet(Frame& f, uint16_t type) {
  const net::Be16 t(type);
  std::memcpy(f.bytes + 12, &t, 2);
  f.size = 14;
}

/// Appends an IPv4 UDP packet with a payload of six bytes: 64 bytes with Ethernet, the smallest frame there
/// is.
void ipv4_udp(Frame& f, net::Ipv4Address from, uint16_t sport, net::Ipv4Address to, uint16_t dport) {
  auto* ip = reinterpret_cast<net::Ipv4Header*>(f.bytes + f.size);
  ip->version_ihl = 0x45;
  ip->total_length = net::Be16(34);
  ip->ttl = 64;
  ip->protocol = net::kIpUdp;
  ip->source = from;
  ip->destination = to;
  ip->checksum = net::Be16();
  ip->checksum = net::Sum().add_bytes(ip, sizeof *ip).checksum();
  auto* udp = reinterpret_cast<net::UdpHeader*>(ip + 1);
  *udp = {net::Be16(sport), net::Be16(dport), net::Be16(14), net::Be16(1)};
  f.size += 34;
}

void ipv6(Frame& f, const net::Ipv6Address& from, const net::Ipv6Address& to, uint8_t next,
          uint16_t payload) {
  auto* ip = reinterpret_cast<net::Ipv6Header*>(f.bytes + f.size);
  ip->version_class_label = net::Be32(6u << 28);
  ip->payload_length = net::Be16(payload);
  ip->next_header = next;
  ip->hop_limit = 64;
  ip->source = from;
  ip->destination = to;
  f.size += sizeof *ip;
}

constexpr net::Ipv4Address kServer(0x08080808);

/// What mapping `i` of a carriage sends.
Frame outbound(config::Carriage carriage, uint32_t i) {
  const uint32_t subscriber = i / kPortsEach;
  const auto port = static_cast<uint16_t>(20000 + i % kPortsEach);
  Frame f;
  const auto home = [&](uint64_t high) { return net::Ipv6Address::from_halves(high + subscriber, 2); };
  switch (carriage) {
    case config::Carriage::nat44:
      ethernet(f, net::kEtherIpv4);
      ipv4_udp(f, net::Ipv4Address(0x0a000000 + subscriber), port, kServer, 53);
      break;
    case config::Carriage::ds_lite:
      ethernet(f, net::kEtherIpv6);
      ipv6(f, home(0x20010db880000000), *net::Ipv6Address::parse("2001:db8:a::1"), net::kIpIpv4, 34);
      ipv4_udp(f, net::Ipv4Address(0xc0a80102), port, kServer, 53);
      break;
    case config::Carriage::nat64: {
      ethernet(f, net::kEtherIpv6);
      ipv6(f, home(0x20010db800000000), net::embed(net::kWellKnownPrefix.address, 96, kServer), net::kIpUdp,
           14);
      auto* udp = reinterpret_cast<net::UdpHeader*>(f.bytes + f.size);
      *udp = {net::Be16(port), net::Be16(53), net::Be16(14), net::Be16(1)};
      f.size += 14;
    }
  }
  f.size = std::max(f.size, 60u);
  return f;
}

Frame inbound(const dataplane::Mapping& m) {
  Frame f;
  ethernet(f, net::kEtherIpv4);
  ipv4_udp(f, kServer, 53, m.external_address, m.external_port.value());
  f.size = std::max(f.size, 60u);
  return f;
}

class Bench {
 public:
  explicit Bench(uint32_t mappings) : buffers_(dataplane::make_buffers("bench", 2 * kPackets, 1600)) {
    control::Engine::Options options;
    options.seed = 1;
    options.buffers = buffers_.get();
    options.ring_files = false;
    options.event_ring_size = 1 << 22;
    const auto config = configuration(mappings);
    engine_ = std::make_unique<control::Engine>(
        config, std::vector<control::InterfaceFacts>{{0, mac(1), true}, {1, mac(2), true}}, options, kNow);
    mbufs_.resize(kPackets);
    for (rte_mbuf*& m : mbufs_) m = rte_pktmbuf_alloc(buffers_.get());
  }
  ~Bench() {
    for (rte_mbuf* m : mbufs_) rte_pktmbuf_free(m);
  }

  dataplane::Worker& worker() { return engine_->worker(0); }

  /// Runs bursts of frames chosen by `next` until `count` packets went through `consume`; returns packets a
  /// second.
  double run(uint64_t count, const std::function<const Frame&()>& next,
             const std::function<void(rte_mbuf**, unsigned)>& consume) {
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t done = 0; done < count; done += kBurst) {
      rte_mbuf** burst = &mbufs_[done % kPackets];
      for (unsigned i = 0; i < kBurst; i++) {
        const Frame& f = next();
        rte_mbuf* m = burst[i];
        m->data_off = RTE_PKTMBUF_HEADROOM;
        m->data_len = static_cast<uint16_t>(f.size);
        m->pkt_len = f.size;
        std::memcpy(dataplane::bytes_of(m), f.bytes, sizeof f.bytes);
      }
      consume(burst, kBurst);
    }
    return static_cast<double>(count) /
           std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  /// The worker as consumer. What it sends or drops must stay ours: an extra reference keeps it from the
  /// pool.
  void through(uint16_t port, rte_mbuf** burst, unsigned count) {
    for (unsigned i = 0; i < count; i++) rte_mbuf_refcnt_set(burst[i], 2);
    worker().receive(port, burst, count, kNow);
    for (uint8_t i = 0; i < 2; i++) worker().outbox().frames(i).clear();
    for (unsigned i = 0; i < count; i++) rte_mbuf_refcnt_set(burst[i], 1);
  }

 private:
  dataplane::BufferPool buffers_;
  std::unique_ptr<control::Engine> engine_;
  std::vector<rte_mbuf*> mbufs_;
};

void measure(uint32_t mappings, bool quick) {
  static constexpr const char* kNames[] = {"nat44", "ds-lite", "nat64"};
  Bench bench(mappings);
  const uint64_t packets = quick ? 1 << 20 : 1 << 23;
  net::Random random(7);
  std::vector<Frame> out[3], in[3];
  double create[3];
  for (unsigned c = 0; c < 3; c++) {
    const auto carriage = static_cast<config::Carriage>(c);
    for (uint32_t i = 0; i < mappings; i++) out[c].push_back(outbound(carriage, i));
    size_t at = 0;
    create[c] = bench.run(
        mappings / kBurst * kBurst, [&]() -> const Frame& { return out[c][at++]; },
        [&](rte_mbuf** b, unsigned n) { bench.through(0, b, n); });
  }
  const auto& table = bench.worker().binding().mappings();
  for (uint32_t id = 0; id < table.high_water(); id++) in[table[id].instance].push_back(inbound(table[id]));

  for (unsigned c = 0; c < 3; c++) {
    if (in[c].size() == mappings) continue;
    for (size_t r = 0; r < dataplane::kDropReasonCount; r++)
      if (const auto n = bench.worker().counters().drops[r].get(); n != 0)
        fmt::print("{} packets dropped: {}\n", n, dataplane::kDropReasons[r].name);
    throw std::runtime_error(
        fmt::format("{} of {} mappings were made for {}", in[c].size(), mappings, kNames[c]));
  }

  const auto at_random = [&](const std::vector<Frame>& frames) -> std::function<const Frame&()> {
    return [&]() -> const Frame& { return frames[random.below(static_cast<uint32_t>(frames.size()))]; };
  };
  const auto swap_macs = [](rte_mbuf** b, unsigned n) {
    for (unsigned i = 0; i < n; i++)
      std::swap_ranges(dataplane::bytes_of(b[i]), dataplane::bytes_of(b[i]) + 6,
                       dataplane::bytes_of(b[i]) + 6);
  };
  double base = 0, best[3][2] = {};
  for (int round = 0; round < (quick ? 2 : 5); round++) {
    base = std::max(base, bench.run(packets, at_random(out[0]), swap_macs));
    for (unsigned c = 0; c < 3; c++) {
      best[c][0] = std::max(best[c][0], bench.run(packets, at_random(out[c]),
                                                  [&](rte_mbuf** b, unsigned n) { bench.through(0, b, n); }));
      best[c][1] = std::max(best[c][1], bench.run(packets, at_random(in[c]),
                                                  [&](rte_mbuf** b, unsigned n) { bench.through(1, b, n); }));
    }
  }
  fmt::print("{:>9} mappings each   baseline (MAC swap)  {:6.1f} Mpps\n", mappings, base / 1e6);
  for (unsigned c = 0; c < 3; c++) {
    // The cost of writing and choosing the packet is the baseline's: what is left is the NAT's.
    const auto own = [&](double rate) { return 1e9 / rate - 1e9 / base; };
    fmt::print(
        "  {:<8} out {:6.2f} Mpps (own {:5.1f} ns)   in {:6.2f} Mpps (own {:5.1f} ns)   new mappings {:5.2f} "
        "M/s\n",
        kNames[c], best[c][0] / 1e6, own(best[c][0]), best[c][1] / 1e6, own(best[c][1]), create[c] / 1e6);
  }
  uint64_t drops = 0;
  for (const auto& d : bench.worker().counters().drops) drops += d.get();
  if (drops != 0) fmt::print("  {} packets were dropped: the figures are not of translated packets\n", drops);
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::string_view(argv[1]) == "--quick";
  culvert::dataplane::init_eal_for_replay(64);
  for (uint32_t mappings : {1024u, 100'000u, 1'000'000u}) measure(mappings, quick);
}
