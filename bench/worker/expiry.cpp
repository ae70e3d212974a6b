#include <fmt/format.h>

#include <algorithm>

#include "box.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

constexpr uint64_t kSeconds = 60;  ///< of the box's clock

struct Cost {
  double share;          ///< of a core
  uint64_t worst_ticks;  ///< of a single poll
  uint64_t ended;
};

/// Polls the box every millisecond of its clock.
Cost poll(Box& box) {
  dataplane::Worker& w = box.worker();
  const dataplane::Millis start = box.now();
  const uint64_t expired = w.counters().mappings_expired.get();
  Cost cost{0, 0, 0};
  uint64_t total = 0;
  w.poll(start);  // catches up with the jump of the clock
  for (dataplane::Millis t = start + 1; t <= start + kSeconds * 1000; t++) {
    const uint64_t before = ticks();
    w.poll(t);
    const uint64_t took = ticks() - before;
    total += took;
    cost.worst_ticks = std::max(cost.worst_ticks, took);
    if ((t & 255) == 0) box.drain_log();
  }
  box.skip(kSeconds * 1000);
  cost.share = static_cast<double>(total) / ticks_per_second() / kSeconds;
  cost.ended = w.counters().mappings_expired.get() - expired;
  return cost;
}

void add(Report& report, const std::string& name, uint32_t mappings, const Cost& c) {
  report.add({.scenario = name,
              .size = count_text(mappings),
              .value = 100 * c.share,
              .unit = "% of a core",
              .per_packet = false,
              .note = fmt::format("{} ended in {} s, longest poll {:.0f} µs", c.ended, kSeconds,
                                  static_cast<double>(c.worst_ticks) / ticks_per_second() * 1e6)});
}

}  // namespace

void measure_expiry(Report& report, uint32_t mappings) {
  report.heading("timers alone, one poll a millisecond");
  const config::Timers timers;  // the defaults
  Box box({.carriage = Carriage::nat44, .subscribers = mappings / 10, .mappings_each = 10, .timers = timers});
  const auto udp = static_cast<uint64_t>(timers.udp.count()) * 1000;
  box.establish(udp * 8 / 10);                               // ends are spread over four fifths of the timer
  add(report, "expiry, nothing ends", mappings, poll(box));  // the first ends a fifth of the timer from now
  add(report, "expiry, a fourth of all ends", mappings, poll(box));
}

}  // namespace culvert::bench
