#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

#include "box.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

constexpr uint16_t kFirstNewPort = 30000;

/// New mappings of all subscribers in random order, `each` of them one after the other for every subscriber.
double make(const Plan& plan, uint32_t subscribers, uint32_t each) {
  Box box(plan);
  box.establish();
  std::vector<uint32_t> order(subscribers);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(11));
  const FrameMaker maker(plan.carriage, Protocol::udp, kSmallestIpv4, {{2, 0, 0, 0, 0, 1}},
                         {{2, 0, 0, 0, 0, 9}});
  const uint64_t packets = uint64_t{subscribers} * each / kWindow * kWindow;
  uint64_t next = 0;
  Tally total;
  while (total.packets < packets) {
    const Tally t = box.window(kInside, [&](uint8_t* at, unsigned) {
      const uint64_t n = next++;
      return maker.outbound(at, order[n % subscribers],
                            static_cast<uint16_t>(kFirstNewPort + n / subscribers));
    });
    total.packets += t.packets;
    total.ticks += t.ticks;
    box.drain_log();
  }
  if (box.worker().binding().mappings().size() != plan.mappings() + packets)
    throw std::runtime_error("new mappings were refused: " + box.drop_reasons());
  return total.rate();
}

}  // namespace

void measure_creation(Report& report, const Effort& effort) {
  constexpr Carriage kCarriages[] = {Carriage::nat44, Carriage::ds_lite, Carriage::nat64};
  constexpr const char* kNames[] = {"nat44", "ds-lite", "nat64"};
  report.heading("new mappings, subscribers in random order, up to 1 M mappings");
  for (unsigned c = 0; c < 3; c++) {
    const std::string held = fmt::format("{} new mapping, block held", kNames[c]);
    const std::string fresh = fmt::format("{} new subscriber and block", kNames[c]);
    double best_held = 0, best_fresh = 0;
    for (unsigned round = 0; round < effort.rounds(); round++) {
      if (effort.wants(held))
        best_held = std::max(best_held, make({.carriage = kCarriages[c],
                                              .subscribers = 100'000,
                                              .mappings_each = 1,
                                              .mapping_capacity = 1'100'000},
                                             100'000, 9));
      if (effort.wants(fresh))
        best_fresh = std::max(best_fresh, make({.carriage = kCarriages[c],
                                                .subscribers = 0,
                                                .mapping_capacity = 1'100'000,
                                                .subscriber_capacity = 1'100'000},
                                               1'000'000, 1));
    }
    if (best_held != 0) report.add({.scenario = held, .value = best_held / 1e6});
    if (best_fresh != 0) report.add({.scenario = fresh, .value = best_fresh / 1e6});
  }
}

}  // namespace culvert::bench
