#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <stdexcept>

#include "box.h"
#include "net/headers.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

constexpr net::MacAddress kNeighbour{{2, 0, 0, 0, 0, 9}}, kInsideMac{{2, 0, 0, 0, 0, 1}},
    kOutsideMac{{2, 0, 0, 0, 0, 2}};
constexpr uint32_t kEach = 10;
constexpr size_t kFrames = 1u << 20;  ///< different ones, in turn

/// What an attacker sends, and its best round.
struct Attack {
  std::string name;
  uint16_t port = kOutside;
  Box::Fill fill;
  bool dropped = true;  ///< every packet must be
  double best = 0;
};

/// External endpoints nobody has, all over the pool.
std::vector<End> unmapped(Box& box, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto& pool = *box.engine().tables().pools.front();
  std::vector<End> ends;
  while (ends.size() < kFrames) {
    const net::Ipv4Address a = pool.address(static_cast<uint32_t>(random() % pool.addresses()));
    const auto port = static_cast<uint16_t>(1024 + random() % 64512);
    const dataplane::ExternalKey key{a, net::Be16(port), Protocol::udp};
    if (box.worker().binding().mappings().find(key) == dataplane::kNoMapping)
      ends.push_back({a.value(), port});
  }
  return ends;
}

/// Ports with which the subscribers' keys fall into few buckets of an index, if its hash were the public one
/// of net/hash.h and not keyed with secret words.
std::vector<End> colliding(uint32_t subscribers) {
  std::vector<End> ends;
  for (uint32_t s = 0; ends.size() < kFrames; s = (s + 1) % subscribers) {
    for (unsigned port = 30000; port < 65536 && ends.size() < kFrames;
         port++) {  // nobody's mapping has these
      dataplane::InternalKey key;
      key.ipv4 = net::Ipv4Address(0x0a000000 + s);
      key.port = net::Be16(static_cast<uint16_t>(port));
      if (key.hash(net::HashKey{}) >> 52 == 7) ends.push_back({s, static_cast<uint16_t>(port)});
    }
  }
  return ends;
}

double measure(Box& box, const Attack& attack, uint64_t packets) {
  Tally total;
  const uint64_t before = box.dropped();
  while (total.packets < packets) {
    const Tally t = box.window(attack.port, attack.fill);
    total.packets += t.packets;
    total.ticks += t.ticks;
    box.drain_log();
  }
  if (attack.dropped != (box.dropped() - before == total.packets))
    throw std::runtime_error(attack.name + ": dropped so far " + box.drop_reasons());
  return total.rate();
}

}  // namespace

void measure_attacks(Report& report, const Effort& effort, uint32_t mappings) {
  Box box(
      {.carriage = Carriage::nat44, .subscribers = mappings / kEach, .mappings_each = kEach, .limit = kEach});
  box.establish();
  std::vector<End> inside, outside;
  box.learn_ends(&inside, &outside, 5);
  const std::vector<End> free_ends = unmapped(box, 6), flood = colliding(mappings / kEach);
  const FrameMaker udp_in(Carriage::nat44, Protocol::udp, kSmallestIpv4, kOutsideMac, kNeighbour);
  const FrameMaker udp_out(Carriage::nat44, Protocol::udp, kSmallestIpv4, kInsideMac, kNeighbour);
  FrameMaker syn(Carriage::nat44, Protocol::tcp, kSmallestIpv4, kOutsideMac, kNeighbour);
  syn.set_tcp_flags(net::TcpHeader::kSyn);

  size_t next = 0;
  const auto in = [&next](const FrameMaker& maker, const std::vector<End>& ends) -> Box::Fill {
    return [&next, &maker, &ends](uint8_t* at, unsigned) {
      const End& e = ends[next++ % ends.size()];
      return maker.inbound(at, net::Ipv4Address(e.who), e.port);
    };
  };
  const auto out = [&next](const FrameMaker& maker, const std::vector<End>& ends,
                           uint16_t shift) -> Box::Fill {
    return [&next, &maker, &ends, shift](uint8_t* at, unsigned) {
      const End& e = ends[next++ % ends.size()];
      return maker.outbound(at, e.who, static_cast<uint16_t>(e.port + shift));
    };
  };
  std::vector<Attack> attacks = {
      {"nat44 in, established", kOutside, in(udp_in, outside), false},
      {"in, to unmapped ports", kOutside, in(udp_in, free_ends), true},
      {"in, TCP SYN scan of the pool", kOutside, in(syn, free_ends), true},
      {"out, beyond the limit of each", kInside, out(udp_out, inside, 1000), true},
      {"out, keys that collide unkeyed", kInside, out(udp_out, flood, 0), true},
  };
  for (unsigned round = 0; round < effort.rounds(); round++)
    for (Attack& a : attacks) a.best = std::max(a.best, measure(box, a, effort.packets()));

  const std::string size = count_text(mappings);
  report.heading("under attack, " + size + " mappings of nat44");
  for (const Attack& a : attacks) {
    if (a.best == 0) continue;
    const double ratio = attacks[0].best == 0 ? 0 : a.best / attacks[0].best;
    report.add({.scenario = a.name,
                .size = size,
                .value = a.best / 1e6,
                .note = ratio == 0 ? "" : fmt::format("{:.2f} × established", ratio)});
  }
}

}  // namespace culvert::bench
