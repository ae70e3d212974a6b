#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "box.h"
#include "dataplane/huge_array.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "memory";

std::string name_of(uint32_t subscribers, uint32_t each) {
  return fmt::format("{} subscribers × {}", count_text(subscribers), each);
}

/// Ends half of all mappings, at random, and makes them anew.
void renew_half(Box& box) {
  auto& binding = box.worker().binding();
  const auto& tables = box.engine().tables();
  const uint32_t each = box.plan().mappings_each;
  const FrameMaker maker(box.plan().carriage, Protocol::udp, kSmallestIpv4, kInsideMac, kNeighbourMac);
  std::mt19937_64 random(3);
  std::vector<uint32_t> ended;
  for (uint32_t i = 0; i < box.plan().mappings(); i++)
    if ((random() & 1) != 0) ended.push_back(i);
  std::shuffle(ended.begin(), ended.end(), random);
  for (const uint32_t i : ended)
    binding.clear_mapping(tables, binding.mappings().find(box.key_of(i)), box.now());
  for (size_t at = 0; at < ended.size(); at += kWindow) {
    box.window(kInside, [&](uint8_t* frame, unsigned i) {
      const uint32_t n = ended[std::min(at + i, ended.size() - 1)];
      return maker.outbound(frame, n / each, box.port_of(n));
    });
    box.drain_log();
  }
}

/// Bytes taken at start, without packet buffers, by each mapping that is accepted before the first is refused
/// for want of memory — after half of them were ended and made anew. Beside it the memory that the whole
/// process has by then.
void measure(Report& report, uint32_t subscribers, uint32_t each) {
  const size_t before = dataplane::pages_in_use();
  // Hold-down would keep the ended mappings' ports, not their memory: it is none here, so that homes may have
  // all ports.
  Box box({.carriage = Carriage::ds_lite,
           .subscribers = subscribers,
           .mappings_each = each,
           .mapping_capacity = subscribers * each,
           .subscriber_capacity = subscribers,
           .hold_down_seconds = 0});
  const size_t taken = dataplane::pages_in_use() - before - box.buffer_bytes();
  box.establish();
  renew_half(box);
  const uint32_t all = box.plan().mappings(), accepted = box.mappings();
  report.add({.scenario = name_of(subscribers, each),
              .size = count_text(all),
              .value = static_cast<double>(taken) / accepted,
              .unit = "bytes a mapping",
              .per_packet = false,
              .resident = resident_mib(),
              .note = fmt::format("{} MiB taken, {} of {} accepted", taken >> 20, accepted, all)});
}

}  // namespace

void measure_memory(Report& report, const Effort& effort) {
  struct Homes {
    uint32_t subscribers, each;
  };
  const uint32_t all = effort.at_most(effort.quick ? 2'500'000 : 10'000'000);
  std::vector<Homes> wanted;
  for (const uint32_t each : {10u, 200u})
    if (effort.wants(kFamily, name_of(std::max(all / each, 1u), each)))
      wanted.push_back({std::max(all / each, 1u), each});
  if (wanted.empty()) return;
  report.heading("memory: everything but packet buffers");
  for (const Homes& h : wanted) measure(report, h.subscribers, h.each);
}

}  // namespace culvert::bench
