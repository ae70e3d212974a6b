#include <fmt/format.h>

#include <algorithm>

#include "box.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "expiry";
const std::string kNothing = "expiry, nothing ends", kFourth = "expiry, a fourth of all ends";
constexpr uint64_t kSeconds = 60;  ///< of the box's clock

struct Cost {
  double share;  ///< of a core
  Tally longest;
  uint64_t ended;
};

/// Polls the box every millisecond of its clock, and again as long as something is due.
Cost poll(Box& box) {
  dataplane::Worker& w = box.worker();
  do w.poll(box.now());  // catches up with the jump of the clock
  while (w.behind());
  const dataplane::Millis start = box.now();
  const uint64_t expired = w.counters().mappings_expired.get();
  Tally all;
  for (dataplane::Millis t = start + 1; t <= start + kSeconds * 1000; t++) {
    do {
      const uint64_t before = ticks();
      w.poll(t);
      const uint64_t took = ticks() - before;
      all += {1, took, took};
    } while (w.behind());
    if ((t & 255) == 0) box.drain_log();
  }
  box.clock().skip(kSeconds * 1000);
  return {static_cast<double>(all.ticks) / ticks_per_second() / kSeconds, all,
          w.counters().mappings_expired.get() - expired};
}

void add(Report& report, const std::string& name, uint32_t mappings, const Cost& c) {
  report.add({.scenario = name,
              .size = count_text(mappings),
              .value = 100 * c.share,
              .unit = "% of a core",
              .per_packet = false,
              .note = fmt::format("{} ended in {} s, longest poll {:.0f} µs", c.ended, kSeconds,
                                  c.longest.longest_us())});
}

}  // namespace

void measure_expiry(Report& report, const Effort& effort, std::unique_ptr<Box> box) {
  if (effort.wanted(kFamily, {kNothing, kFourth}).empty()) return;
  const uint32_t mappings = effort.at_most(10'000'000);
  const config::Timers timers;  // the defaults
  if (!box || box->plan().mappings() != mappings || box->plan().timers != timers) {
    box.reset();
    box = std::make_unique<Box>(Plan{.subscribers = mappings / 10, .mappings_each = 10, .timers = timers});
  }
  report.heading("expiry: timers alone, one poll a millisecond");
  const auto udp = static_cast<uint64_t>(timers.udp.count()) * 1000;
  box->establish(udp * 8 / 10);                 // ends are spread over four fifths of the timer
  add(report, kNothing, mappings, poll(*box));  // the first ends a fifth of the timer from now
  add(report, kFourth, mappings, poll(*box));
}

}  // namespace culvert::bench
