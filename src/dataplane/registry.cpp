#include <fmt/format.h>

#include <algorithm>

#include "dataplane/tables.h"
#include "logging/ledger/definitions.h"

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
  v.log_sessions = c.log_sessions;
  v.tracks_remotes =
      c.filtering != config::Filtering::eif || c.log_sessions == config::LogSessions::destinations;
  v.udp_inbound_refresh = c.udp_inbound_refresh;
  v.max_blocks = c.ports.sets_per_subscriber;
  v.udp = ms(c.timers.udp);
  v.tcp_idle = ms(c.timers.tcp_idle);
  v.tcp_trans_open = ms(c.timers.tcp_trans_open);
  v.tcp_trans_close = ms(c.timers.tcp_trans_close);
  v.tcp_in_syn = ms(c.timers.tcp_in_syn);
  v.icmp = ms(c.timers.icmp);
  v.port_set = ms(c.timers.port_set);
  v.fragment_min = ms(c.timers.fragment_min);
  v.mss_clamping = c.mss_clamping;
  v.cut_inner_packet = c.cut_inner_packet;
  v.softwire_mtu = c.softwire_payload_mtu;
  v.minimum_ipv6_mtu = c.minimum_ipv6_mtu;
  v.drops_unchecked_udp = c.drops_unchecked_udp;
  v.pass_through = PassThrough(c.pass_through);
  v.limits = c.limits;
  v.mapping_limit = (c.mapping_limit + workers - 1) / workers;
  v.name = c.name;
  return v;
}

bool same_geometry(const config::PortAllocation& a, const config::PortAllocation& b) {
  return a.first_port == b.first_port && a.last_port == b.last_port && a.set_size == b.set_size;
}

/// An instance that changes its carriage is another one: its mappings could not be told apart otherwise.
std::string identity(const config::Instance& i) {
  return fmt::format("{}/{}", i.name, static_cast<int>(i.carriage));
}

void add_context(Tables& t, Context number) {
  auto& list = t.contexts[number].carriage == Carriage::ds_lite ? t.softwires : t.nat64_prefixes;
  if (std::find(list.begin(), list.end(), number) == list.end()) list.push_back(number);
}

}  // namespace

/// Gives the instance its slot and its AFTR addresses and prefixes their context numbers.
std::string Registry::add_instance(State& state, Tables& t, const config::Instance& instance,
                                   unsigned workers) {
  const auto [at, is_new] =
      state.instance_slots.try_emplace(identity(instance), static_cast<uint8_t>(state.instance_slots.size()));
  if (is_new && state.instance_slots.size() > kMaxInstances)
    return fmt::format(
        "instance {} would be number {} since the start and the limit is {}; restart to forget the names "
        "of removed ones",
        instance.name, state.instance_slots.size(), kMaxInstances);
  InstanceView& view = t.instances[at->second];
  view = view_of(instance, workers);
  t.passes_through |= !view.pass_through.empty();
  std::vector<ContextView> wanted;
  for (const auto& a : instance.aftr_addresses) wanted.push_back(ContextView::of_softwire(a));
  for (const auto& p : instance.nat64_prefixes) wanted.push_back(ContextView::of_prefix(p));
  for (const ContextView& c : wanted) {
    auto known = std::find_if(state.contexts.begin() + 1, state.contexts.end(), [&](const ContextView& k) {
      return k.carriage == c.carriage && k.length == c.length && k.address == c.address;
    });
    const auto number = static_cast<size_t>(known - state.contexts.begin());
    if (number == kMaxContexts)
      return fmt::format(
          "more than {} AFTR addresses and NAT64 prefixes since the start; restart to forget the removed "
          "ones",
          kMaxContexts - 1);
    if (known == state.contexts.end()) state.contexts.push_back(c);
    view.contexts.set(number);
  }
  return {};
}

/// Finds or makes the instance's pools.
std::string Registry::add_pools(State& state, Tables& t, const config::Instance& instance, uint8_t slot,
                                std::vector<std::shared_ptr<Pool>>* added) const {
  uint64_t of_instance = 0, taken = 0;
  for (const auto& p : instance.pools) of_instance += p.size();
  const bool split = workers_ > 1 && of_instance < uint64_t{kSplitBelow} * workers_;
  uint64_t dealt = 0;  // of the instance's pools before this one: where dealing goes on
  const auto known = [&](const net::Ipv4Prefix& prefix) {
    return std::find_if(state.pools.begin(), state.pools.end(),
                        [&](const auto& p) { return p && p->prefix() == prefix; });
  };
  uint64_t new_blocks = 0, dealt_blocks = 0;  // of pools that are not there yet, for dealing by block
  for (const auto& p : instance.pools)
    if (known(p) == state.pools.end()) new_blocks += p.size() * instance.ports.sets_per_address();
  for (const auto& p : state.pools) taken += p ? p->addresses() : 0;
  for (const net::Ipv4Prefix& prefix : instance.pools) {
    const auto first_owner = static_cast<unsigned>(dealt % workers_);
    dealt += prefix.size();
    const auto same = known(prefix);
    if (same != state.pools.end()) {
      const Pool& p = **same;
      if (p.instance() != slot || !same_geometry(p.ports(), instance.ports))
        return fmt::format(
            "pool {}: its instance or port geometry (ports {}-{}, port-set-size {}) changed while it holds "
            "state; remove the pool, wait until it has drained and add it again, or restart",
            prefix.text(), p.ports().first_port, p.ports().last_port, p.ports().set_size);
      t.instances[slot].pools.push_back(p.slot());
      continue;
    }
    for (const auto& p : state.pools)
      if (p && p->prefix().overlaps(prefix))
        return fmt::format("pool {} overlaps {}, which is still draining; wait for it or restart",
                           prefix.text(), p->prefix().text());
    if (taken + prefix.size() > capacity_)
      return fmt::format(
          "pool {} needs {} external addresses, and {} of the capacity external-addresses {} are taken; "
          "restart with at least {}",
          prefix.text(), prefix.size(), taken, capacity_, taken + prefix.size());
    auto free = std::find(state.pools.begin(), state.pools.end(), nullptr);
    const auto number = static_cast<size_t>(free - state.pools.begin());
    if (number == kMaxPools) return fmt::format("more than {} pools", kMaxPools);
    if (free == state.pools.end()) state.pools.emplace_back();
    state.pools[number] = std::make_shared<Pool>(static_cast<uint16_t>(number), slot, prefix, instance.ports,
                                                 workers_, split, first_owner);
    for (BlockIndex b = 0; split && b < state.pools[number]->block_count(); b++)
      state.pools[number]->set_block_owner(b, owner_of_block(dealt_blocks++, new_blocks, workers_));
    taken += prefix.size();
    t.instances[slot].pools.push_back(static_cast<uint16_t>(number));
    added->push_back(state.pools[number]);
  }
  return {};
}

void Registry::add_statics(Tables& t, const config::Instance& instance, uint8_t slot) {
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
      // With several AFTR addresses or prefixes, a static mapping belongs to the one numbered first.
      for (unsigned c = kMaxContexts - 1; c > 0; c--)
        if (t.instances[slot].contexts[c]) e.internal.context = static_cast<Context>(c);
    }
    if (instance.carriage != Carriage::nat64) e.internal.ipv4 = s.internal_address;
    if (const Pool* pool = t.pool_of(s.external_address))
      t.steering.pin(e.subscriber, pool->address_owner(pool->index_of(s.external_address)));
    t.statics.push_back(e);
  }
}

/// What the ledger must know before the first event of these pools.
logging::ledger::Definitions Registry::definitions(const State& state, const Tables& t,
                                                   const config::Config& config) {
  logging::ledger::Definitions d;
  std::array<size_t, kMaxInstances> index{};
  for (const auto& [identity, slot] : state.instance_slots) {
    const InstanceView& view = t.instances[slot].configured ? t.instances[slot] : state.views[slot];
    index[slot] = d.instances.size();
    d.instances.push_back({view.name, static_cast<logging::Entry::Carriage>(view.carriage)});
  }
  for (const auto& pool : state.pools) {
    if (!pool) continue;
    d.ranges.push_back({.instance = index[pool->instance()],
                        .first_address = pool->prefix().address,
                        .addresses = pool->addresses(),
                        .first_port = pool->ports().first_port,
                        .set_size = pool->ports().set_size,
                        .sets = pool->sets()});
  }
  d.configuration.sha256 = config.sha256;
  d.hold_ms = ms(config.hold_down.timeout);
  return d;
}

Registry::Result Registry::build(const config::Config& config, Millis now, const Agree& agree) {
  Result result;
  State state = state_;
  auto tables = std::make_unique<Tables>(workers_, rss_);
  Tables& t = *tables;
  std::vector<uint8_t> slots;
  for (const config::Instance& instance : config.instances) {
    result.error = add_instance(state, t, instance, workers_);
    if (result.error.empty()) {
      slots.push_back(state.instance_slots.at(identity(instance)));
      result.error = add_pools(state, t, instance, slots.back(), &result.added);
    }
    if (!result.error.empty()) {
      result.added.clear();
      return result;
    }
  }

  if (agree) result.error = agree(definitions(state, t, config));
  if (!result.error.empty()) {
    result.added.clear();
    return result;
  }

  // From here on nothing can fail.
  t.hold_ms = ms(config.hold_down.timeout);
  t.icmp_error_rate = config.icmp_error_rate;
  std::copy(state.contexts.begin(), state.contexts.end(), t.contexts.begin());
  for (const auto& [name, slot] : state.instance_slots) {
    if (t.instances[slot].configured) {
      state.views[slot] = t.instances[slot];
      continue;
    }
    // Removed: its mappings live on under its last policy while its pools drain.
    t.instances[slot] = state.views[slot];
    t.instances[slot].configured = false;
    t.instances[slot].pools.clear();
  }
  std::vector<net::RangeMap<net::Ipv4Prefix, Pool*>::Entry> by_prefix;
  for (const auto& p : state.pools) {
    if (!p) continue;
    const InstanceView& view = t.instances[p->instance()];
    const bool gone = std::find(view.pools.begin(), view.pools.end(), p->slot()) == view.pools.end();
    if (gone && !p->draining) p->drain_deadline = now + ms(config.drain_timeout);
    p->draining = gone;
    t.draining = t.draining || gone;
    by_prefix.push_back({p->prefix(), p.get()});
    t.mark_local(p->prefix());
    for (unsigned c = 1; c < kMaxContexts; c++)
      if (view.contexts[c]) add_context(t, static_cast<Context>(c));
  }
  t.pool_ranges = net::RangeMap<net::Ipv4Prefix, Pool*>(std::move(by_prefix));
  std::stable_sort(t.nat64_prefixes.begin(), t.nat64_prefixes.end(),
                   [&](Context a, Context b) { return t.contexts[a].length > t.contexts[b].length; });

  std::vector<net::RangeMap<net::Ipv4Prefix, SubscriberRule>::Entry> nat44;
  std::vector<net::RangeMap<net::Ipv6Prefix, SubscriberRule>::Entry> ds_lite, nat64;
  for (size_t i = 0; i < slots.size(); i++) {
    const config::Instance& instance = config.instances[i];
    for (const auto& m : instance.subscribers_ipv4) nat44.push_back({m.prefix, {slots[i], m.mask}});
    for (const auto& m : instance.subscribers_ipv6)
      (instance.carriage == Carriage::ds_lite ? ds_lite : nat64).push_back({m.prefix, {slots[i], m.mask}});
  }
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
  t.steering.follow(inherited_);
  for (size_t i = 0; i < slots.size(); i++) add_statics(t, config.instances[i], slots[i]);

  t.pools = state.pools;
  t.version = ++version_;
  state_ = std::move(state);
  result.tables = std::move(tables);
  return result;
}

}  // namespace culvert::dataplane
