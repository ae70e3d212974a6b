#include <fmt/format.h>

#include <random>
#include <stdexcept>

#include "box.h"
#include "dataplane/huge_array.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

/// Bytes taken at start, without packet buffers, by each mapping that is accepted before the first is refused
/// for want of memory — after half of them were ended and made anew, at random.
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
  auto& binding = box.worker().binding();
  const auto& tables = box.engine().tables();
  const FrameMaker maker(Carriage::ds_lite, Protocol::udp, kSmallestIpv4, {{2, 0, 0, 0, 0, 1}},
                         {{2, 0, 0, 0, 0, 9}});
  std::mt19937_64 random(3);
  const uint32_t all = subscribers * each;
  std::vector<uint32_t> ended;
  for (uint32_t i = 0; i < all; i++)
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
  const uint32_t accepted = binding.mappings().size();
  report.add({.scenario = fmt::format("{} subscribers × {}", count_text(subscribers), each),
              .size = count_text(all),
              .value = static_cast<double>(taken) / accepted,
              .unit = "bytes a mapping",
              .per_packet = false,
              .note = fmt::format("{} MiB taken, {} of {} accepted", taken >> 20, accepted, all)});
}

}  // namespace

void measure_memory(Report& report) {
  report.heading("memory, everything but packet buffers");
  measure(report, 1'000'000, 10);
  measure(report, 50'000, 200);
}

}  // namespace culvert::bench
