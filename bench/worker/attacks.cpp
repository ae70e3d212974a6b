#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <stdexcept>

#include "flows.h"
#include "net/headers.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "attack";
constexpr uint32_t kEach = 10;
constexpr size_t kFrames = 1u << 20;  ///< different ones, in turn

const std::string kEstablished = "in, established", kUnmapped = "in, to unmapped ports",
                  kScan = "in, TCP SYN scan of the pool", kLimit = "out, beyond the limit of each",
                  kFlood = "out, keys that collide unkeyed";

/// What an attacker sends, and its best round.
struct Attack {
  std::string name;
  uint16_t port = kOutside;
  Fill fill;
  bool dropped = true;  ///< every packet must be
  double best = 0;
};

/// External endpoints nobody has, all over the pool.
Round unmapped(Box& box, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto& pool = *box.engine().tables().pools.front();
  Round round;
  while (round.ends.size() < kFrames) {
    const net::Ipv4Address a = pool.address(static_cast<uint32_t>(random() % pool.addresses()));
    const auto port = static_cast<uint16_t>(1024 + random() % 64512);
    const dataplane::ExternalKey key{a, net::Be16(port), Protocol::udp};
    if (box.worker().binding().mappings().find(key) == dataplane::kNoMapping)
      round.ends.push_back({a.value(), port});
  }
  return round;
}

/// Ports with which the subscribers' keys fall into one of 512 parts of an index, if its hash were the public
/// one of net/hash.h and not keyed with secret words.
Round colliding(uint32_t subscribers) {
  Round round;
  for (uint32_t s = 0; round.ends.size() < kFrames / 4; s = (s + 1) % subscribers) {
    for (unsigned port = 30000; port < 65536; port++) {  // nobody's mapping has these
      const auto key = internal_key(Carriage::nat44, s, static_cast<uint16_t>(port));
      if (key.hash(net::HashKey{}) >> 55 == 7) round.ends.push_back({s, static_cast<uint16_t>(port)});
    }
  }
  return round;
}

Fill inbound(const FrameMaker& maker, Round& round) {
  return [&](uint8_t* at, unsigned) {
    const End& e = round.take();
    return maker.inbound(at, net::Ipv4Address(e.who), e.port);
  };
}

Fill outbound(const FrameMaker& maker, Round& round, uint16_t shift) {
  return [&, shift](uint8_t* at, unsigned) {
    const End& e = round.take();
    return maker.outbound(at, e.who, static_cast<uint16_t>(e.port + shift));
  };
}

double measure(Box& box, const Attack& attack, uint64_t packets) {
  Tally total;
  const uint64_t before = box.dropped();
  while (total.packets < packets) {
    total += box.window(attack.port, attack.fill);
    box.drain_log();
  }
  if (attack.dropped != (box.dropped() - before == total.packets))
    throw std::runtime_error(attack.name + ": dropped so far " + box.drop_reasons());
  return total.rate();
}

}  // namespace

void measure_attacks(Report& report, const Effort& effort) {
  const std::vector<std::string> wanted =
      effort.wanted(kFamily, {kEstablished, kUnmapped, kScan, kLimit, kFlood});
  if (wanted.empty()) return;
  const uint32_t mappings = effort.at_most(1'000'000);
  Box box(
      {.carriage = Carriage::nat44, .subscribers = mappings / kEach, .mappings_each = kEach, .limit = kEach});
  box.establish();
  Flows flows(box, 5);
  Round free_ends = unmapped(box, 6), flood = colliding(mappings / kEach);
  const auto maker = [](Protocol protocol, const net::MacAddress& to) {
    return FrameMaker(Carriage::nat44, protocol, kSmallestIpv4, to, kNeighbourMac);
  };
  const FrameMaker in = maker(Protocol::udp, kOutsideMac), out = maker(Protocol::udp, kInsideMac);
  FrameMaker syn = maker(Protocol::tcp, kOutsideMac);
  syn.set_tcp_flags(net::TcpHeader::kSyn);

  std::vector<Attack> attacks = {{kEstablished, kOutside, flows.fill(false), false},
                                 {kUnmapped, kOutside, inbound(in, free_ends)},
                                 {kScan, kOutside, inbound(syn, free_ends)},
                                 {kLimit, kInside, outbound(out, flows.inside, 1000)},
                                 {kFlood, kInside, outbound(out, flood, 0)}};
  std::erase_if(attacks, [&](const Attack& a) {
    return a.name != kEstablished && std::ranges::find(wanted, a.name) == wanted.end();
  });
  for (unsigned round = 0; round < effort.rounds(); round++)
    for (Attack& a : attacks) a.best = std::max(a.best, measure(box, a, effort.packets()));

  const std::string size = count_text(mappings);
  report.heading("attack: " + size + " mappings of nat44");
  for (const Attack& a : attacks)
    report.add({.scenario = a.name,
                .size = size,
                .value = a.best / 1e6,
                .note = fmt::format("{:.2f} × established", a.best / attacks[0].best)});
}

}  // namespace culvert::bench
