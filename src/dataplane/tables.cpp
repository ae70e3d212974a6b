#include "dataplane/tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/rfc6052.h"

namespace culvert::dataplane {
namespace {

uint32_t ms(config::seconds s) { return static_cast<uint32_t>(s.count() * 1000); }

/// The mask subscriber-match gives an address of an instance, or nullopt when it is no subscriber.
template <typename Matches, typename Address>
std::optional<uint8_t> mask_of(const Matches& matches, const Address& a) {
  const typename Matches::value_type* best = nullptr;
  for (const auto& m : matches)
    if (m.prefix.contains(a) && (best == nullptr || m.prefix.length > best->prefix.length)) best = &m;
  return best == nullptr ? std::nullopt : std::optional<uint8_t>(best->mask);
}

InstanceView view_of(const config::Instance& c, unsigned workers) {
  InstanceView v;
  v.configured = true;
  v.carriage = c.carriage;
  v.filtering = c.filtering;
  v.udp_inbound_refresh = c.udp_inbound_refresh;
  v.max_blocks = c.ports.sets_per_subscriber;
  v.udp = ms(c.timers.udp);
  v.tcp_idle = ms(c.timers.tcp_idle);
  v.tcp_trans_open = ms(c.timers.tcp_trans_open);
  v.tcp_trans_close = ms(c.timers.tcp_trans_close);
  v.tcp_in_syn = ms(c.timers.tcp_in_syn);
  v.icmp = ms(c.timers.icmp);
  v.port_set = ms(c.timers.port_set);
  v.limits = c.limits;
  v.mapping_limit = (c.mapping_limit + workers - 1) / workers;
  v.name = c.name;
  return v;
}

bool same_geometry(const config::PortAllocation& a, const config::PortAllocation& b) {
  return a.first_port == b.first_port && a.last_port == b.last_port && a.set_size == b.set_size;
}

}  // namespace

bool Tables::is_own(net::Ipv4Address a) const {
  return std::find(own_ipv4.begin(), own_ipv4.end(), a) != own_ipv4.end();
}

bool Tables::is_own(const net::Ipv6Address& a) const {
  return std::find(own_ipv6.begin(), own_ipv6.end(), a) != own_ipv6.end();
}

void Tables::mark_local(const net::Ipv4Prefix& p) {
  for (uint32_t i = p.first() >> 16; i <= p.last() >> 16; i++) local16_.set(i);
}

uint8_t Registry::instance_slot(const std::string& name, Carriage carriage, std::string* error) {
  // An instance that changes its carriage is another one: its mappings could not be told apart otherwise.
  std::string key = fmt::format("{}/{}", name, static_cast<int>(carriage));
  auto found = instance_slots_.find(key);
  if (found != instance_slots_.end()) return found->second;
  if (instance_slots_.size() == kMaxInstances) {
    *error = fmt::format("instance '{}' would be number {} since start and the limit is {}; restart to forget the "
                         "names of removed instances", name, kMaxInstances + 1, kMaxInstances);
    return 0;
  }
  auto slot = static_cast<uint8_t>(instance_slots_.size());
  instance_slots_.emplace(key, slot);
  return slot;
}

std::optional<Context> Registry::context(const ContextView& view) {
  for (size_t i = 1; i < contexts_.size(); i++) {
    const ContextView& c = contexts_[i];
    if (c.carriage == view.carriage && c.length == view.length && c.address == view.address)
      return static_cast<Context>(i);
  }
  if (contexts_.size() == kMaxContexts) return std::nullopt;
  contexts_.push_back(view);
  return static_cast<Context>(contexts_.size() - 1);
}

Registry::Result Registry::build(const config::Config& config, Millis now) {
  Result result;
  auto tables = std::make_unique<Tables>(workers_);
  Tables& t = *tables;
  t.hold_down = config.hold_down;
  t.hold_ms = ms(config.hold_down.timeout);
  t.icmp_error_rate = config.icmp_error_rate;

  std::vector<net::RangeMap<net::Ipv4Prefix, SubscriberRule>::Entry> nat44;
  std::vector<net::RangeMap<net::Ipv6Prefix, SubscriberRule>::Entry> ds_lite, nat64;
  std::vector<std::shared_ptr<Pool>> pools = pools_;
  std::vector<bool> configured(pools.size(), false);
  uint64_t addresses = 0;
  for (const auto& p : pools)
    if (p) addresses += p->addresses();

  for (const config::Instance& instance : config.instances) {
    uint8_t slot = instance_slot(instance.name, instance.carriage, &result.error);
    if (!result.error.empty()) return result;
    InstanceView& view = t.instances[slot];
    view = view_of(instance, workers_);
    for (const auto& m : instance.subscribers_ipv4) nat44.push_back({m.prefix, {slot, m.mask}});
    for (const auto& m : instance.subscribers_ipv6)
      (instance.carriage == Carriage::ds_lite ? ds_lite : nat64).push_back({m.prefix, {slot, m.mask}});

    std::vector<ContextView> wanted;
    for (const auto& a : instance.aftr_addresses) wanted.push_back({Carriage::ds_lite, 128, a, false});
    for (const auto& p : instance.nat64_prefixes) wanted.push_back({Carriage::nat64, p.length, p.address, p == net::kWellKnownPrefix});
    for (const ContextView& c : wanted) {
      auto number = context(c);
      if (!number) {
        result.error = fmt::format("more than {} AFTR addresses and NAT64 prefixes since start; restart to forget the "
                                   "removed ones", kMaxContexts - 1);
        return result;
      }
      view.contexts.set(*number);
      t.contexts[*number] = c;
      auto& list = c.carriage == Carriage::ds_lite ? t.softwires : t.nat64_prefixes;
      if (std::find(list.begin(), list.end(), *number) == list.end()) list.push_back(*number);
    }

    uint64_t instance_addresses = 0;
    for (const auto& p : instance.pools) instance_addresses += p.size();
    for (const net::Ipv4Prefix& prefix : instance.pools) {
      auto same = std::find_if(pools.begin(), pools.end(), [&](const auto& p) { return p && p->prefix() == prefix; });
      if (same != pools.end()) {
        Pool& p = **same;
        if (p.instance() != slot || !same_geometry(p.ports(), instance.ports)) {
          result.error = fmt::format(
              "pool {}: its instance or port geometry (ports {}-{}, port-set-size {}) changed while it holds state; "
              "remove the pool, wait until it has drained and add it again, or restart",
              prefix.text(), p.ports().first_port, p.ports().last_port, p.ports().set_size);
          return result;
        }
        configured[p.slot()] = true;
        view.pools.push_back(p.slot());
        continue;
      }
      for (const auto& p : pools) {
        if (p && p->prefix().overlaps(prefix)) {
          result.error = fmt::format("pool {} overlaps {}, which is still draining; wait for it or restart",
                                     prefix.text(), p->prefix().text());
          return result;
        }
      }
      if (addresses + prefix.size() > capacity_) {
        result.error = fmt::format("pool {} needs {} external addresses, {} of capacity external-addresses {} are "
                                   "taken; restart with at least {}", prefix.text(), prefix.size(), addresses,
                                   capacity_, addresses + prefix.size());
        return result;
      }
      auto free_slot = std::find(pools.begin(), pools.end(), nullptr);
      size_t pool_slot = static_cast<size_t>(free_slot - pools.begin());
      if (pool_slot == kMaxPools) {
        result.error = fmt::format("more than {} pools", kMaxPools);
        return result;
      }
      if (free_slot == pools.end()) {
        pools.emplace_back();
        configured.push_back(false);
      }
      bool split = workers_ > 1 && instance_addresses < uint64_t{4} * workers_;
      pools[pool_slot] = std::make_shared<Pool>(static_cast<uint16_t>(pool_slot), slot, prefix, instance.ports,
                                                workers_, split);
      addresses += prefix.size();
      configured[pool_slot] = true;
      view.pools.push_back(static_cast<uint16_t>(pool_slot));
      result.added.push_back(pools[pool_slot]);
    }
  }

  // From here on nothing can fail.
  for (const auto& [key, slot] : instance_slots_)
    if (!t.instances[slot].configured) t.instances[slot].name = key.substr(0, key.rfind('/'));
  for (size_t i = 1; i < contexts_.size(); i++) t.contexts[i] = contexts_[i];
  std::stable_sort(t.nat64_prefixes.begin(), t.nat64_prefixes.end(),
                   [&](Context a, Context b) { return t.contexts[a].length > t.contexts[b].length; });
  std::vector<net::RangeMap<net::Ipv4Prefix, Pool*>::Entry> by_prefix;
  for (const auto& p : pools) {
    if (!p) continue;
    bool gone = !configured[p->slot()];
    if (gone && !p->draining) p->drain_deadline = now + ms(config.drain_timeout);
    p->draining = gone;
    t.draining = t.draining || gone;
    by_prefix.push_back({p->prefix(), p.get()});
    t.mark_local(p->prefix());
  }
  t.pool_of = net::RangeMap<net::Ipv4Prefix, Pool*>(std::move(by_prefix));
  t.subscribers_nat44 = decltype(t.subscribers_nat44)(std::move(nat44));
  t.subscribers_ds_lite = decltype(t.subscribers_ds_lite)(std::move(ds_lite));
  t.subscribers_nat64 = decltype(t.subscribers_nat64)(std::move(nat64));
  for (const config::Interface& i : config.interfaces) {
    for (const auto& a : i.ipv4_addresses) {
      t.own_ipv4.push_back(a.address);
      t.mark_local({a.address, 32});
    }
    for (const auto& a : i.ipv6_addresses) t.own_ipv6.push_back(a.address);
  }

  for (const config::Instance& instance : config.instances) {
    uint8_t slot = instance_slot(instance.name, instance.carriage, &result.error);
    for (const config::StaticMapping& s : instance.static_mappings) {
      StaticEntry e;
      e.internal.port = net::Be16(s.internal_port);
      e.internal.protocol = s.protocol;
      e.external = {s.external_address, net::Be16(s.external_port), s.protocol};
      if (instance.carriage == Carriage::nat44) {
        e.mask = mask_of(instance.subscribers_ipv4, s.internal_address).value_or(32);
        e.subscriber = SubscriberKey::ipv4(s.internal_address, e.mask, slot);
        e.mask = static_cast<uint8_t>(e.mask + 96);
      } else {
        e.internal.ipv6 = s.b4_address;
        e.mask = mask_of(instance.subscribers_ipv6, s.b4_address).value_or(128);
        e.subscriber = SubscriberKey::ipv6(s.b4_address, e.mask, slot);
        for (unsigned c = 1; c < kMaxContexts; c++)
          if (t.instances[slot].contexts[c]) { e.internal.context = static_cast<Context>(c); break; }
      }
      if (instance.carriage != Carriage::nat64) e.internal.ipv4 = s.internal_address;
      if (const auto* pool = t.pool_of.find(s.external_address))
        t.steering.pin(e.subscriber, (*pool)->address_owner((*pool)->index_of(s.external_address)));
      t.statics.push_back(e);
    }
  }

  t.pools = pools;
  t.version = ++version_;
  pools_ = std::move(pools);
  result.tables = std::move(tables);
  return result;
}

std::vector<uint16_t> Registry::drained() const {
  std::vector<uint16_t> slots;
  for (const auto& p : pools_) {
    if (!p || !p->draining) continue;
    bool empty = true;
    for (BlockIndex b = 0; b < p->block_count() && empty; b++) empty = p->block(b).state == BlockState::free;
    if (empty) slots.push_back(p->slot());
  }
  return slots;
}

void Registry::forget(uint16_t slot) { pools_[slot] = nullptr; }

}  // namespace culvert::dataplane
