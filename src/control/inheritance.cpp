#include "control/inheritance.h"

#include <tsl/robin_map.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "net/mapped.h"

namespace culvert::control {
namespace {

using dataplane::BlockIndex;
using dataplane::Pool;
using dataplane::SubscriberKey;
using dataplane::Tables;
using logging::ledger::State;

/// Subscribers and addresses as numbers, joined to groups that one worker must own.
class Groups {
 public:
  uint32_t add() {
    parents_.push_back(static_cast<uint32_t>(parents_.size()));
    return parents_.back();
  }
  uint32_t root(uint32_t n) {
    while (parents_[n] != n) n = parents_[n] = parents_[parents_[n]];
    return n;
  }
  size_t size() const { return parents_.size(); }
  /// The group of `a` keeps its root.
  void join(uint32_t a, uint32_t b) { parents_[root(b)] = root(a); }

 private:
  std::vector<uint32_t> parents_;
};

class Divider {
 public:
  Divider(const Inheritance& from, const Tables& tables, Millis now)
      : from_(from), tables_(tables), now_(now) {}

  Division divide() {
    division_.shares.reserve(from_.blocks.size());
    holders_.reserve(from_.blocks.size());
    for (const Inheritance::Block& b : from_.blocks) place(b);
    for (const Inheritance::Rest& r : from_.rests) rest(r);
    std::ranges::stable_sort(division_.rests, {}, &Division::Rest::since);
    for (const dataplane::StaticEntry& e : tables_.statics) {
      const Pool* pool = tables_.pool_of(e.external.address);
      const auto known = subscribers_.find(e.subscriber);
      if (pool == nullptr || known == subscribers_.end()) continue;
      groups_.join(known->second, address(*pool, pool->index_of(e.external.address)));
    }
    deal();
    return std::move(division_);
  }

 private:
  /// The slot of the instance that a number of the ledger stands for, if it is configured.
  std::optional<uint8_t> instance_slot(uint64_t number) const {
    const auto note = from_.instances.find(number);
    if (note == from_.instances.end()) return std::nullopt;
    for (size_t slot = 0; slot < tables_.instances.size(); slot++) {
      const dataplane::InstanceView& i = tables_.instances[slot];
      if (i.configured && i.name == note->second.name &&
          static_cast<uint8_t>(i.carriage) == note->second.carriage)
        return static_cast<uint8_t>(slot);
    }
    return std::nullopt;
  }

  void place(const Inheritance::Block& b) {
    Pool* pool = tables_.pool_of(b.external);
    const auto instance = instance_slot(b.instance);
    if (pool != nullptr && instance && pool->instance() == *instance) {
      const dataplane::SubscriberRule* rule =
          tables_.rule_for(tables_.instances[*instance].carriage, b.subscriber);
      const BlockIndex block = pool->block_of(pool->index_of(b.external), b.first_port);
      if (rule != nullptr && rule->instance == *instance &&
          rule->prefix_length(tables_.instances[*instance].carriage) == b.length &&
          block != dataplane::kNoBlock && pool->first_port(block) == b.first_port &&
          pool->last_port(block) == b.last_port && pool->block(block).state == dataplane::BlockState::free)
        return give(b, *pool, block, {b.subscriber, *instance});
    }
    division_.refused.push_back(b.number);
    rest({b.external, b.first_port, b.last_port, now_});
  }

  void give(const Inheritance::Block& b, Pool& pool, BlockIndex block, const SubscriberKey& who) {
    pool.block(block).state = dataplane::BlockState::live;
    const uint32_t holder = number_of(subscribers_, who);
    if (!pool.split()) groups_.join(holder, address(pool, block / pool.sets()));
    holders_.push_back(holder);
    division_.shares.push_back({b.number, who, b.length, pool.slot(), block, 0});
  }

  /// All blocks that have one of these ports.
  void rest(const Inheritance::Rest& r) {
    Pool* pool = tables_.pool_of(r.external);
    if (pool == nullptr || r.since + tables_.hold_ms <= now_) return;
    const uint32_t index = pool->index_of(r.external);
    for (uint32_t port = r.first_port; port <= r.last_port;) {
      const BlockIndex block = pool->block_of(index, static_cast<uint16_t>(port));
      port = block == dataplane::kNoBlock ? port + 1 : pool->last_port(block) + 1u;
      if (block == dataplane::kNoBlock || pool->block(block).state != dataplane::BlockState::free) continue;
      pool->block(block).state = dataplane::BlockState::held;
      division_.rests.push_back({pool->slot(), block, r.since});
    }
  }

  template <typename Map>
  uint32_t number_of(Map& map, const typename Map::key_type& key) {
    const auto [at, fresh] = map.try_emplace(key, static_cast<uint32_t>(groups_.size()));
    if (fresh) groups_.add();
    return at->second;
  }
  uint32_t address(const Pool& pool, uint32_t index) {
    return number_of(addresses_, uint64_t{pool.slot()} << 32 | index);
  }

  /// Gives each group to the worker that the hash names for one of its subscribers.
  void deal() {
    const dataplane::Steering& steering = tables_.steering;
    const auto natural = [&](const SubscriberKey& k) { return steering.bucket(steering.bucket_of(k)); };
    std::vector<std::optional<dataplane::WorkerId>> workers(groups_.size());  // by root
    for (const auto& [who, number] : subscribers_)
      if (auto& worker = workers[groups_.root(number)]; !worker) worker = natural(who);
    const auto worker_of = [&](uint32_t number) { return workers[groups_.root(number)].value(); };
    auto pins = std::make_shared<dataplane::Steering::Pins>();
    for (const auto& [who, number] : subscribers_)
      if (const auto worker = worker_of(number); worker != natural(who)) pins->emplace(who, worker);
    for (const auto& [at, number] : addresses_)
      tables_.pools[at >> 32]->set_address_owner(static_cast<uint32_t>(at), worker_of(number));
    for (size_t i = 0; i < holders_.size(); i++) {
      Division::Share& s = division_.shares[i];
      s.worker = worker_of(holders_[i]);
      if (Pool& pool = *tables_.pools[s.pool]; pool.split()) pool.set_block_owner(s.block, s.worker);
    }
    if (!pins->empty()) division_.pins = std::move(pins);
  }

  const Inheritance& from_;
  const Tables& tables_;
  Millis now_;
  Division division_;
  Groups groups_;
  std::vector<uint32_t> holders_;  ///< of the shares
  tsl::robin_map<SubscriberKey, uint32_t, dataplane::Steering::Hash> subscribers_;
  tsl::robin_map<uint64_t, uint32_t> addresses_;  ///< slot and index in the pool
};

}  // namespace

Inheritance inheritance_of(const State& state) {
  Inheritance result;
  result.instances = state.instances();
  result.blocks.reserve(state.held().size());
  // In their order: neighbours in the pools come one after the other.
  for (const auto& [number, holder] : sorted(state.held())) {
    const logging::ledger::SubscriberNote* who = state.subscribers().find(holder.subscriber);
    const logging::ledger::AddressRange& range = *state.range_of_block(number);
    const uint16_t first = range.first_port_of(number);
    Inheritance::Block b{.number = number,
                         .instance = range.instance,
                         .subscriber = {},
                         .length = 0,  // damage took who it was
                         .external = range.address_of(number),
                         .first_port = first,
                         .last_port = static_cast<uint16_t>(first + range.set_size - 1)};
    if (who != nullptr) {
      b.subscriber = who->prefix;
      b.length = who->length;
    }
    result.blocks.push_back(b);
  }
  for (const auto& [number, since] : state.resting()) {
    const logging::ledger::AddressRange& range = *state.range_of_block(number);
    const uint16_t first = range.first_port_of(number);
    result.rests.push_back(
        {range.address_of(number), first, static_cast<uint16_t>(first + range.set_size - 1), since});
  }
  for (const auto& [endpoint, mapping] : state.mappings()) {
    result.mappings.emplace(endpoint, mapping.binding);
    if (const auto* who = state.subscribers().find(mapping.binding.subscriber))
      result.mapping_subscribers.emplace(who->number, *who);
  }
  return result;
}

Division divide(const Inheritance& inheritance, const Tables& tables, Millis now) {
  return Divider(inheritance, tables, now).divide();
}

State::Endpoint endpoint_of(const dataplane::StaticEntry& entry) {
  return {entry.external.address.value(), entry.external.port.value(),
          static_cast<uint8_t>(entry.external.protocol)};
}

bool on_record(const Inheritance& inheritance, const Tables& tables, const dataplane::StaticEntry& entry) {
  const auto found = inheritance.mappings.find(endpoint_of(entry));
  if (found == inheritance.mappings.end()) return false;
  const logging::ledger::Binding& b = found->second;
  const auto who = inheritance.mapping_subscribers.find(b.subscriber);
  const auto instance = who == inheritance.mapping_subscribers.end()
                            ? inheritance.instances.end()
                            : inheritance.instances.find(who->second.instance);
  if (instance == inheritance.instances.end()) return false;
  const dataplane::InstanceView& policy = tables.instances[entry.subscriber.instance];
  const bool nat64 = policy.carriage == config::Carriage::nat64;
  const std::string internal = nat64 ? std::string(reinterpret_cast<const char*>(&entry.internal.ipv6), 16)
                                     : std::string(reinterpret_cast<const char*>(&entry.internal.ipv4), 4);
  return b.origin == logging::ledger::Binding::Origin::configured && b.internal == internal &&
         b.internal_port == entry.internal.port.value() && instance->second.name == policy.name &&
         instance->second.carriage == static_cast<uint8_t>(policy.carriage) &&
         who->second.prefix == entry.subscriber.prefix && who->second.length == entry.mask;
}

}  // namespace culvert::control
