#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/checks.h"

namespace culvert::config {
namespace {

struct Demand {
  uint64_t addresses = 0;
  uint64_t blocks = 0;
  uint64_t static_mappings = 0;
};

Demand demand_of(const Record& root) {
  Demand d;
  for (const Record& instance : root.records("instances")) {
    uint64_t here = 0;
    for (const auto& pool : pools_of(instance)) here += pool.size();
    d.addresses += here;
    d.static_mappings += instance.records("mapping-table").size();
    auto range = instance.get<PortRange>("port-range");
    auto size = instance.get<uint64_t>("port-set-size");
    if (range && size) d.blocks += here * (range->size() / *size);
  }
  return d;
}

/// Descriptors of all queues; each may hold a packet buffer.
uint64_t descriptors_of(const Record& root, uint64_t workers) {
  std::set<std::string> counted;
  uint64_t sum = 0;
  for (const Record& i : root.records("interfaces")) {
    auto device = i.get<std::string>("device");
    auto queues = i.get<uint64_t>("queues"), rx = i.get<uint64_t>("rx-descriptors"),
         tx = i.get<uint64_t>("tx-descriptors");
    if (!device || !queues || !rx || !tx) continue;
    if (!counted.insert(device->substr(0, device->find(','))).second) continue;
    sum += (*queues == 0 ? workers : *queues) * (*rx + *tx);
  }
  return sum;
}

}  // namespace

void check_capacity(const Record& root, Report& report) {
  auto workers = root.get<uint64_t>("workers");
  size_t lcores = root.list("lcores").size();
  bool all_right = root.wrote("lcores") && lcores > 0;
  if (workers && all_right && lcores != *workers + 1)
    report.add(root.value_place("lcores"),
               {fmt::format("lcores has {} entr{}", lcores, lcores == 1 ? "y" : "ies"),
                fmt::format("{} worker{} and the control core need {}", *workers, *workers == 1 ? "" : "s",
                            *workers + 1),
                "name the CPU of the control core, then one for each worker, or leave lcores out"});

  const Record capacity = root.child("capacity");
  auto place = [&](std::string_view key) {
    return capacity.wrote(key) ? capacity.value_place(key) : capacity.place;
  };
  const Demand demand = demand_of(root);

  const Key& key = *capacity.section->find("external-addresses");
  auto addresses = capacity.get<uint64_t>("external-addresses");
  if (demand.addresses > key.max)
    report.add(root.key_place("instances"),
               {fmt::format("the pools have {} addresses together", demand.addresses),
                fmt::format("at most {} are possible", key.max), "use smaller pools"});
  else if (addresses && *addresses != 0 && *addresses < demand.addresses)
    report.add(place("external-addresses"),
               {fmt::format("external-addresses {} is less than the {} addresses of the pools", *addresses,
                            demand.addresses),
                "memory for them is taken at start", fmt::format("use {} or more, or 0", demand.addresses)});

  constexpr uint64_t most_blocks = uint64_t{1} << 28;  // ten GiB of block records
  if (demand.addresses <= key.max && demand.blocks > most_blocks)
    report.add(root.key_place("instances"),
               {fmt::format("the pools have {} port blocks together", demand.blocks),
                fmt::format("at most {} are possible", most_blocks), "use larger blocks or smaller pools"});

  auto mappings = capacity.get<uint64_t>("mappings");
  if (mappings && *mappings < demand.static_mappings)
    report.add(
        place("mappings"),
        {fmt::format("mappings {} is less than the {} static mappings", *mappings, demand.static_mappings),
         "they are mappings too", fmt::format("use {} or more", demand.static_mappings)});

  if (!workers) return;
  for (std::string_view shared : {"subscribers", "mappings", "sessions"}) {
    auto value = capacity.get<uint64_t>(shared);
    if (value && *value < *workers)
      report.add(place(shared),
                 {fmt::format("{} {} is less than one for each of {} workers", shared, *value, *workers),
                  "the workers share it evenly", fmt::format("use {} or more", *workers)});
  }
  auto buffers = capacity.get<uint64_t>("packet-buffers");
  uint64_t descriptors = descriptors_of(root, *workers);
  if (buffers && *buffers < descriptors)
    report.add(place("packet-buffers"),
               {fmt::format("packet-buffers {} is less than the {} descriptors of all queues", *buffers,
                            descriptors),
                "each descriptor may hold a buffer, and the devices would stall",
                fmt::format("use {} or more, or fewer descriptors or queues", descriptors)});
}

}  // namespace culvert::config
