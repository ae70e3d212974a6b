#include "control/engine.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <stdexcept>

#include "control/levelling.h"
#include "control/memory_plan.h"

namespace culvert::control {
namespace {

using dataplane::BlockAllocator;
using dataplane::Pool;
using dataplane::Tables;
using dataplane::Worker;

constexpr Millis kLevelEvery = 100;
constexpr Millis kRetireEvery = 1000;

uint64_t pool_addresses(const config::Config& c) {
  uint64_t n = 0;
  for (const auto& i : c.instances)
    for (const auto& p : i.pools) n += p.size();
  return n;
}

/// Expands a seed into independent words (splitmix64).
class Seeds {
 public:
  explicit Seeds(uint64_t seed) : state_(seed) {
    if (seed == 0 && getrandom(&state_, sizeof state_, 0) != sizeof state_)
      throw std::runtime_error("the kernel gave no random numbers (getrandom)");
  }
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

 private:
  uint64_t state_;
};

/// Sets the cell of a static MAC and says whether there is a next hop at all.
template <typename Address>
const dataplane::NextHopCell* cell_for(const config::NextHop<Address>& hop, dataplane::NextHopCell& cell) {
  if (std::holds_alternative<std::monostate>(hop)) return nullptr;
  if (const auto* mac = std::get_if<net::MacAddress>(&hop)) cell.set(*mac);
  return &cell;
}

}  // namespace

Engine::Engine(const config::Config& config, std::vector<InterfaceFacts> facts, const Options& options,
               Millis now)
    : config_(config),
      facts_(std::move(facts)),
      next_hops_(2 * config.interfaces.size()),
      registry_(config.workers,
                config.capacity.external_addresses != 0 ? config.capacity.external_addresses
                                                        : static_cast<uint32_t>(pool_addresses(config)),
                options.rss) {
  started_with_ = now;
  if (config.interfaces.empty() || config.interfaces.size() > dataplane::kMaxInterfaces)
    throw std::runtime_error(fmt::format(
        "{} interfaces; there is one inside and one outside, or one that is both", config.interfaces.size()));
  const unsigned n = config.workers;
  fabric_ = std::make_unique<dataplane::Fabric>(n, 4096, options.buffers);
  auto built = registry_.build(config, now, [this](const logging::ledger::Definitions& d) {
    definitions_ = d;
    return std::string();
  });
  if (!built.error.empty()) throw std::runtime_error(built.error);
  Division division;
  if (options.inheritance != nullptr) {
    division = divide(*options.inheritance, *built.tables, now);
    registry_.inherit(division.pins);
    // Once more, since static mappings follow their addresses' owners.
    built.tables = registry_.build(config, now).tables;
  }
  fill_interfaces(*built.tables, config);

  Seeds seeds(options.seed);
  for (unsigned i = 0; i < n; i++) {
    rings_.push_back(options.ring_files ? std::make_unique<logging::EventRing>(
                                              logging::ring_path(config.logging.ring_directory, i),
                                              options.event_ring_size, now)
                                        : std::make_unique<logging::EventRing>(options.event_ring_size));
    dataplane::BindingSetup setup;
    setup.self = static_cast<WorkerId>(i);
    setup.mappings = share_of(config.capacity.mappings, n);
    setup.sessions = share_of(config.capacity.sessions, n);
    setup.subscribers = share_of(config.capacity.subscribers, n);
    setup.held = share_of(config.hold_down.max, n);
    setup.fragments = dataplane::fragments_for(options.buffers == nullptr ? 0 : options.buffers->size, n);
    for (uint64_t& w : setup.hash_key.word) w = seeds.next();
    setup.seed = seeds.next();
    setup.log = rings_.back().get();
    setup.strict = options.ring_files && config.logging.strict;
    workers_.push_back(std::make_unique<Worker>(setup, *fabric_));
    // Nobody runs the workers yet, so this thread may touch their state.
    for (const auto& pool : built.added)
      workers_.back()->binding().blocks().attach(std::make_unique<BlockAllocator>(*pool, setup.self));
  }
  tables_ = std::move(built.tables);
  fabric_->tables.store(tables_.get(), std::memory_order_release);
  give_back(division, now);
  add_statics(options.inheritance == nullptr ? Inheritance() : *options.inheritance);
}

Engine::~Engine() = default;

/// Makes the static mappings; those that are on record so are not put there again.
void Engine::add_statics(const Inheritance& inheritance) {
  for (const auto& worker : workers_)
    worker->binding().blocks().give_nothing_before(inheritance.nothing_new_before);
  auto left = inheritance.mappings;
  for (const dataplane::StaticEntry& entry : tables_->statics) {
    const bool known = on_record(inheritance, *tables_, entry);
    if (known) left.erase(endpoint_of(entry));
    add_static(entry, known);
  }
  for (const auto& [endpoint, binding] : left) mappings_that_left_.push_back(endpoint);
}

/// Gives subscribers the blocks that they held in the run before; nobody runs the workers yet.
void Engine::give_back(const Division& division, Millis now) {
  disinherited_ = division.refused;
  for (const Division::Rest& r : division.rests)
    workers_[tables_->pools[r.pool]->block_owner(r.block)]->binding().blocks().rest(*tables_, r.pool, r.block,
                                                                                    r.since);
  for (const Division::Share& s : division.shares) {
    dataplane::StatefulBinding& binding = workers_[s.worker]->binding();
    if (binding.inherit(*tables_, s.who, s.mask, s.pool, s.block, now)) continue;
    disinherited_.push_back(s.number);
    binding.blocks().rest(*tables_, s.pool, s.block, now);
  }
}

std::vector<logging::EventRing*> Engine::rings() {
  std::vector<logging::EventRing*> rings;
  for (const auto& r : rings_) rings.push_back(r.get());
  return rings;
}

void Engine::fill_interfaces(Tables& tables, const config::Config& config) {
  for (size_t i = 0; i < config.interfaces.size(); i++) {
    const config::Interface& c = config.interfaces[i];
    dataplane::InterfaceView v;
    v.number = static_cast<uint8_t>(i);
    v.port = facts_[i].port;
    v.mac = facts_[i].mac;
    v.any_mac = facts_[i].any_mac;
    v.role = c.role;
    v.vlan = c.vlan.value_or(0);
    v.mtu = c.mtu;
    v.name = c.name;
    v.next_hop_ipv4 = cell_for(c.next_hop_ipv4, next_hop_ipv4(static_cast<unsigned>(i)));
    v.next_hop_ipv6 = cell_for(c.next_hop_ipv6, next_hop_ipv6(static_cast<unsigned>(i)));
    if (!c.ipv4_addresses.empty()) v.ipv4 = c.ipv4_addresses.front().address;
    if (!c.ipv6_addresses.empty()) v.ipv6 = c.ipv6_addresses.front().address;
    if (c.role != config::Role::outside) tables.inside = v.number;
    if (c.role != config::Role::inside) tables.outside = v.number;
    tables.interfaces.push_back(v);
  }
  const unsigned mtu = config.interfaces[tables.inside].mtu;
  for (dataplane::InstanceView& i : tables.instances) {
    constexpr unsigned kGrowth[] = {0, sizeof(net::Ipv6Header),
                                    sizeof(net::Ipv6Header) - sizeof(net::Ipv4Header)};
    unsigned fits =
        mtu - kGrowth[static_cast<size_t>(i.carriage)];  // by carriage: RFC 2473 §7, RFC 7915 §4.1
    if (i.softwire_mtu != 0) fits = std::min<unsigned>(fits, i.softwire_mtu);
    i.inbound_mtu = static_cast<uint16_t>(fits);
  }
}

/// What of a changed configuration only a restart can do; empty when nothing.
std::string Engine::needs_restart(const config::Config& next) const {
  const config::Config& now = config_;
  auto differs = [](const char* key, auto is, auto wanted) {
    return fmt::format("{} is {} and would become {}; this needs a restart, nothing was changed", key, is,
                       wanted);
  };
  if (next.workers != now.workers) return differs("workers", now.workers, next.workers);
  if (next.lcores != now.lcores) return "lcores changed; this needs a restart, nothing was changed";
  const config::Capacity &a = now.capacity, &b = next.capacity;
  if (a.subscribers != b.subscribers) return differs("capacity subscribers", a.subscribers, b.subscribers);
  if (a.mappings != b.mappings) return differs("capacity mappings", a.mappings, b.mappings);
  if (a.sessions != b.sessions) return differs("capacity sessions", a.sessions, b.sessions);
  if (a.packet_buffers != b.packet_buffers)
    return differs("capacity packet-buffers", a.packet_buffers, b.packet_buffers);
  // external-addresses left out means "as many as at start": a file without it asks for nothing.
  if (now.hold_down.max != next.hold_down.max)
    return differs("hold-down-max", now.hold_down.max, next.hold_down.max);
  const config::Logging &l = now.logging, &m = next.logging;
  if (l.strict != m.strict)
    return differs("durability", l.strict ? "strict" : "buffered", m.strict ? "strict" : "buffered");
  if (l.ledger_directory != m.ledger_directory)
    return differs("ledger-directory", l.ledger_directory, m.ledger_directory);
  if (l.segment_events != m.segment_events)
    return differs("ledger-segment-events", l.segment_events, m.segment_events);
  if (l.ring_directory != m.ring_directory)
    return differs("ring-directory", l.ring_directory, m.ring_directory);
  if (now.control_socket != next.control_socket)
    return differs("control-socket", now.control_socket, next.control_socket);
  if (now.metrics_address != next.metrics_address)
    return differs("metrics-address", now.metrics_address, next.metrics_address);
  if (now.interfaces.size() != next.interfaces.size())
    return differs("the number of interfaces", now.interfaces.size(), next.interfaces.size());
  for (size_t i = 0; i < now.interfaces.size(); i++) {
    const config::Interface &x = now.interfaces[i], &y = next.interfaces[i];
    const bool same = x.name == y.name && x.device == y.device && x.role == y.role && x.vlan == y.vlan &&
                      x.mtu == y.mtu && x.queues == y.queues && x.rx_descriptors == y.rx_descriptors &&
                      x.tx_descriptors == y.tx_descriptors && x.ipv4_addresses == y.ipv4_addresses &&
                      x.ipv6_addresses == y.ipv6_addresses;
    if (!same)
      return fmt::format(
          "interface {} changed in more than its next hops; this needs a restart, nothing was changed",
          x.name);
  }
  return {};
}

std::string Engine::apply(const config::Config& next, Millis now) {
  if (std::string reason = needs_restart(next); !reason.empty()) return reason;
  auto built = registry_.build(next, now, define);
  if (!built.error.empty()) return built.error;
  fill_interfaces(*built.tables, next);
  for (const auto& pool : built.added) {
    for (unsigned w = 0; w < workers(); w++) {
      // Made here: it takes memory and time that a worker does not have.
      auto allocator = std::make_unique<BlockAllocator>(*pool, static_cast<WorkerId>(w));
      run(static_cast<WorkerId>(w), [&](Worker& worker, const Tables&, Millis) {
        worker.binding().blocks().attach(std::move(allocator));
      });
    }
  }
  const std::vector<dataplane::StaticEntry> before = tables_->statics;
  config_ = next;
  publish(std::move(built.tables));
  const auto& after = tables_->statics;
  auto missing = [](const auto& from, const auto& e) {
    return std::find(from.begin(), from.end(), e) == from.end();
  };
  if (before != after) {
    for (const auto& e : before)
      if (missing(after, e)) departing_.push_back(e);
    remove_statics();
  }
  expel_strangers();
  warn_of_masks();
  for (const auto& e : after)
    if (missing(before, e)) add_static(e);
  return {};
}

/// Ends static mappings that left the configuration; those whose record found no room stay for the next tick.
void Engine::remove_statics() {
  for (auto e = departing_.begin(); e != departing_.end();) {
    bool done = true;
    run_everywhere(
        [&](Worker& w, const Tables& t, Millis at) { done = w.binding().remove_static(t, *e, at) && done; });
    e = done ? departing_.erase(e) : e + 1;
  }
}

/// Sends away subscribers who, under the new tables, are not their worker's any more.
void Engine::expel_strangers() {
  constexpr uint32_t kAtOnce = 512;
  for (unsigned w = 0; w < workers(); w++) {
    uint32_t end = 0;
    for (uint32_t from = 0; from == 0 || from < end; from += kAtOnce) {
      run(static_cast<WorkerId>(w), [&](Worker& worker, const Tables& t, Millis at) {
        end = worker.binding().subscribers().high_water();
        worker.binding().expel(t, from, from + kAtOnce, at);
      });
    }
  }
}

/// A subscriber-mask shorter than the one that RSS was set up for at the start: correct, but slower.
void Engine::warn_of_masks() {
  const dataplane::SubscriberRss* rss = tables_->steering.rss();
  if (rss == nullptr || rss->keeps(dataplane::shortest_masks(config_))) return;
  warnings_.push_back(fmt::format(
      "RSS was set up at the start for {}, and there are subscribers with shorter masks now: more "
      "packets go from worker to worker until culvertd is restarted",
      rss->text()));
}

void Engine::publish(std::unique_ptr<Tables> tables) {
  owners_version_++;
  std::swap(tables_, tables);
  fabric_->tables.store(tables_.get(), std::memory_order_release);
  if (synchronize) synchronize();
}

void Engine::add_static(const dataplane::StaticEntry& entry, bool on_record) {
  const Pool* pool = tables_->pool_of(entry.external.address);
  if (pool == nullptr) return;
  const WorkerId owner = pool->address_owner(pool->index_of(entry.external.address));
  run(owner, [&](Worker& worker, const Tables& t, Millis at) {
    auto outcome = worker.binding().add_static(t, entry, at, on_record);
    if (const auto* why = std::get_if<dataplane::DropReason>(&outcome))
      warnings_.push_back(fmt::format("static mapping of {}:{} could not be made: {}",
                                      entry.external.address.text(), entry.external.port.value(),
                                      name_of(*why)));
  });
}

void Engine::run(WorkerId worker, Worker::Task task) {
  Worker& w = *workers_[worker];
  w.post(std::move(task));
  while (!w.idle()) {
    if (pump)
      pump();
    else
      w.poll(started_with_);
  }
}

void Engine::run_everywhere(const Worker::Task& task) {
  for (unsigned w = 0; w < workers(); w++) run(static_cast<WorkerId>(w), task);
}

void Engine::tick(Millis now) {
  if (workers() > 1 && now >= levelled_ + kLevelEvery) {
    levelled_ = now;
    for (const auto& pool : registry_.pools())
      if (pool && !pool->draining) level(*pool);
  }
  if (!departing_.empty()) remove_statics();
  if (tables_->draining && now >= retired_ + kRetireEvery) {
    retired_ = now;
    retire_pools(now);
  }
}

/// Moves free blocks from the worker with the most to the one with the least, when that one runs low.
void Engine::level(Pool& pool) {
  std::vector<uint32_t> free(workers());
  for (unsigned w = 0; w < workers(); w++) free[w] = workers_[w]->binding().blocks().free_blocks(pool.slot());
  const auto move = choose_move(free, pool.split() ? 1 : pool.sets());
  if (!move) return;
  std::vector<uint32_t> entries;
  run(move->donor, [&](Worker& w, const Tables&, Millis) {
    entries = w.binding().blocks().allocator(pool.slot())->surrender(move->blocks);
  });
  if (entries.empty()) return;
  owners_version_++;
  for (uint32_t e : entries) {
    if (pool.split())
      pool.set_block_owner(e, move->needy);
    else
      pool.set_address_owner(e, move->needy);
  }
  run(move->needy,
      [&](Worker& w, const Tables&, Millis) { w.binding().blocks().allocator(pool.slot())->adopt(entries); });
}

/// Draining pools all of whose blocks are free.
std::vector<uint16_t> Engine::drained_pools() const {
  std::vector<uint16_t> slots;
  for (const auto& pool : registry_.pools()) {
    if (!pool || !pool->draining) continue;
    uint32_t free = 0;
    for (const auto& w : workers_) free += w->binding().blocks().free_blocks(pool->slot());
    if (free == pool->block_count()) slots.push_back(pool->slot());
  }
  return slots;
}

void Engine::retire_pools(Millis now) {
  const std::vector<uint16_t> slots = drained_pools();
  if (slots.empty()) return;
  std::vector<std::shared_ptr<Pool>> last;  // outlive the workers' allocators
  for (uint16_t slot : slots) {
    last.push_back(registry_.pools()[slot]);
    registry_.forget(slot);
  }
  auto built = registry_.build(config_, now);
  if (!built.error.empty()) return;  // cannot be: the same configuration was built before
  fill_interfaces(*built.tables, config_);
  publish(std::move(built.tables));
  for (uint16_t slot : slots)
    run_everywhere([&](Worker& w, const Tables&, Millis) { w.binding().blocks().detach(slot); });
}

}  // namespace culvert::control
