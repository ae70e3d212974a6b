#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cpus.h"
#include "flows.h"
#include "scenarios.h"
#include "team.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "workers";
constexpr uint32_t kEach = 10;

/// Who receives what, and who turns the workers.
enum class Deal { one, own, half, all, own_by_one_core, all_by_one_core };
struct Kind {
  Deal deal;
  const char* name;
  bool two_cpus;
  Deal reference;        ///< compared with
  const char* compared;  ///< in words
};
constexpr Kind kKinds[] = {
    {Deal::one, "1 worker", false, Deal::one, "1 worker"},
    {Deal::own, "2 workers, each its own", true, Deal::one, "1 worker"},
    {Deal::half, "2 workers, half to hand over", true, Deal::one, "1 worker"},
    {Deal::all, "2 workers, all to hand over", true, Deal::one, "1 worker"},
    {Deal::own_by_one_core, "2 on one core, its own", false, Deal::own_by_one_core, "its own"},
    {Deal::all_by_one_core, "2 on one core, handed over", false, Deal::own_by_one_core, "its own"},
};

/// The same mappings in a box of one worker and in one of two.
struct Scene {
  explicit Scene(uint32_t mappings)
      : one(plan(mappings, 1)),
        two(plan(mappings, 2)),
        of_one(established(one), 7),
        own{Flows(established(two), 8, 0), Flows(two, 9, 1)},
        any{Flows(two, 10), Flows(two, 11)} {}

  static Plan plan(uint32_t mappings, unsigned workers) {
    return {.subscribers = mappings / kEach, .mappings_each = kEach, .workers = workers};
  }
  static Box& established(Box& box) {
    box.establish();
    return box;
  }
  uint64_t handed_over() {
    return two.worker(0).counters().handover_received.get() +
           two.worker(1).counters().handover_received.get();
  }
  Tally send(Deal deal, bool out, const std::vector<int>& cpus, uint64_t packets);

  Box one, two;
  Flows of_one;
  Flows own[2];  ///< of each worker's mappings
  Flows any[2];  ///< of all mappings
};

Tally Scene::send(Deal deal, bool out, const std::vector<int>& cpus, uint64_t packets) {
  const uint16_t port = out ? kInside : kOutside;
  const auto at_once = [&](Box& box, const std::vector<Fill>& fills) {
    return send_at_once(box, port, fills, cpus, packets);
  };
  const auto by_one_core = [&](unsigned receiver) {
    const Fill fill = own[0].fill(out);
    Tally total;
    while (total.packets < packets) total += two.window(port, fill, receiver);
    return total;
  };
  switch (deal) {
    case Deal::one:
      return at_once(one, {of_one.fill(out)});
    case Deal::own:
      return at_once(two, {own[0].fill(out), own[1].fill(out)});
    case Deal::half:
      return at_once(two, {any[0].fill(out), any[1].fill(out)});
    case Deal::all:
      return at_once(two, {own[1].fill(out), Fill()});
    case Deal::own_by_one_core:
      return by_one_core(0);
    case Deal::all_by_one_core:
      return by_one_core(1);
  }
  return {};
}

struct Run {
  const Kind* kind;
  bool out;
  double best = 0;
  double share = 0;  ///< of packets that were handed over

  std::string name() const { return fmt::format("{}, {}", out ? "out" : "in", kind->name); }
};

}  // namespace

void measure_workers(Report& report, const Effort& effort) {
  std::vector<Run> runs;
  bool any = false;
  for (const bool out : {true, false}) {
    for (const Kind& kind : kKinds) {
      runs.push_back({&kind, out});
      any |= effort.wants(kFamily, runs.back().name());
    }
  }
  if (!any) return;
  const uint32_t mappings = effort.at_most(1'000'000);
  const int other = other_cpu();
  const std::vector<int> cpus = {this_cpu(), other};
  Scene scene(mappings);
  for (unsigned round = 0; round < effort.rounds(); round++) {
    for (Run& run : runs) {
      if (run.kind->two_cpus && other < 0) continue;
      const uint64_t handed = scene.handed_over();
      const Tally t = scene.send(run.kind->deal, run.out, cpus, effort.packets());
      run.best = std::max(run.best, t.rate());
      run.share = static_cast<double>(scene.handed_over() - handed) / static_cast<double>(t.packets);
    }
  }
  const std::string size = count_text(mappings);
  report.heading(fmt::format("workers: {} mappings of nat44, all workers' packets together", size));
  for (const Run& run : runs) {
    if (run.best == 0) {
      report.missing(run.name(), kOneCpu);
      continue;
    }
    const auto reference = std::ranges::find_if(
        runs, [&](const Run& r) { return r.out == run.out && r.kind->deal == run.kind->reference; });
    report.add({.scenario = run.name(),
                .size = size,
                .value = run.best / 1e6,
                .note = fmt::format("{:.2f} × {}, {:.0f} % handed over", run.best / reference->best,
                                    run.kind->compared, 100 * run.share)});
  }
}

}  // namespace culvert::bench
