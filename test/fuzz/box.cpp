#include "box.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "config/load.h"
#include "dataplane/packet.h"
#include "net/checksum.h"
#include "net/headers.h"

namespace culvert::fuzz {
namespace {

constexpr const char* kConfig = R"(
interfaces:
  - {name: inside, device: net_null0, role: inside, ipv4-address: [10.255.0.1/30], ipv6-address: ["2001:db8:1::2/64"],
     next-hop-ipv4: "02:00:00:00:01:fe", next-hop-ipv6: "02:00:00:00:01:fe"}
  - {name: outside, device: net_null1, role: outside, ipv4-address: [192.0.2.1/30],
     next-hop-ipv4: "02:00:00:00:02:fe"}
capacity: {subscribers: 64, mappings: 256, sessions: 64, packet-buffers: 4096}
instances:
  - name: plain
    type: nat44
    subscriber-match: [100.64.0.0/10]
    external-ip-address-pool: [203.0.113.0/30]
    port-set-size: 512
    port-sets-per-subscriber: 2
    nat-pass-through: [198.51.100.8/30, {prefix: 198.51.100.12/30, port: 80}]
  - name: softwire
    type: ds-lite
    aftr-ipv6-addr: "2001:db8:a::1"
    subscriber-match: ["2001:db8:100::/48"]
    external-ip-address-pool: [203.0.113.4/30]
    filtering-type: adf
  - name: phones
    type: nat64
    nat64-prefix: ["2001:db8:64::/96", "2001:db8:7700::/40", "64:ff9b::/96"]
    subscriber-match: ["2001:db8:200::/48"]
    external-ip-address-pool: [203.0.113.8/30]
    filtering-type: edf
)";

const config::Config& parsed() {
  static const config::Config config = [] {
    auto loaded = config::load_text(kConfig, "box.yaml");
    if (const auto* problems = std::get_if<config::Problems>(&loaded))
      throw std::runtime_error(problems->front().text());
    return std::get<config::Config>(loaded);
  }();
  return config;
}

net::MacAddress mac(uint8_t last) { return {{0x02, 0xc0, 0, 0, 0, last}}; }

std::string check_ipv4(const uint8_t* at, size_t size) {
  if (size < sizeof(net::Ipv4Header)) return "an IPv4 packet shorter than its header";
  const auto* ip = reinterpret_cast<const net::Ipv4Header*>(at);
  if (ip->version_ihl >> 4 != 4 || ip->header_length() < sizeof *ip || ip->header_length() > size)
    return "a wrong IPv4 version or header length";
  if (ip->total_length.value() != size)
    return fmt::format("an IPv4 total length of {} in {} bytes", ip->total_length.value(), size);
  if (net::Sum().add_bytes(ip, ip->header_length()).folded() != 0xffff) return "a wrong IPv4 header checksum";
  if (ip->ttl == 0) return "a TTL of zero";
  const unsigned place = ip->fragment.value();
  if ((place & 0x1fff) * 8 + size - ip->header_length() > 65'535)
    return "a fragment behind the end of any packet";
  return {};
}

}  // namespace

rte_mempool* Box::buffers() {
  static const dataplane::BufferPool pool = [] {
    dataplane::init_eal_for_replay(64);
    return dataplane::make_buffers("box", kBuffers, 1500);
  }();
  return pool.get();
}

unsigned Box::missing_buffers() { return kBuffers - rte_mempool_avail_count(buffers()); }

unsigned Box::datagrams_in_use() const { return rte_mempool_in_use_count(engine_->fabric().datagrams.get()); }

config::Config Box::configuration(unsigned workers) {
  config::Config config = parsed();
  config.workers = static_cast<uint16_t>(workers);
  return config;
}

config::Config Box::variant(unsigned number) {
  config::Config config = configuration();
  static constexpr uint16_t kInside[] = {1500, 1280, 1540}, kOutside[] = {1500, 1300};
  for (auto& i : config.interfaces)
    i.mtu = i.name == "inside" ? kInside[number % 3] : kOutside[number / 3 % 2];
  for (auto& i : config.instances) {
    const bool other = number / 6 % 2 != 0;
    if (i.carriage == config::Carriage::ds_lite) i.cut_inner_packet = other;
    if (i.carriage == config::Carriage::nat64) i.drops_unchecked_udp = other;
  }
  return config;
}

bool Box::passes_through(uint32_t subscriber, uint32_t remote, std::optional<uint16_t> port) {
  const config::Instance& plain = parsed().instances.front();
  return plain.subscribers_ipv4.front().prefix.contains(net::Ipv4Address(subscriber)) &&
         std::any_of(plain.pass_through.begin(), plain.pass_through.end(), [&](const config::PassThrough& e) {
           return e.prefix.contains(net::Ipv4Address(remote)) && (!e.port || e.port == port);
         });
}

Box::Box(unsigned workers) : Box(configuration(workers), 1) {}

Box::Box(const config::Config& config, uint64_t seed)
    : mtu_{config.interfaces.at(0).mtu, config.interfaces.at(1).mtu} {
  control::Engine::Options options;
  options.seed = seed;
  options.buffers = buffers();
  options.ring_files = false;
  options.event_ring_size = 1024;
  engine_ = std::make_unique<control::Engine>(
      config, std::vector<control::InterfaceFacts>{{0, mac(1), true}, {1, mac(2), true}}, options, now_);
  engine_->pump = [this] {
    for (unsigned w = 0; w < engine_->workers(); w++) engine_->worker(w).poll(now_);
  };
}

Box::~Box() = default;

bool Box::receive(Side side, unsigned worker, std::span<const std::span<const uint8_t>> frames) {
  rte_mbuf* burst[dataplane::kBurst];
  const auto count = static_cast<unsigned>(frames.size());
  if (count > dataplane::kBurst || rte_pktmbuf_alloc_bulk(buffers(), burst, count) != 0) return false;
  for (unsigned i = 0; i < count; i++) {
    auto* bytes =
        reinterpret_cast<uint8_t*>(rte_pktmbuf_append(burst[i], static_cast<uint16_t>(frames[i].size())));
    if (bytes == nullptr) {
      rte_pktmbuf_free_bulk(burst, count);
      return false;
    }
    std::copy(frames[i].begin(), frames[i].end(), bytes);
  }
  engine_->worker(worker % engine_->workers()).receive(side == Side::inside ? 0 : 1, burst, count, now_);
  return true;
}

void Box::settle() {
  for (unsigned moved = 1; moved != 0;) {
    moved = 0;
    for (unsigned w = 0; w < engine_->workers(); w++) {
      moved += engine_->worker(w).poll(now_);
      moved += engine_->worker(w).behind() ? 1 : 0;
    }
    collect();
  }
}

void Box::wait(Millis ms) {
  // As often as makes timers end about when they should; a round of every sweep for long waits.
  const Millis end = now_ + ms;
  do {
    now_ = std::min(end, now_ + std::max<Millis>(500, ms / 16));
    settle();
    engine_->tick(now_);
  } while (now_ < end);
  settle();
}

void Box::collect() {
  for (unsigned w = 0; w < engine_->workers(); w++) {
    for (uint8_t i = 0; i < 2; i++) {
      auto& frames = engine_->worker(w).outbox().frames(i);
      for (rte_mbuf* m : frames) {
        const uint8_t* bytes = dataplane::bytes_of(m);
        sent_.push_back({i == 0 ? Side::inside : Side::outside,
                         {bytes, bytes + m->data_len},
                         mtu_[i],
                         m->pool == buffers() && m->nb_segs == 1 && m->pkt_len == m->data_len});
        dataplane::free_packet(m);
      }
      frames.clear();
    }
  }
  void* m;
  while (rte_ring_dequeue(engine_->fabric().to_kernel, &m) == 0) {
    punted_++;
    dataplane::free_packet(static_cast<rte_mbuf*>(m));
  }
  for (logging::EventRing* ring : engine_->rings()) ring->release(ring->waiting());
}

uint64_t Box::sum(const std::function<uint64_t(const dataplane::Counters&)>& of) const {
  uint64_t n = 0;
  for (unsigned w = 0; w < engine_->workers(); w++) n += of(engine_->worker(w).counters());
  return n;
}

uint64_t Box::drops() const {
  return sum([](const dataplane::Counters& c) {
    uint64_t n = 0;
    for (const dataplane::Counter& d : c.drops) n += d.get();
    return n;
  });
}

std::string complaint(const Sent& frame) {
  const auto& b = frame.bytes;
  if (b.size() < sizeof(net::EthernetHeader)) return "a frame shorter than an Ethernet header";
  const auto* ethernet = reinterpret_cast<const net::EthernetHeader*>(b.data());
  const uint8_t* at = b.data() + sizeof *ethernet;
  const size_t size = b.size() - sizeof *ethernet;
  if (!frame.sendable) return "a frame in a buffer that no device can send";
  if (size > frame.mtu) return fmt::format("{} bytes where {} pass", size, frame.mtu);
  if (frame.side == Side::outside && ethernet->type.value() != net::kEtherIpv4)
    return "something not IPv4 sent outside";
  if (ethernet->type.value() == net::kEtherIpv4) return check_ipv4(at, size);
  if (ethernet->type.value() != net::kEtherIpv6) return "neither IPv4 nor IPv6";
  if (size < sizeof(net::Ipv6Header)) return "an IPv6 packet shorter than its header";
  const auto* ip = reinterpret_cast<const net::Ipv6Header*>(at);
  if (ip->version() != 6) return "a wrong IPv6 version";
  if (ip->payload_length.value() + sizeof *ip != size)
    return fmt::format("an IPv6 payload length of {} in {} bytes", ip->payload_length.value(), size);
  if (ip->hop_limit == 0) return "a hop limit of zero";
  if (ip->next_header == net::kIpIpv4) return check_ipv4(at + sizeof *ip, size - sizeof *ip);
  return {};
}

}  // namespace culvert::fuzz
