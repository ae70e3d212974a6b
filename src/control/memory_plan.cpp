#include "control/memory_plan.h"

#include <fmt/format.h>
#include <rte_mbuf.h>

#include <bit>

#include "dataplane/eal.h"
#include "dataplane/worker.h"

namespace culvert::control {
namespace {

using dataplane::Deadlines;
using dataplane::TaggedIndex;
using dataplane::whole_pages;

constexpr uint64_t kMegabyte = uint64_t{1} << 20;
/// The program, DPDK and its devices, and page tables for the rest; culvertd with small tables takes about
/// that.
constexpr uint64_t kProcess = 48 * kMegabyte;

/// Adds up one part; tables come in their order later.
class Adder {
 public:
  Adder(MemoryPlan& plan, std::string what, std::string leaf, uint64_t count)
      : plan_(plan), at_(plan.parts.size()) {
    plan.parts.push_back({std::move(what), std::move(leaf), count, 0});
  }
  void table(uint64_t bytes) {
    if (bytes == 0) return;
    plan_.tables.push_back({whole_pages(bytes)});
    plan_.parts[at_].bytes += whole_pages(bytes);
  }
  void other(uint64_t bytes) {
    plan_.other += bytes;
    plan_.parts[at_].bytes += bytes;
  }

 private:
  MemoryPlan& plan_;
  size_t at_;
};

void add_packets(MemoryPlan& plan, const config::Config& config) {
  const uint64_t count = config.capacity.packet_buffers;
  const uint16_t mtu = dataplane::largest_mtu(config);
  const uint64_t each =
      rte_mempool_calc_obj_size(static_cast<uint32_t>(sizeof(rte_mbuf)) + dataplane::data_room(mtu),
                                RTE_MEMPOOL_F_NO_IOVA_CONTIG, nullptr);
  plan.packets = whole_pages(count * each);
  plan.packets_reserved = dataplane::packet_memory(config.capacity.packet_buffers, mtu);
  plan.parts.push_back({"packet buffers", "capacity: packet-buffers", count, plan.packets});
  Adder(plan, "ring of free packet buffers", "", 1).other(std::bit_ceil(count + 1) * sizeof(void*));
}

void add_datagrams(MemoryPlan& plan, const config::Config& config) {
  const uint32_t count = config.workers * dataplane::kDatagramBuffers;
  Adder(plan, "buffers for datagrams of fragments", "", count).table(dataplane::datagram_memory(count));
}

void add_pools(MemoryPlan& plan, const config::Config& config) {
  uint64_t blocks = 0;
  Adder add(plan, "port blocks", "external-ip-address-pool", 0);
  const size_t part = plan.parts.size() - 1;
  for (const config::Instance& i : config.instances) {
    uint64_t of_instance = 0;
    for (const auto& p : i.pools) of_instance += p.size();
    const bool split =
        config.workers > 1 && of_instance < uint64_t{dataplane::Registry::kSplitBelow} * config.workers;
    const uint64_t words = (i.ports.set_size + 63u) / 64u;
    for (const auto& p : i.pools) {
      const uint64_t here = p.size() * i.ports.sets_per_address();
      blocks += here;
      add.table(here * sizeof(dataplane::Block));
      add.table(here * dataplane::kPortSpaces * words * sizeof(uint64_t));
      add.table(p.size() * sizeof(dataplane::WorkerId));
      if (split) add.table(here * sizeof(dataplane::WorkerId));
      add.other(config.workers * dataplane::BlockAllocator::bytes_for(static_cast<uint32_t>(p.size()),
                                                                      i.ports.sets_per_address()));
    }
  }
  plan.parts[part].count = blocks;
}

/// A worker's tables, in the order of StatefulBinding's members, then of Reassembly's.
void add_workers(MemoryPlan& plan, const config::Config& config) {
  const uint64_t mappings = share_of(config.capacity.mappings, config.workers);
  const uint64_t sessions = share_of(config.capacity.sessions, config.workers);
  const uint64_t subscribers = share_of(config.capacity.subscribers, config.workers);
  const uint64_t held = share_of(config.hold_down.max, config.workers);
  Adder of_mappings(plan, "mappings", "capacity: mappings", config.capacity.mappings);
  Adder of_sessions(plan, "sessions", "capacity: sessions", config.capacity.sessions);
  Adder of_subscribers(plan, "subscribers", "capacity: subscribers", config.capacity.subscribers);
  const uint32_t fragments = dataplane::fragments_for(config.capacity.packet_buffers, config.workers);
  Adder of_fragments(plan, "fragments that wait", "capacity: packet-buffers", config.capacity.packet_buffers);
  Adder of_held(plan, "ports in hold-down", "hold-down-max", config.hold_down.max);
  for (unsigned w = 0; w < config.workers; w++) {
    of_mappings.table(mappings * sizeof(dataplane::Mapping));
    of_mappings.table(TaggedIndex::bytes_for(mappings));
    of_mappings.table(TaggedIndex::bytes_for(mappings));
    of_sessions.table(sessions * sizeof(dataplane::Session));
    of_sessions.table(TaggedIndex::bytes_for(sessions));
    of_subscribers.table(subscribers * sizeof(dataplane::Subscriber));
    of_subscribers.table(TaggedIndex::bytes_for(subscribers));
    of_held.table(held * sizeof(dataplane::HeldItem));
    of_mappings.table(Deadlines::bytes_for(mappings));
    of_sessions.table(Deadlines::bytes_for(sessions));
    for (unsigned side = 0; side < 2; side++)
      for (const size_t bytes : dataplane::Reassembly::tables_for(fragments)) of_fragments.table(bytes);
  }
}

/// What the recorder and the sealing of segments take as they go.
void add_ledger(MemoryPlan& plan, const config::Config& config) {
  // Who has a block (logging/ledger/state.h), while a table doubles; a segment's records (seal.h).
  constexpr uint64_t kSubscriber = 400, kEvent = 48;
  const uint64_t subscribers = config.capacity.subscribers, events = config.logging.segment_events;
  Adder(plan, "subscribers in the ledger", "capacity: subscribers", subscribers)
      .other(subscribers * kSubscriber);
  Adder(plan, "sealing a segment of the ledger", "logging: ledger-segment-events", events)
      .other(events * kEvent);
}

std::string size_text(uint64_t bytes) {
  if (bytes >= 1024 * kMegabyte)
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * kMegabyte));
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMegabyte);
}

std::vector<MemoryPlan::Part> largest_first(const MemoryPlan& plan) {
  auto parts = plan.parts;
  std::ranges::sort(parts, std::ranges::greater{}, &MemoryPlan::Part::bytes);
  return parts;
}

/// Two digits and zeros, not above n.
uint64_t round_down(uint64_t n) {
  uint64_t unit = 1;
  while (n / unit >= 100) unit *= 10;
  return n / unit * unit;
}

/// What to lower so that `missing` bytes are saved: one leaf, or the few largest by the same share.
std::string remedy(const MemoryPlan& plan, uint64_t missing) {
  std::vector<std::string> leaves;
  uint64_t sum = 0;
  for (const auto& part : largest_first(plan)) {
    if (part.leaf.empty() || sum > missing) continue;
    sum += part.bytes;
    leaves.push_back(part.leaf);
    if (leaves.size() == 1 && sum > missing && part.leaf != "external-ip-address-pool") {
      const double kept = 1 - static_cast<double>(missing) / static_cast<double>(sum);
      return fmt::format(
          "lower {} to {}", part.leaf,
          std::max<uint64_t>(1, round_down(static_cast<uint64_t>(static_cast<double>(part.count) * kept))));
    }
  }
  if (sum <= missing) return "no capacity is small enough for this machine";
  const auto kept =
      static_cast<unsigned>(100 * (1 - static_cast<double>(missing) / static_cast<double>(sum)));
  return fmt::format("lower {} to {} %", fmt::join(leaves, ", "), std::max(1u, kept));
}

}  // namespace

uint64_t MemoryPlan::table_bytes() const {
  uint64_t sum = 0;
  for (const Table& t : tables) sum += t.bytes;
  return sum;
}

MemoryPlan plan_memory(const config::Config& config) {
  MemoryPlan plan;
  add_packets(plan, config);
  add_datagrams(plan, config);
  add_pools(plan, config);
  add_workers(plan, config);
  add_ledger(plan, config);
  Adder rings(plan, "rings and the program", "", 1);
  rings.other(kProcess);
  rings.other(config.workers *
              (logging::EventRing::bytes_for(logging::EventRing::kUsualCapacity) + 5120 * sizeof(void*)));
  return plan;
}

std::string text_of(const MemoryPlan& plan) {
  std::string text;
  for (const auto& p : largest_first(plan)) {
    if (!text.empty()) text += '\n';
    if (p.count > 1)
      text += fmt::format("  {:>10}  {}: {} of {:.1f} bytes", size_text(p.bytes), p.what, p.count,
                          static_cast<double>(p.bytes) / static_cast<double>(p.count));
    else
      text += fmt::format("  {:>10}  {}", size_text(p.bytes), p.what);
  }
  return text;
}

std::string shortage(const MemoryPlan& plan, const MemoryThere& there) {
  uint64_t huge = there.huge, ordinary = plan.other;
  if (there.huge_of_all >= plan.packets_reserved)
    huge -= std::min(huge, plan.packets - std::min(plan.packets, there.huge_of_all - there.huge));
  else
    ordinary += plan.packets;
  for (const auto& t : plan.tables) {
    // take_pages() asks for huge pages from 2 MiB on.
    const uint64_t rounded =
        there.huge_page == 0 ? 0 : (t.bytes + there.huge_page - 1) / there.huge_page * there.huge_page;
    if (t.bytes >= 2 * kMegabyte && rounded != 0 && rounded <= huge)
      huge -= rounded;
    else
      ordinary += t.bytes;
  }
  if (ordinary <= there.ordinary) return {};
  const uint64_t missing = ordinary - there.ordinary;
  std::string text = fmt::format("not enough memory: {} are taken, and {} more are needed than there are\n",
                                 size_text(plan.bytes()), size_text(missing));
  text += text_of(plan) + '\n';
  text += fmt::format("there: {} ({})", size_text(there.ordinary), there.limited_by);
  if (there.huge != 0)
    text += fmt::format(
        ", {} in free huge pages, of which {} can be used: a table lies in them wholly or not at all",
        size_text(there.huge), size_text(there.huge - huge));
  text += fmt::format("\n{}, or make {} more available", remedy(plan, missing), size_text(missing));
  return text;
}

}  // namespace culvert::control
