#include "dataplane/binding/stateful.h"

#include <algorithm>
#include <cassert>

#include "net/checksum.h"

namespace culvert::dataplane {
namespace {

/// Blocks of one pool given back in one sweep, at most.
constexpr unsigned kReleasesAtOnce = 64;

net::HashKey derived(const net::HashKey& key, uint64_t salt) {
  net::HashKey k = key;
  for (uint64_t& w : k.word) w = net::fold_multiply(w ^ salt, 0x9e3779b97f4a7c15) | 1;
  return k;
}

/// What the transport checksum and the IPv4 header's change by, outbound (see Mapping).
void set_deltas(Mapping& m, Carriage carriage) {
  net::Sum transport;
  transport.add(m.external_port).subtract(m.internal.port);
  bool pseudo_header = m.internal.protocol != Protocol::icmp;
  if (carriage == Carriage::nat64) {
    transport.subtract(m.internal.ipv6);
    if (pseudo_header) transport.add(m.external_address);
  } else {
    net::Sum address;
    address.add(m.external_address).subtract(m.internal.ipv4);
    m.address_delta = address.folded();
    if (pseudo_header) transport.add(address);
  }
  m.transport_delta = transport.folded();
}

}  // namespace

StatefulBinding::StatefulBinding(const BindingSetup& setup, Counters& counters)
    : self_(setup.self),
      counters_(counters),
      log_(setup.log),
      random_(setup.seed),
      mappings_(setup.mappings, setup.hash_key),
      sessions_(setup.sessions, derived(setup.hash_key, 1)),
      subscribers_(setup.subscribers, derived(setup.hash_key, 2)),
      held_(setup.held) {}

Pool* StatefulBinding::pool_for(const Tables& tables, net::Ipv4Address a) const {
  Pool* const* found = tables.pool_of.find(a);
  return found == nullptr ? nullptr : *found;
}

// --- making a mapping
// -------------------------------------------------------------------------------------------

StatefulBinding::Outcome StatefulBinding::create(const Tables& tables, const SubscriberRule& rule,
                                                 const InternalKey& key, Millis now) {
  const InstanceView& policy = tables.instances[rule.instance];
  const bool ipv4 = policy.carriage == Carriage::nat44;
  SubscriberKey who = ipv4 ? SubscriberKey::ipv4(key.ipv4, rule.mask, rule.instance)
                           : SubscriberKey::ipv6(key.ipv6, rule.mask, rule.instance);
  auto found = find_or_add(who, static_cast<uint8_t>(ipv4 ? rule.mask + 96 : rule.mask), policy, now);
  if (const auto* why = std::get_if<DropReason>(&found)) return *why;
  SubscriberId id = std::get<SubscriberId>(found);
  Outcome outcome = create_for(tables, policy, id, key, now);
  if (std::holds_alternative<DropReason>(outcome)) forget_if_unused(id);
  return outcome;
}

std::variant<SubscriberId, DropReason> StatefulBinding::find_or_add(const SubscriberKey& key, uint8_t mask,
                                                                    const InstanceView& policy, Millis now) {
  SubscriberId id = subscribers_.find(key);
  if (id != kNoSubscriber) return id;
  id = subscribers_.create(key, mask);
  if (id == kNoSubscriber) return DropReason::subscriber_table_full;
  subscribers_[id].tokens = policy.limits.mappings_per_second * 1000;
  subscribers_[id].refilled = ShortTime(now);
  counters_.subscribers_live.add();
  return id;
}

StatefulBinding::Outcome StatefulBinding::create_for(const Tables& tables, const InstanceView& policy,
                                                     SubscriberId id, const InternalKey& key, Millis now) {
  Subscriber& s = subscribers_[id];
  const auto space = static_cast<size_t>(port_space(key.protocol));
  const config::SubscriberLimits& limits = policy.limits;
  // RFC 6888 REQ-4: limits on what one subscriber may hold and how fast he may ask.
  if (limits.mappings != 0 && s.mappings >= limits.mappings) return DropReason::subscriber_mappings;
  if (limits.ports != 0 && s.ports[space] >= limits.ports) return DropReason::subscriber_ports;
  if (policy.mapping_limit != 0 && instance_mappings_[s.key.instance] >= policy.mapping_limit)
    return DropReason::instance_mappings;
  if (!rate_allows(policy, s, now)) return DropReason::subscriber_rate;
  // RFC 6888 REQ-11: full means full, nobody is evicted.
  if (mappings_.size() == mappings_.capacity()) return DropReason::mapping_table_full;

  auto chosen = choose_port(tables, id, key, now);
  if (const auto* why = std::get_if<DropReason>(&chosen)) return *why;
  auto [slot, b, offset] = std::get<Port>(chosen);
  Pool& pool = *tables.pools[slot];
  ExternalKey external{pool.address_of(b), net::Be16(static_cast<uint16_t>(pool.first_port(b) + offset)),
                       key.protocol};
  MappingId mapping = add_record(key, external, id, now);
  if (mapping == kNoMapping) return DropReason::mapping_table_full;

  Block& block = pool.block(b);
  pool.bitmap(b, port_space(key.protocol))[offset / 64] |= uint64_t{1} << (offset % 64);
  block.taken[space]++;
  block.used[space]++;
  block.peak = static_cast<uint16_t>(std::max<uint32_t>(block.peak, block.mappings()));
  if (block.idle) unlink_idle(pool, b);

  Mapping& m = mappings_[mapping];
  set_deltas(m, policy.carriage);
  m.expires = ShortTime(now + (key.protocol == Protocol::tcp   ? policy.tcp_trans_open
                               : key.protocol == Protocol::udp ? policy.udp
                                                               : policy.icmp));
  if (limits.mappings_per_second != 0) s.tokens -= 1000;
  return mapping;
}

MappingId StatefulBinding::add_record(const InternalKey& internal, const ExternalKey& external,
                                      SubscriberId id, Millis now) {
  MappingId mapping = mappings_.create(internal, external);
  if (mapping == kNoMapping) return kNoMapping;
  Subscriber& s = subscribers_[id];
  Mapping& m = mappings_[mapping];
  m.instance = s.key.instance;
  m.subscriber = id;
  m.created = ShortTime(now);
  s.mappings++;
  s.ports[static_cast<size_t>(port_space(internal.protocol))]++;
  instance_mappings_[m.instance]++;
  counters_.mappings_created.add();
  counters_.mappings_live.add();
  return mapping;
}

bool StatefulBinding::rate_allows(const InstanceView& policy, Subscriber& s, Millis now) const {
  const uint32_t rate = policy.limits.mappings_per_second;
  if (rate == 0) return true;
  const int32_t since = std::clamp(-s.refilled.from(now), 0, 1000);
  const uint64_t filled = s.tokens + uint64_t{rate} * static_cast<uint32_t>(since);
  s.tokens = static_cast<uint32_t>(std::min<uint64_t>(filled, uint64_t{rate} * 1000));
  s.refilled = ShortTime(now);
  return s.tokens >= 1000;
}

std::variant<StatefulBinding::Port, DropReason> StatefulBinding::choose_port(const Tables& tables,
                                                                             SubscriberId id,
                                                                             const InternalKey& key,
                                                                             Millis now) {
  const Subscriber& s = subscribers_[id];
  const PortSpace space = port_space(key.protocol);
  // RFC 4787 REQ-4: parity is kept where a port of that parity is left; worth a look, not worth a block.
  const int parity = key.protocol == Protocol::udp ? key.port.value() & 1 : -1;
  for (int wanted : {parity, -1}) {
    uint16_t slot = s.first_pool;
    for (BlockIndex b = s.first_block; b != kNoBlock;) {
      Pool& pool = *tables.pools[slot];
      uint16_t offset;
      if (!pool.draining && find_port(pool, b, space, wanted, &offset)) return Port{slot, b, offset};
      slot = pool.block(b).next_pool;
      b = pool.block(b).next_of_subscriber;
    }
    if (parity < 0) break;
  }
  auto grown = grow(tables, id, now);
  if (const auto* why = std::get_if<DropReason>(&grown)) {
    counters_.block_refusals.add();
    return *why;
  }
  Port p = std::get<Port>(grown);
  if (!find_port(*tables.pools[p.pool], p.block, space, parity, &p.offset))
    find_port(*tables.pools[p.pool], p.block, space, -1, &p.offset);
  return p;
}

/// A free port after a random point of the block, in the spirit of RFC 6056 §3.3.2.
bool StatefulBinding::find_port(Pool& pool, BlockIndex b, PortSpace space, int parity, uint16_t* offset) {
  const unsigned size = pool.ports().set_size;
  if (pool.block(b).taken[static_cast<size_t>(space)] == size) return false;
  const uint64_t* bits = pool.bitmap(b, space);
  uint64_t allowed = ~uint64_t{0};
  if (parity >= 0)
    allowed = ((parity ^ (pool.first_port(b) & 1)) != 0) ? 0xaaaaaaaaaaaaaaaa : 0x5555555555555555;
  const unsigned start = random_.below(size), words = pool.bitmap_words();
  // The word of the random point comes twice: first from there upwards, in the end from its bottom.
  for (unsigned i = 0; i <= words; i++) {
    const unsigned w = (start / 64 + i) % words;
    uint64_t free = ~bits[w] & allowed;
    if (w == words - 1 && size % 64 != 0) free &= (uint64_t{1} << (size % 64)) - 1;
    if (i == 0) free &= ~uint64_t{0} << (start % 64);
    if (free == 0) continue;
    *offset = static_cast<uint16_t>(w * 64 + static_cast<unsigned>(std::countr_zero(free)));
    return true;
  }
  return false;
}

std::variant<StatefulBinding::Port, DropReason> StatefulBinding::grow(const Tables& tables, SubscriberId id,
                                                                      Millis now) {
  Subscriber& s = subscribers_[id];
  const InstanceView& policy = tables.instances[s.key.instance];
  if (!policy.configured) return DropReason::draining;
  if (s.block_count >= policy.max_blocks) return DropReason::no_ports;
  BlockIndex b = kNoBlock;
  uint16_t slot = 0;
  // RFC 6888 REQ-2: all of a subscriber's ports on one address, unless its pool is on its way out.
  if (s.paired && !tables.pools[s.pool]->draining) {
    slot = s.pool;
    b = allocators_[slot]->take_on(s.address);
  } else {
    for (uint16_t candidate : policy.pools) {
      if (tables.pools[candidate]->draining) continue;
      slot = candidate;
      b = allocators_[slot]->take();
      if (b != kNoBlock) break;
    }
  }
  if (b == kNoBlock) return DropReason::no_blocks;

  Pool& pool = *tables.pools[slot];
  auto reason = s.block_count == 0 ? logging::EventReason::first_packet : logging::EventReason::ports_used_up;
  // Promise 1: the record comes first, and without it there is no block.
  if (!record(tables, logging::EventKind::block_allocated, reason, s, pool.address_of(b), pool.first_port(b),
              pool.last_port(b), 0, now)) {
    allocators_[slot]->give(b);
    return DropReason::log_full;
  }
  s.paired = true;
  s.pool = slot;
  s.address = b / pool.sets();
  s.block_count++;
  Block& block = pool.block(b);
  block.state = BlockState::live;
  block.subscriber = id;
  block.next_of_subscriber = s.first_block;
  block.next_pool = s.first_pool;
  block.peak = 0;
  s.first_block = b;
  s.first_pool = slot;
  link_idle(pool, b, ShortTime(now + policy.port_set));  // until its first mapping, which follows at once
  counters_.blocks_allocated.add();
  counters_.blocks_live.add();
  return Port{slot, b, 0};
}

bool StatefulBinding::record(const Tables& tables, logging::EventKind kind, logging::EventReason reason,
                             const Subscriber& s, net::Ipv4Address external, uint16_t first, uint16_t last,
                             uint16_t peak, Millis now, uint8_t protocol) {
  logging::Event e;
  e.time = now;
  e.kind = kind;
  e.reason = reason;
  e.subscriber = s.key.prefix;
  e.subscriber_length = s.mask;
  e.external = external;
  e.first_port = first;
  e.last_port = last;
  e.peak = peak;
  e.protocol = protocol;
  e.worker = self_;
  const std::string& name = tables.instances[s.key.instance].name;
  std::copy_n(name.data(), std::min(name.size(), sizeof e.instance - 1), e.instance);
  return log_->push(e);
}

// --- the life of a mapping
// --------------------------------------------------------------------------------------

void StatefulBinding::start_timer(const InstanceView& policy, TcpTimer timer, ShortTime* expires,
                                  Millis now) const {
  switch (timer) {
    case TcpTimer::keep:
      return;
    case TcpTimer::trans_open:
      *expires = ShortTime(now + policy.tcp_trans_open);
      return;
    case TcpTimer::trans_close:
      *expires = ShortTime(now + policy.tcp_trans_close);
      return;
    case TcpTimer::idle:
      *expires = ShortTime(now + policy.tcp_idle);
      return;
    case TcpTimer::in_syn:
      *expires = ShortTime(now + policy.tcp_in_syn);
      return;
  }
}

std::variant<std::monostate, DropReason> StatefulBinding::track_tcp(const InstanceView& policy, MappingId id,
                                                                    Direction direction,
                                                                    const RemoteEndpoint& remote,
                                                                    uint8_t flags, Millis now) {
  Mapping& m = mappings_[id];
  if (m.first_state != SessionState::none && m.first_remote() == remote) {
    TcpStep step = tcp_step(m.first_state, direction, flags);
    m.first_state = step.state;
    start_timer(policy, step.timer, &m.expires, now);
    return {};
  }
  if (m.extra_sessions != 0) {
    SessionId session = sessions_.find(id, remote);
    if (session != kNoSession) {
      Session& s = sessions_[session];
      TcpStep step = tcp_step(s.state, direction, flags);
      s.state = step.state;
      start_timer(policy, step.timer, &s.expires, now);
      // Its address may come in from other ports for as long as it lives; a full table costs it only that.
      if (policy.filtering == config::Filtering::adf && step.timer == TcpTimer::idle)
        allow_address(policy, id, remote, now);
      return {};
    }
  }
  if (direction == Direction::inbound && !filter_allows(policy, id, remote)) return DropReason::filtered;
  TcpStep step = tcp_step(SessionState::none, direction, flags);
  if (step.state == SessionState::none) return {};  // RFC 6146 §3.5.2.2 CLOSED: translated, but opens nothing
  // Strangers cannot fill the session table: their SYN goes in, and the inside's answer makes the session.
  if (direction == Direction::inbound && m.first_state != SessionState::none) return {};
  if (m.first_state == SessionState::none) {
    m.set_first(remote, step.state);
    start_timer(policy, step.timer, &m.expires, now);
    return {};
  }
  auto added = add_session(policy, id, remote, step.state);
  if (const auto* why = std::get_if<DropReason>(&added)) return *why;
  start_timer(policy, step.timer, &sessions_[std::get<SessionId>(added)].expires, now);
  if (policy.filtering == config::Filtering::adf) return allow_address(policy, id, remote, now);
  return {};
}

/// Under adf a remote address is found by one lookup, not by walking the mapping's sessions: it has an entry
/// of its own, under port 0.
std::variant<std::monostate, DropReason> StatefulBinding::allow_address(const InstanceView& policy,
                                                                        MappingId id,
                                                                        const RemoteEndpoint& remote,
                                                                        Millis now) {
  const RemoteEndpoint address{remote.address, net::Be16()};
  SessionId entry = sessions_.find(id, address);
  if (entry == kNoSession) {
    auto added = add_session(policy, id, address, SessionState::filter);
    if (const auto* why = std::get_if<DropReason>(&added)) return *why;
    entry = std::get<SessionId>(added);
  }
  sessions_[entry].expires = ShortTime(now + policy.tcp_idle);
  return {};
}

/// RFC 4787 §5: address-dependent filtering looks at the remote address, edf at its port too.
bool StatefulBinding::filter_allows(const InstanceView& policy, MappingId id,
                                    const RemoteEndpoint& remote) const {
  const Mapping& m = mappings_[id];
  switch (policy.filtering) {
    case config::Filtering::eif:
      return true;
    case config::Filtering::adf:
      return (m.first_state != SessionState::none && m.first_remote_address == remote.address) ||
             (m.extra_sessions != 0 && sessions_.find(id, {remote.address, net::Be16()}) != kNoSession);
    case config::Filtering::edf:
      return (m.first_state != SessionState::none && m.first_remote() == remote) ||
             (m.extra_sessions != 0 && sessions_.find(id, remote) != kNoSession);
  }
  return false;
}

std::variant<std::monostate, DropReason> StatefulBinding::track_filtered(const InstanceView& policy,
                                                                         MappingId id, Direction direction,
                                                                         const RemoteEndpoint& remote,
                                                                         Millis now) {
  Mapping& m = mappings_[id];
  RemoteEndpoint r = remote;
  if (policy.filtering == config::Filtering::adf || m.internal.protocol == Protocol::icmp)
    r.port = net::Be16();
  const bool is_first = m.first_state != SessionState::none && m.first_remote() == r;
  SessionId session = is_first || m.extra_sessions == 0 ? kNoSession : sessions_.find(id, r);
  if (!is_first && session == kNoSession) {
    if (direction == Direction::inbound) return DropReason::filtered;
    if (m.first_state == SessionState::none) {
      m.set_first(r, SessionState::filter);
    } else {
      auto added = add_session(policy, id, r, SessionState::filter);
      if (const auto* why = std::get_if<DropReason>(&added)) return *why;
      session = std::get<SessionId>(added);
    }
  }
  refresh_datagram(m, policy, direction, now);
  if (session != kNoSession && (direction == Direction::outbound || policy.udp_inbound_refresh))
    sessions_[session].expires = m.expires;
  return {};
}

std::variant<SessionId, DropReason> StatefulBinding::add_session(const InstanceView& policy, MappingId id,
                                                                 const RemoteEndpoint& remote,
                                                                 SessionState state) {
  Mapping& m = mappings_[id];
  Subscriber& s = subscribers_[m.subscriber];
  if (policy.limits.sessions != 0 && s.sessions >= policy.limits.sessions)
    return DropReason::subscriber_sessions;
  SessionId session = sessions_.create(id, m, remote, state);
  if (session == kNoSession) return DropReason::session_table_full;
  s.sessions++;
  counters_.sessions_live.add();
  return session;
}

void StatefulBinding::remove_session(SessionId id) {
  Mapping& m = mappings_[sessions_[id].mapping];
  subscribers_[m.subscriber].sessions--;
  sessions_.destroy(id, m);
  counters_.sessions_live.subtract();
}

/// Moves one of a mapping's further sessions into the place of its ended first one. False when there is none.
bool StatefulBinding::promote_session(Mapping& m) {
  if (m.extra_sessions == 0) return false;
  SessionId heir = m.first_extra;
  // Entries that only allow an address keep no connection alive.
  while (heir != kNoSession && sessions_[heir].state == SessionState::filter) heir = sessions_[heir].next;
  if (heir == kNoSession) return false;
  m.set_first(sessions_[heir].remote(), sessions_[heir].state);
  m.expires = sessions_[heir].expires;
  remove_session(heir);
  return true;
}

bool StatefulBinding::outlive(const Tables& tables, MappingId id, Millis now) {
  Mapping& m = mappings_[id];
  if (m.internal.protocol == Protocol::tcp) {
    // RFC 6888 REQ-8 exception A: where every close was seen no hold-down is needed.
    bool closed = true;
    while (m.expires.passed(now)) {
      closed = closed && close_was_seen(m.first_state);
      if (promote_session(m)) continue;
      m.first_state = SessionState::none;
      if (m.is_static) return true;
      end_mapping(tables, id, !closed, now);
      return false;
    }
    return true;
  }
  if (m.is_static) return true;
  end_mapping(tables, id, true, now);
  return false;
}

// --- ends
// -------------------------------------------------------------------------------------------------------

void StatefulBinding::end_mapping(const Tables& tables, MappingId id, bool hold, Millis now) {
  Mapping& m = mappings_[id];
  const SubscriberId who = m.subscriber;
  Subscriber& s = subscribers_[who];
  while (m.extra_sessions != 0) remove_session(m.first_extra);
  const PortSpace space = port_space(m.internal.protocol);
  Pool* pool = pool_for(tables, m.external_address);
  assert(pool != nullptr);
  const uint16_t port = m.external_port.value();
  if (m.is_static) {
    s.static_mappings--;  // its record was written by remove_static()
  } else {
    BlockIndex b = pool->block_of(pool->index_of(m.external_address), port);
    release_port(tables, *pool, b, static_cast<uint16_t>(port - pool->first_port(b)), space, hold, now);
  }
  s.mappings--;
  s.ports[static_cast<size_t>(space)]--;
  instance_mappings_[m.instance]--;
  mappings_.destroy(id);
  counters_.mappings_expired.add();
  counters_.mappings_live.subtract();
  forget_if_unused(who);
}

void StatefulBinding::release_port(const Tables& tables, Pool& pool, BlockIndex b, uint16_t offset,
                                   PortSpace space, bool hold, Millis now) {
  Block& block = pool.block(b);
  block.used[static_cast<size_t>(space)]--;
  HeldItem item{ShortTime(now + tables.hold_ms), b, pool.slot(), offset, space, false};
  if (hold && tables.hold_ms != 0)
    push_held(tables, item);
  else
    release_held(tables, item);
  if (block.mappings() == 0) {
    const InstanceView& policy = tables.instances[pool.instance()];
    link_idle(pool, b, ShortTime(now + policy.port_set));
  }
}

void StatefulBinding::push_held(const Tables& tables, const HeldItem& item) {
  while (held_.full()) {
    release_held(tables, held_.pop());
    counters_.holds_cut_short.add();
  }
  held_.push(item);
}

void StatefulBinding::release_held(const Tables& tables, const HeldItem& item) {
  Pool& pool = *tables.pools[item.pool];
  if (item.whole_block) {
    allocators_[item.pool]->give(item.block);
    return;
  }
  pool.bitmap(item.block, item.space)[item.offset / 64] &= ~(uint64_t{1} << (item.offset % 64));
  pool.block(item.block).taken[static_cast<size_t>(item.space)]--;
}

bool StatefulBinding::release_block(const Tables& tables, Pool& pool, BlockIndex b,
                                    logging::EventReason reason, Millis now) {
  Block& block = pool.block(b);
  const SubscriberId who = block.subscriber;
  Subscriber& s = subscribers_[who];
  if (!record(tables, logging::EventKind::block_released, reason, s, pool.address_of(b), pool.first_port(b),
              pool.last_port(b), block.peak, now))
    return false;  // stays idle, and is tried again
  unlink_idle(pool, b);
  unchain(tables, s, pool.slot(), b);
  s.block_count--;
  if (s.block_count == 0 && s.static_mappings == 0) s.paired = false;
  block.state = BlockState::held;
  block.subscriber = kNobody;
  push_held(tables, {ShortTime(now + tables.hold_ms), b, pool.slot(), 0, PortSpace::udp, true});
  counters_.blocks_released.add();
  counters_.blocks_live.subtract();
  forget_if_unused(who);
  return true;
}

void StatefulBinding::unchain(const Tables& tables, Subscriber& s, uint16_t slot, BlockIndex b) {
  BlockIndex* link = &s.first_block;
  uint16_t* link_pool = &s.first_pool;
  while (*link != b || *link_pool != slot) {
    Block& other = tables.pools[*link_pool]->block(*link);
    link = &other.next_of_subscriber;
    link_pool = &other.next_pool;
  }
  const Block& gone = tables.pools[slot]->block(b);
  *link = gone.next_of_subscriber;
  *link_pool = gone.next_pool;
}

void StatefulBinding::forget_if_unused(SubscriberId id) {
  const Subscriber& s = subscribers_[id];
  if (!s.in_use || s.mappings != 0 || s.block_count != 0) return;
  subscribers_.destroy(id);
  counters_.subscribers_live.subtract();
}

void StatefulBinding::link_idle(Pool& pool, BlockIndex b, ShortTime until) {
  IdleList& list = idle_[pool.slot()];
  Block& block = pool.block(b);
  block.idle = true;
  block.idle_until = until;
  block.next = kNoBlock;
  block.previous = list.last;
  if (list.last == kNoBlock)
    list.first = b;
  else
    pool.block(list.last).next = b;
  list.last = b;
}

void StatefulBinding::unlink_idle(Pool& pool, BlockIndex b) {
  IdleList& list = idle_[pool.slot()];
  Block& block = pool.block(b);
  if (block.previous == kNoBlock)
    list.first = block.next;
  else
    pool.block(block.previous).next = block.next;
  if (block.next == kNoBlock)
    list.last = block.previous;
  else
    pool.block(block.next).previous = block.previous;
  block.idle = false;
}

// --- sweeping
// ---------------------------------------------------------------------------------------------------

void StatefulBinding::sweep(const Tables& tables, Millis now) {
  if (now <= swept_) return;
  const uint64_t elapsed = swept_ == 0 ? 1 : now - swept_;
  swept_ = now;
  // A hold-down-timeout that was shortened by a reload holds for what waits already, too.
  const auto longest = static_cast<int32_t>(tables.hold_ms);
  while (!held_.empty() && (held_.oldest().until.passed(now) || held_.oldest().until.from(now) > longest))
    release_held(tables, held_.pop());
  // A full round in 0.8 s, however long ago the last call was.
  auto share = [&](uint32_t size) {
    return static_cast<uint32_t>(
        std::min<uint64_t>(size, (size * std::min<uint64_t>(elapsed, 800) + 799) / 800));
  };
  sweep_mappings(tables, share(mappings_.high_water()), now);
  sweep_sessions(share(sessions_.high_water()), now);
  sweep_idle_blocks(tables, now);
}

void StatefulBinding::sweep_mappings(const Tables& tables, uint32_t count, Millis now) {
  for (; count > 0; count--) {
    if (mapping_hand_ >= mappings_.high_water()) mapping_hand_ = 0;
    const MappingId id = mapping_hand_++;
    Mapping& m = mappings_[id];
    if (!m.in_use) continue;
    if (tables.draining) [[unlikely]] {
      const Pool* pool = pool_for(tables, m.external_address);
      if (pool->draining && pool->drain_deadline <= now) {
        end_mapping(tables, id, true, now);
        continue;
      }
    }
    if (m.expires.passed(now) && (!m.is_static || m.first_state != SessionState::none))
      outlive(tables, id, now);
  }
}

void StatefulBinding::sweep_sessions(uint32_t count, Millis now) {
  for (; count > 0; count--) {
    if (session_hand_ >= sessions_.high_water()) session_hand_ = 0;
    const SessionId id = session_hand_++;
    const Session& s = sessions_[id];
    if (s.state != SessionState::none && s.expires.passed(now)) remove_session(id);
  }
}

void StatefulBinding::sweep_idle_blocks(const Tables& tables, Millis now) {
  for (size_t slot = 0; slot < idle_.size(); slot++) {
    if (idle_[slot].first == kNoBlock) continue;
    Pool& pool = *tables.pools[slot];
    const bool leaving = pool.draining;
    const auto reason = leaving ? logging::EventReason::pool_removed : logging::EventReason::idle;
    const auto longest = static_cast<int32_t>(tables.instances[pool.instance()].port_set);
    // A few at a time: the end of a pool must not hold up packets. Releases can wait, allocations cannot:
    // half of the ring is theirs.
    for (unsigned n = 0; n < kReleasesAtOnce && idle_[slot].first != kNoBlock; n++) {
      const BlockIndex b = idle_[slot].first;
      const ShortTime until = pool.block(b).idle_until;
      if (!leaving && !until.passed(now) && until.from(now) <= longest) break;
      if (log_->waiting() > log_->capacity() / 2) return;
      if (!release_block(tables, pool, b, reason, now)) return;
    }
  }
}

// --- what the control core asks
// ---------------------------------------------------------------------------------

void StatefulBinding::clear_mapping(const Tables& tables, MappingId id, Millis now) {
  if (mappings_[id].in_use && !mappings_[id].is_static) end_mapping(tables, id, true, now);
}

void StatefulBinding::clear_subscriber(const Tables& tables, SubscriberId id, Millis now) {
  Subscriber& s = subscribers_[id];
  while (s.in_use && s.first_block != kNoBlock) {
    Pool& pool = *tables.pools[s.first_pool];
    const BlockIndex b = s.first_block;
    for (Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
      for (unsigned offset = 0; offset < pool.ports().set_size; offset++) {
        ExternalKey key{pool.address_of(b), net::Be16(static_cast<uint16_t>(pool.first_port(b) + offset)),
                        protocol};
        MappingId m = mappings_.find(key);
        if (m != kNoMapping) end_mapping(tables, m, true, now);
      }
    }
    if (!release_block(tables, pool, b, logging::EventReason::cleared, now)) return;
  }
}

void StatefulBinding::attach(std::unique_ptr<BlockAllocator> allocator) {
  const uint16_t slot = allocator->pool().slot();
  if (slot >= allocators_.size()) {
    allocators_.resize(slot + 1u);
    idle_.resize(slot + 1u);
  }
  allocators_[slot] = std::move(allocator);
}

void StatefulBinding::detach(uint16_t slot) {
  allocators_[slot].reset();
  idle_[slot] = IdleList{};
}

StatefulBinding::Outcome StatefulBinding::add_static(const Tables& tables, const StaticEntry& entry,
                                                     Millis now) {
  MappingId old = mappings_.find(entry.internal);
  if (old != kNoMapping) {
    if (mappings_[old].is_static && mappings_[old].matches(entry.external)) return old;
    end_mapping(tables, old, true, now);
  }
  const InstanceView& policy = tables.instances[entry.subscriber.instance];
  auto found = find_or_add(entry.subscriber, entry.mask, policy, now);
  if (const auto* why = std::get_if<DropReason>(&found)) return *why;
  const SubscriberId id = std::get<SubscriberId>(found);
  Subscriber& s = subscribers_[id];
  MappingId mapping = kNoMapping;
  DropReason why = DropReason::mapping_table_full;
  const uint16_t port = entry.external.port.value();
  if (mappings_.size() < mappings_.capacity() && mappings_.find(entry.external) == kNoMapping) {
    why = DropReason::log_full;
    if (record(tables, logging::EventKind::block_allocated, logging::EventReason::static_mapping, s,
               entry.external.address, port, port, 0, now, static_cast<uint8_t>(entry.external.protocol)))
      mapping = add_record(entry.internal, entry.external, id, now);
  }
  if (mapping == kNoMapping) {
    forget_if_unused(id);
    return why;
  }
  Mapping& m = mappings_[mapping];
  m.is_static = true;
  set_deltas(m, policy.carriage);
  s.static_mappings++;
  const Pool* pool = pool_for(tables, entry.external.address);
  if (pool != nullptr) allocators_[pool->slot()]->pin(pool->index_of(entry.external.address));
  if (!s.paired && pool != nullptr) {
    s.paired = true;
    s.pool = pool->slot();
    s.address = pool->index_of(entry.external.address);
  }
  return mapping;
}

bool StatefulBinding::remove_static(const Tables& tables, const StaticEntry& entry, Millis now) {
  const MappingId id = mappings_.find(entry.external);
  if (id == kNoMapping || !mappings_[id].is_static || !(mappings_[id].internal == entry.internal))
    return true;
  const uint16_t port = entry.external.port.value();
  if (!record(tables, logging::EventKind::block_released, logging::EventReason::static_mapping,
              subscribers_[mappings_[id].subscriber], entry.external.address, port, port, 1, now,
              static_cast<uint8_t>(entry.external.protocol)))
    return false;
  end_mapping(tables, id, true, now);
  return true;
}

void StatefulBinding::expel(const Tables& tables, SubscriberId from, SubscriberId to, Millis now) {
  for (SubscriberId id = from; id < to && id < subscribers_.high_water(); id++) {
    const Subscriber& s = subscribers_[id];
    if (!s.in_use || !tables.instances[s.key.instance].configured) continue;  // a removed instance's drain
    const SubscriberRule* rule = tables.rule_for(tables.instances[s.key.instance].carriage, s.key.prefix);
    const bool same =
        rule != nullptr && rule->instance == s.key.instance &&
        rule->mask + (tables.instances[rule->instance].carriage == Carriage::nat44 ? 96 : 0) == s.mask &&
        tables.steering.worker_of(s.key) == self_;
    if (!same) clear_subscriber(tables, id, now);
  }
}

}  // namespace culvert::dataplane
