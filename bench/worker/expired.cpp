#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "flows.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "expired";
const std::string kLive = "out, all mappings live", kOut = "out, all past their end",
                  kIn = "in, all past their end";
constexpr uint32_t kEach = 10;

/// The box at the moment when all its mappings have ended at once, in the same millisecond, and no sweep has
/// come to any of them.
void end_all(Box& box) {
  const uint64_t timer = static_cast<uint64_t>(box.plan().timers.udp.count()) * 1000;
  const auto settle = [&] {
    do box.worker().poll(box.now());
    while (box.worker().behind());
  };
  box.clock().skip(2000);  // timers are written once a second
  settle();
  box.clock().stop();
  box.establish();
  box.clock().skip(timer - 1);
  settle();
  box.clock().skip(1);
  box.clock().go_on();
}

/// One packet for every mapping of a list, in random order, or for as many as make whole windows.
Tally send_each(Box& box, Flows& flows, bool out) {
  const size_t all = (out ? flows.inside : flows.outside).ends.size();
  const uint64_t windows = std::max<size_t>(all / kWindow, 1);
  const Fill fill = flows.fill(out);
  Tally total;
  for (uint64_t i = 0; i < windows; i++) {
    total += box.window_watched(out ? kInside : kOutside, fill);
    box.drain_log();
  }
  return total;
}

}  // namespace

void measure_expired(Report& report, const Effort& effort) {
  if (effort.wanted(kFamily, {kLive, kOut, kIn}).empty()) return;
  const uint32_t mappings = effort.at_most(1'000'000);
  Box box({.carriage = Carriage::nat44, .subscribers = mappings / kEach, .mappings_each = kEach});
  box.establish();
  Best live, out, in;
  for (unsigned round = 0; round < effort.rounds(); round++) {
    const uint64_t before = box.dropped();
    std::optional<Flows> flows(std::in_place, box, 7);
    live.take(send_live(box, *flows, true, effort.packets()));
    end_all(box);
    out.take(send_each(box, *flows, true));
    box.check_none_dropped_since(before, "new mappings were refused");
    end_all(box);
    flows.emplace(box, 8);
    const Tally dropped = send_each(box, *flows, false);
    in.take(dropped);
    if (box.dropped() - before != dropped.packets)
      throw std::runtime_error("mappings lived on after their end: " + box.drop_reasons());
    box.establish();
  }
  const std::string size = count_text(mappings);
  report.heading(
      fmt::format("expired: {} mappings of nat44, ended in the same millisecond, before any sweep", size));
  const auto add = [&](const std::string& name, const Best& b, const char* what) {
    report.add({.scenario = name,
                .size = size,
                .value = b.rate / 1e6,
                .note = fmt::format("{:.2f} × live, longest burst {:.0f} µs{}", b.rate / live.rate,
                                    b.longest_us, what)});
  };
  add(kLive, live, "");
  add(kOut, out, "; each is made anew");
  add(kIn, in, "; each is dropped");
}

}  // namespace culvert::bench
