#include "flows.h"

#include <algorithm>
#include <random>
#include <stdexcept>

namespace culvert::bench {

Flows::Flows(Box& box, uint64_t seed, int worker) {
  const Carriage carriage = box.plan().carriage;
  const auto add_makers = [&](unsigned size) {
    for (const bool out : {true, false})
      makers_.emplace_back(carriage, Protocol::udp, size, out ? kInsideMac : kOutsideMac, kNeighbourMac);
  };
  std::ranges::for_each(kSizes, add_makers);
  add_makers(kSmallestIpv4);
  for (unsigned i : {2 * kFragmentable, 2 * kFragmentable + 1}) makers_[i].clear_dont_fragment();
  for (unsigned w = 0; w < box.plan().workers; w++) {
    if (worker != kAllWorkers && static_cast<unsigned>(worker) != w) continue;
    const auto& table = box.worker(w).binding().mappings();
    for (uint32_t id = 0; id < table.high_water(); id++) {
      if (!table[id].in_use) continue;
      inside.ends.push_back({subscriber_of(carriage, table[id].internal), table[id].internal.port.value()});
      outside.ends.push_back({table[id].external_address.value(), table[id].external_port.value()});
    }
  }
  if (inside.ends.empty()) throw std::runtime_error("no mapping is live");
  std::mt19937_64 random(seed);
  std::shuffle(inside.ends.begin(), inside.ends.end(), random);
  std::shuffle(outside.ends.begin(), outside.ends.end(), random);
}

Tally send_live(Box& box, Flows& flows, bool out, uint64_t packets) {
  const uint64_t dropped = box.dropped();
  const Fill fill = flows.fill(out);
  Tally total;
  while (total.packets < packets) total += box.window_watched(out ? kInside : kOutside, fill);
  box.check_none_dropped_since(dropped);
  return total;
}

}  // namespace culvert::bench
