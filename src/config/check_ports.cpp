#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/checks.h"

namespace culvert::config {
namespace {

constexpr uint16_t first_user_port = 1024;  // RFC 6335 §6

/// Sizes near `size` that divide `range`: the next smaller, the next larger and the nearest power of two.
std::vector<std::string> sizes_near(uint64_t size, uint32_t range, uint64_t min, uint64_t max) {
  uint64_t below = 0, above = 0, power = 0;
  auto distance = [&](uint64_t a) { return a > size ? a - size : size - a; };
  for (uint64_t d = min; d <= std::min<uint64_t>(max, range); d++) {
    if (range % d != 0) continue;
    if (d < size) below = d;
    if (d > size && above == 0) above = d;
    if ((d & (d - 1)) == 0 && (power == 0 || distance(d) < distance(power))) power = d;
  }
  std::set<uint64_t> near{below, above, power};
  near.erase(0);
  std::vector<std::string> out;
  for (uint64_t d : near) out.push_back(std::to_string(d));
  return out;
}

void check_set_size(const Record& instance, const PortRange& range, Report& report) {
  auto size = instance.get<uint64_t>("port-set-size");
  if (!size) return;
  bool written = instance.wrote("port-set-size");
  Place place = instance.value_place(written ? "port-set-size" : "port-range");
  const Key& key = *instance.section->find("port-set-size");
  if (range.size() % *size != 0) {
    auto near = sizes_near(*size, range.size(), key.min, key.max);
    report.add(place, {fmt::format("port-set-size {} does not divide the {} ports of {}", *size, range.size(),
                                   range.text()),
                       "blocks have to cover the range exactly, or ports would lie idle (RFC 6888 REQ-13)",
                       near.empty() ? std::string("use another port-range")
                                    : fmt::format("use {}", alternatives(near))});
    return;
  }
  if (!instance.wrote("port-sets-per-subscriber")) return;  // the default yields to what an address has
  auto sets = instance.get<uint64_t>("port-sets-per-subscriber");
  uint64_t there = range.size() / *size;
  if (sets && *sets > there)
    report.add(instance.value_place("port-sets-per-subscriber"),
               {fmt::format("port-sets-per-subscriber is {}, but an address has {} block{} of {} ports",
                            *sets, there, there == 1 ? "" : "s", *size),
                "a subscriber's blocks are all on one address (RFC 6888 REQ-2, RFC 4787 REQ-2)",
                fmt::format("use {} or less, or smaller blocks", there)});
}

void check_range(const Record& instance, std::string_view key, Report& report) {
  auto range = instance.get<PortRange>(key);
  if (!range || range->first >= first_user_port || instance.get<bool>("allow-system-ports").value_or(true))
    return;
  report.add(instance.value_place(key),
             {fmt::format("{} {} begins below 1024", key, range->text()),
              "these are system ports, which servers trust and firewalls treat apart (RFC 6335 §6)",
              range->last >= first_user_port
                  ? fmt::format("use {}-{}, or set allow-system-ports: true", first_user_port, range->last)
                  : std::string("use ports from 1024, or set allow-system-ports: true")});
}

}  // namespace

void check_ports(const Record& root, Report& report) {
  for (const Record& instance : root.records("instances")) {
    check_range(instance, "port-range", report);
    check_range(instance, "explicit-port-range", report);
    auto dynamic = instance.get<PortRange>("port-range");
    if (!dynamic) continue;
    check_set_size(instance, *dynamic, report);
    auto kept = instance.get<PortRange>("explicit-port-range");
    if (kept && kept->overlaps(*dynamic)) {
      std::string fix = kept->first <= dynamic->first && kept->last < dynamic->last
                            ? fmt::format("set port-range: {}-{}", kept->last + 1, dynamic->last)
                        : kept->last >= dynamic->last && kept->first > dynamic->first
                            ? fmt::format("set port-range: {}-{}", dynamic->first, kept->first - 1)
                            : std::string("take it from the beginning or the end of the ports");
      report.add(instance.value_place("explicit-port-range"),
                 {fmt::format("explicit-port-range {} overlaps port-range {}", kept->text(), dynamic->text()),
                  "an explicit port must not lie in somebody's block (RFC 6888 REQ-9)",
                  fix + ", and a port-set-size that divides it"});
    }
  }
}

}  // namespace culvert::config
