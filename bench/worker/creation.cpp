#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

#include "box.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "new";
constexpr uint16_t kFirstNewPort = 30000;

/// New mappings of all subscribers in random order, `each` of them one after the other for every subscriber.
double make(const Plan& plan, uint32_t subscribers, uint32_t each) {
  Box box(plan);
  box.establish();
  std::vector<uint32_t> order(subscribers);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(11));
  const FrameMaker maker(plan.carriage, Protocol::udp, kSmallestIpv4, kInsideMac, kNeighbourMac);
  const uint64_t packets = uint64_t{subscribers} * each / kWindow * kWindow;
  uint64_t next = 0;
  Tally total;
  while (total.packets < packets) {
    total += box.window(kInside, [&](uint8_t* at, unsigned) {
      const uint64_t n = next++;
      return maker.outbound(at, order[n % subscribers],
                            static_cast<uint16_t>(kFirstNewPort + n / subscribers));
    });
    box.drain_log();
  }
  if (box.mappings() != plan.mappings() + packets)
    throw std::runtime_error("new mappings were refused: " + box.drop_reasons());
  return total.rate();
}

}  // namespace

void measure_creation(Report& report, const Effort& effort) {
  const uint32_t all = std::max(effort.at_most(1'000'000), 10 * kWindow);
  struct Run {
    std::string name;
    Plan plan;
    uint32_t subscribers, each;
    double best = 0;
  };
  std::vector<Run> runs;
  for (const Carriage c : kCarriages) {
    const Run held{
        fmt::format("{} new mapping, block held", name_of(c)),
        {.carriage = c, .subscribers = all / 10, .mappings_each = 1, .mapping_capacity = all / 10 * 11},
        all / 10,
        9};
    const Run fresh{fmt::format("{} new subscriber and block", name_of(c)),
                    {.carriage = c,
                     .subscribers = 0,
                     .mapping_capacity = all / 10 * 11,
                     .subscriber_capacity = all / 10 * 11},
                    all,
                    1};
    for (const Run& run : {held, fresh})
      if (effort.wants(kFamily, run.name)) runs.push_back(run);
  }
  if (runs.empty()) return;
  report.heading(fmt::format("new: subscribers in random order, up to {} mappings", count_text(all)));
  for (unsigned round = 0; round < effort.rounds(); round++)
    for (Run& run : runs) run.best = std::max(run.best, make(run.plan, run.subscribers, run.each));
  for (const Run& run : runs) report.add({.scenario = run.name, .value = run.best / 1e6});
}

}  // namespace culvert::bench
