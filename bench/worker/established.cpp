#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "box.h"
#include "memory_limit.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

constexpr uint32_t kMappingsEach = 10;
constexpr Carriage kCarriages[] = {Carriage::nat44, Carriage::ds_lite, Carriage::nat64};
constexpr const char* kNames[] = {"nat44", "ds-lite", "nat64"};
/// Simple IMIX as IPv4 packets: 7 of 46 bytes (a 64-byte frame), 4 of 576, 1 of 1,500.
constexpr unsigned kImix[12] = {46, 46, 576, 46, 46, 576, 46, 1500, 46, 576, 46, 576};

constexpr net::MacAddress kNeighbour{{2, 0, 0, 0, 0, 9}};
constexpr net::MacAddress our_mac(bool inside) {
  return {{2, 0, 0, 0, 0, static_cast<uint8_t>(inside ? 1 : 2)}};
}

/// One carriage with all its mappings, and the frames for them.
struct Scene {
  Scene(Carriage carriage, uint32_t mappings)
      : box({.carriage = carriage, .subscribers = mappings / kMappingsEach, .mappings_each = kMappingsEach}) {
    made = box.establish();
    box.learn_ends(&inside, &outside, 7);
    for (const unsigned size : {46u, 576u, 1500u})
      for (const bool out : {true, false})
        makers.emplace_back(carriage, Protocol::udp, size, our_mac(out), kNeighbour);
  }
  static size_t maker_of(unsigned size, bool out) {
    return (size == 46 ? 0 : size == 576 ? 2 : 4) + (out ? 0 : 1);
  }

  unsigned frame(bool out, bool imix, uint8_t* at) {
    const FrameMaker& maker = makers[maker_of(imix ? kImix[mixed++ % 12] : 46, out)];
    const std::vector<End>& ends = out ? inside : outside;
    size_t& next = out ? next_inside : next_outside;
    const End& e = ends[next];
    next = next + 1 == ends.size() ? 0 : next + 1;
    return out ? maker.outbound(at, e.who, e.port) : maker.inbound(at, net::Ipv4Address(e.who), e.port);
  }

  Box box;
  Tally made;
  std::vector<End> inside, outside;
  std::vector<FrameMaker> makers;
  size_t next_inside = 0, next_outside = 0, mixed = 0;
};

/// A kind of packets through a scene, and its best round.
struct Run {
  unsigned scene;
  bool out, imix, ring;
  double best = 0;
};

std::string name_of(const Run& run) {
  return fmt::format("{} {}{}{}", kNames[run.scene], run.out ? "out" : "in", run.imix ? ", IMIX" : "",
                     run.ring ? ", through rings" : "");
}

double measure(Scene& scene, const Run& run, uint64_t packets) {
  const Box::Fill fill = [&](uint8_t* at, unsigned) { return scene.frame(run.out, run.imix, at); };
  const uint16_t port = run.out ? kInside : kOutside;
  Tally total;
  scene.box.take_sent();
  const uint64_t dropped = scene.box.dropped();
  while (total.packets < packets) {
    const Tally t = run.ring ? scene.box.window_by_ring(port, fill) : scene.box.window(port, fill);
    total.packets += t.packets;
    total.ticks += t.ticks;
  }
  if (scene.box.dropped() != dropped)
    throw std::runtime_error("packets of live mappings were dropped: " + scene.box.drop_reasons());
  return total.rate();
}

}  // namespace

void measure_established(Report& report, const Effort& effort, uint32_t mappings) {
  MemoryLimit limit(mappings);
  std::vector<std::unique_ptr<Scene>> scenes;
  for (const Carriage c : kCarriages) scenes.push_back(std::make_unique<Scene>(c, mappings));

  std::vector<Run> runs;
  const auto add = [&](const Run& run) {
    if (effort.wants(name_of(run))) runs.push_back(run);
  };
  for (unsigned s = 0; s < scenes.size(); s++)
    for (const bool out : {true, false}) add({s, out, false, false});
  if (!effort.quick || mappings == 1'000'000)
    for (unsigned s = 0; s < scenes.size(); s++)
      for (const bool out : {true, false}) add({s, out, true, false});
  for (const bool out : {true, false}) add({0, out, false, true});

  double base = 0, most = 0;
  for (unsigned round = 0; round < effort.rounds(); round++) {
    most = std::max(most, limit.run(effort.packets() / dataplane::kBurst));
    Tally swaps;
    while (swaps.packets < effort.packets()) {
      const Tally t = scenes[0]->box.window_of_swaps(
          [&](uint8_t* at, unsigned) { return scenes[0]->frame(true, false, at); });
      swaps.packets += t.packets;
      swaps.ticks += t.ticks;
    }
    base = std::max(base, swaps.rate());
    for (Run& run : runs) run.best = std::max(run.best, measure(*scenes[run.scene], run, effort.packets()));
  }

  const std::string size = count_text(mappings);
  report.heading(size + " mappings of each carriage, in random order");
  report.add({.scenario = "baseline: MAC swap", .size = size, .value = base / 1e6});
  report.add({.scenario = "memory limit", .size = size, .value = most / 1e6});
  for (const Run& run : runs) {
    const auto counted = effort.instructions.find(name_of(run));
    Row row{.scenario = name_of(run),
            .size = size,
            .value = run.best / 1e6,
            .baseline = base / 1e6,
            .limit = most / 1e6};
    if (mappings == 1000 && counted != effort.instructions.end()) row.instructions = counted->second;
    report.add(row);
  }
  for (unsigned s = 0; s < scenes.size(); s++)
    report.add({.scenario = fmt::format("{} new, each tenth a new home", kNames[s]),
                .size = size,
                .value = scenes[s]->made.rate() / 1e6});
}

}  // namespace culvert::bench
