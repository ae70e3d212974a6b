#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "flows.h"
#include "memory_limit.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "established";
const std::string kBaseline = "baseline: MAC swap", kLimit = "memory limit";
constexpr uint32_t kMappingsEach = 10;

/// One carriage with all its mappings, timers as they are by default, and the frames for them.
struct Scene {
  Scene(Carriage carriage, uint32_t mappings)
      : owned(std::make_unique<Box>(Plan{.carriage = carriage,
                                         .subscribers = mappings / kMappingsEach,
                                         .mappings_each = kMappingsEach,
                                         .timers = {}})),
        box(*owned),
        made(box.establish()),
        flows(box, 7) {}

  std::unique_ptr<Box> owned;
  Box& box;
  Tally made;
  Flows flows;
};

/// A kind of packets through a scene, and its best round.
struct Run {
  enum class Kind { smallest, fragmentable, imix, rings };

  Carriage carriage;
  bool out;
  Kind kind;
  double best = 0;

  /// "nat44 out" is no part of "nat44 fragmentable out": bench/instructions would count both.
  std::string name() const {
    static constexpr const char* kNames[] = {"{} {}", "{} fragmentable {}", "{} {}, IMIX",
                                             "{} {}, through rings"};
    return fmt::format(fmt::runtime(kNames[static_cast<size_t>(kind)]), name_of(carriage),
                       out ? "out" : "in");
  }
};

std::string name_of_making(Carriage carriage) {
  return fmt::format("{} new, each tenth a new home", name_of(carriage));
}

std::vector<Run> wanted_runs(const Effort& effort, uint32_t mappings) {
  std::vector<Run> runs;
  const auto add = [&](Carriage c, bool out, Run::Kind kind) {
    const Run run{c, out, kind};
    if (effort.wants(kFamily, run.name())) runs.push_back(run);
  };
  for (const Carriage c : kCarriages)
    for (const bool out : {true, false}) add(c, out, Run::Kind::smallest);
  for (const Carriage c : {Carriage::nat44, Carriage::ds_lite}) add(c, true, Run::Kind::fragmentable);
  if (!effort.quick || mappings == 1'000'000)
    for (const Carriage c : kCarriages)
      for (const bool out : {true, false}) add(c, out, Run::Kind::imix);
  for (const bool out : {true, false}) add(Carriage::nat44, out, Run::Kind::rings);
  return runs;
}

Fill fill_of(Flows& flows, const Run& run) {
  switch (run.kind) {
    case Run::Kind::fragmentable:
      return flows.fill_fragmentable(run.out);
    case Run::Kind::imix:
      return flows.fill_imix(run.out);
    default:
      return flows.fill(run.out);
  }
}

double measure(Scene& scene, const Run& run, uint64_t packets) {
  const Fill fill = fill_of(scene.flows, run);
  const uint16_t port = run.out ? kInside : kOutside;
  const bool by_ring = run.kind == Run::Kind::rings;
  Tally total;
  const uint64_t dropped = scene.box.dropped();
  while (total.packets < packets)
    total += by_ring ? scene.box.window_by_ring(port, fill) : scene.box.window(port, fill);
  scene.box.check_none_dropped_since(dropped);
  return total.rate();
}

double measure_baseline(Scene& scene, uint64_t packets) {
  const Fill fill = scene.flows.fill(true);
  Tally total;
  while (total.packets < packets) total += scene.box.window_of_swaps(fill);
  return total.rate();
}

}  // namespace

std::unique_ptr<Box> measure_established(Report& report, const Effort& effort, uint32_t mappings) {
  const bool only_limit = effort.wants(kFamily, kLimit), baseline = effort.wants(kFamily, kBaseline);
  std::vector<Run> runs = wanted_runs(effort, mappings);
  std::array<bool, std::size(kCarriages)> making{};
  std::array<std::unique_ptr<Scene>, std::size(kCarriages)> scenes;
  for (const Carriage c : kCarriages)
    making[static_cast<size_t>(c)] = effort.wants(kFamily, name_of_making(c));
  if (runs.empty() && !only_limit && !baseline && std::ranges::find(making, true) == making.end())
    return nullptr;

  MemoryLimit limit(mappings);
  const auto scene = [&](Carriage c) -> Scene& {
    auto& s = scenes[static_cast<size_t>(c)];
    if (!s) s = std::make_unique<Scene>(c, mappings);
    return *s;
  };
  for (const Run& run : runs) scene(run.carriage);
  for (const Carriage c : kCarriages)
    if (making[static_cast<size_t>(c)]) scene(c);
  const auto any = std::ranges::find_if(scenes, [](const auto& s) { return s != nullptr; });
  Scene* swaps = any != scenes.end() ? any->get() : baseline ? &scene(Carriage::nat44) : nullptr;

  double base = 0, most = 0;
  for (unsigned round = 0; round < effort.rounds(); round++) {
    most = std::max(most, limit.run(effort.packets() / dataplane::kBurst));
    if (swaps != nullptr) base = std::max(base, measure_baseline(*swaps, effort.packets()));
    for (Run& run : runs) run.best = std::max(run.best, measure(scene(run.carriage), run, effort.packets()));
  }

  const std::string size = count_text(mappings);
  report.heading("established: " + size + " mappings of each carriage, in random order");
  if (base != 0) report.add({.scenario = kBaseline, .size = size, .value = base / 1e6});
  report.add({.scenario = kLimit, .size = size, .value = most / 1e6});
  for (const Run& run : runs) {
    const auto counted = effort.instructions.find(run.name());
    Row row{.scenario = run.name(),
            .size = size,
            .value = run.best / 1e6,
            .baseline = base / 1e6,
            .limit = most / 1e6};
    if (mappings == 1000 && counted != effort.instructions.end()) row.instructions = counted->second;
    report.add(row);
  }
  for (const Carriage c : kCarriages)
    if (making[static_cast<size_t>(c)])
      report.add({.scenario = name_of_making(c), .size = size, .value = scene(c).made.rate() / 1e6});
  const auto& nat44 = scenes[static_cast<size_t>(Carriage::nat44)];
  return nat44 ? std::move(nat44->owned) : nullptr;
}

}  // namespace culvert::bench
