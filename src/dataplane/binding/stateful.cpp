#include "dataplane/binding/stateful.h"

#include <algorithm>
#include <cassert>

#include "dataplane/binding/endpoint_event.h"
#include "dataplane/carriage/deltas.h"

namespace culvert::dataplane {
namespace {

net::HashKey derived(const net::HashKey& key, uint64_t salt) {
  net::HashKey k = key;
  for (uint64_t& w : k.word) w = net::fold_multiply(w ^ salt, 0x9e3779b97f4a7c15) | 1;
  return k;
}

/// Milliseconds until the next look at what has timed out and must wait.
constexpr uint32_t kLookAgain = 100;

ExternalKey endpoint(const Tables& tables, BlockPort port, Protocol protocol) {
  const Pool& pool = *tables.pools[port.pool];
  return {pool.address_of(port.block),
          net::Be16(static_cast<uint16_t>(pool.first_port(port.block) + port.offset)), protocol};
}

/// What tells of a static mapping.
logging::Event event_of(const StaticEntry& entry, const InstanceView& policy, logging::EventKind kind,
                        Millis now) {
  logging::Event e = endpoint_event(entry.internal, entry.external, entry.mask, policy.carriage, kind, now);
  constexpr uint8_t kStatic = 1;
  e.origin = kStatic;
  return e;
}

}  // namespace

StatefulBinding::StatefulBinding(const BindingSetup& setup, Counters& counters)
    : self_(setup.self),
      counters_(counters),
      mappings_(setup.mappings, setup.hash_key),
      sessions_(setup.sessions, derived(setup.hash_key, 1)),
      subscribers_(setup.subscribers, derived(setup.hash_key, 2)),
      blocks_(setup, subscribers_, counters),
      mapping_deadlines_(setup.mappings),
      session_deadlines_(setup.sessions) {}

StatefulBinding::Newcomer StatefulBinding::expect(const SubscriberKey& who, uint8_t mask) {
  Newcomer n;
  n.who = who;
  n.mask = mask;
  n.hash = n.who.hash(subscribers_.hash_key());
  n.luck = blocks_.draw_luck();
  subscribers_.index().prefetch(n.hash);
  return n;
}

void StatefulBinding::warm_subscriber(Newcomer& n) const {
  n.likely = subscribers_.index().candidate(n.hash);
  if (n.likely == TaggedIndex::kElsewhere) n.likely = subscribers_.index().alternate_candidate(n.hash);
  if (n.likely != kNoSubscriber) subscribers_.prefetch_record(n.likely);
}

void StatefulBinding::warm_block(const Tables& tables, const Newcomer& n, Protocol protocol) const {
  if (n.likely == kNoSubscriber) return;
  const Subscriber& s = subscribers_[n.likely];
  if (s.first_block == kNoBlock) return;
  Pool& pool = *tables.pools[s.first_pool];
  const Block& block = pool.block(s.first_block);  // may lie in two cache lines
  __builtin_prefetch(&block, 1);
  __builtin_prefetch(reinterpret_cast<const uint8_t*>(&block + 1) - 1, 1);
  __builtin_prefetch(pool.bitmap(s.first_block, port_space(protocol)), 1);
}

void StatefulBinding::warm_port(const Tables& tables, Newcomer& n, const InternalKey& key) const {
  if (n.likely == kNoSubscriber) return;
  n.port = PortBlocks::find_free(tables, subscribers_[n.likely], key, n.luck);
  if (!n.port) return;
  mappings_.inbound().prefetch(endpoint(tables, *n.port, key.protocol).hash(mappings_.hash_key()));
}

StatefulBinding::Outcome StatefulBinding::create(const Tables& tables, const Newcomer& n,
                                                 const InternalKey& key, Millis now) {
  const InstanceView& policy = tables.instances[n.who.instance];
  auto found = find_or_add(n.who, n.hash, n.mask, policy, now);
  if (const auto* why = std::get_if<DropReason>(&found)) return *why;
  SubscriberId id = std::get<SubscriberId>(found);
  Outcome outcome = create_for(tables, policy, id, n, key, now);
  if (std::holds_alternative<DropReason>(outcome)) blocks_.forget_if_unused(id);
  return outcome;
}

std::variant<SubscriberId, DropReason> StatefulBinding::find_or_add(const SubscriberKey& key, uint64_t hash,
                                                                    uint8_t mask, const InstanceView& policy,
                                                                    Millis now) {
  SubscriberId id = subscribers_.find(key, hash);
  if (id != kNoSubscriber) return id;
  id = subscribers_.create(key, hash, mask);
  if (id == kNoSubscriber) return DropReason::subscriber_table_full;
  subscribers_[id].tokens = policy.limits.mappings_per_second * 1000;
  subscribers_[id].refilled = ShortTime(now);
  counters_.subscribers_live.add();
  return id;
}

StatefulBinding::Outcome StatefulBinding::create_for(const Tables& tables, const InstanceView& policy,
                                                     SubscriberId id, const Newcomer& n,
                                                     const InternalKey& key, Millis now) {
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

  BlockPort port;
  if (n.port && n.likely == id && PortBlocks::is_free(tables, *n.port, port_space(key.protocol))) [[likely]] {
    port = *n.port;
  } else {
    auto chosen = blocks_.choose(tables, id, key, n.luck, now);
    if (const auto* why = std::get_if<DropReason>(&chosen)) return *why;
    port = std::get<BlockPort>(chosen);
  }
  if (policy.log_sessions == config::LogSessions::mappings && !blocks_.log_has_room()) [[unlikely]]
    return DropReason::log_full;
  MappingId mapping = add_record(key, endpoint(tables, port, key.protocol), id, now);
  if (mapping == kNoMapping) return DropReason::mapping_table_full;
  record_mapping(policy, logging::EventKind::session_created, mapping, now);

  blocks_.use(tables, port, port_space(key.protocol));

  Mapping& m = mappings_[mapping];
  carriage::set_deltas(m, policy.carriage);
  set_end(mapping, ShortTime(now + (key.protocol == Protocol::tcp   ? policy.tcp_trans_open
                                    : key.protocol == Protocol::udp ? policy.udp
                                                                    : policy.icmp)));
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

void StatefulBinding::end_mapping(const Tables& tables, MappingId id, bool hold, Millis now) {
  Mapping& m = mappings_[id];
  const SubscriberId who = m.subscriber;
  Subscriber& s = subscribers_[who];
  const InstanceView& policy = tables.instances[m.instance];
  if (m.first_state != SessionState::none) end_first(policy, id, now);
  while (m.extra_sessions != 0) end_session(policy, m.first_extra, now);
  record_mapping(policy, logging::EventKind::session_deleted, id, now);
  const PortSpace space = port_space(m.internal.protocol);
  Pool* pool = tables.pool_of(m.external_address);
  assert(pool != nullptr);
  const uint16_t port = m.external_port.value();
  if (m.is_static) {
    s.static_mappings--;  // its record was written by remove_static()
  } else {
    const BlockIndex b = pool->block_of(pool->index_of(m.external_address), port);
    blocks_.release(tables, {pool->slot(), b, static_cast<uint16_t>(port - pool->first_port(b))}, space, hold,
                    now);
  }
  s.mappings--;
  s.ports[static_cast<size_t>(space)]--;
  instance_mappings_[m.instance]--;
  mappings_.destroy(id);
  counters_.mappings_expired.add();
  counters_.mappings_live.subtract();
  blocks_.forget_if_unused(who);
}

bool StatefulBinding::sweep(const Tables& tables, Millis now) {
  if (now <= swept_ && !behind_) return false;
  const uint64_t elapsed = swept_ == 0 ? 1 : now > swept_ ? now - swept_ : 0;
  swept_ = std::max(swept_, now);
  constexpr uint64_t kRound = 800;  // milliseconds
  behind_ = mapping_deadlines_.sweep(mappings_.high_water(), elapsed, kRound, tables.draining, now,
                                     [&](MappingId id) { return look_at(tables, id, now); });
  behind_ |= session_deadlines_.sweep(sessions_.high_water(), elapsed, kRound, false, now, [&](SessionId id) {
    const Session& s = sessions_[id];
    if (s.state != SessionState::none && s.expires.passed(now)) {
      const InstanceView& policy = tables.instances[mappings_[s.mapping].instance];
      if (ends_must_wait(policy)) return ShortTime(now + kLookAgain);
      end_session(policy, id, now);
    }
    return s.state == SessionState::none ? Deadlines::later(now) : s.expires;
  });
  behind_ |= blocks_.sweep(tables, now);
  return behind_;
}

/// The sweep's look at a record: ends what is over. Returns when the next look is due.
ShortTime StatefulBinding::look_at(const Tables& tables, MappingId id, Millis now) {
  const Mapping& m = mappings_[id];
  if (!m.in_use) return Deadlines::later(now);
  if (tables.draining) [[unlikely]] {
    const Pool* pool = tables.pool_of(m.external_address);
    if (pool->draining && pool->drain_deadline <= now) {
      end_mapping(tables, id, true, now);
      return Deadlines::later(now);
    }
  }
  // Of a static mapping only a TCP session can run out.
  const auto timed = [&] {
    return !m.is_static || (m.internal.protocol == Protocol::tcp && m.first_state != SessionState::none);
  };
  if (timed() && m.expires.passed(now) && outlive(tables, id, now) && m.expires.passed(now))
    return ShortTime(now + kLookAgain);
  return m.in_use && timed() ? m.expires : Deadlines::later(now);
}

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
    if (!blocks_.release_block(tables, pool, b, logging::Reason::cleared, now)) return;
  }
}

bool StatefulBinding::inherit(const Tables& tables, const SubscriberKey& who, uint8_t mask, uint16_t slot,
                              BlockIndex b, Millis now) {
  const auto found =
      find_or_add(who, who.hash(subscribers_.hash_key()), mask, tables.instances[who.instance], now);
  const auto* id = std::get_if<SubscriberId>(&found);
  return id != nullptr && blocks_.inherit(tables, *id, slot, b, now);
}

StatefulBinding::Outcome StatefulBinding::add_static(const Tables& tables, const StaticEntry& entry,
                                                     Millis now, bool on_record) {
  MappingId old = mappings_.find(entry.internal);
  if (old != kNoMapping) {
    if (mappings_[old].is_static && mappings_[old].matches(entry.external)) return old;
    end_mapping(tables, old, true, now);
  }
  const InstanceView& policy = tables.instances[entry.subscriber.instance];
  auto found =
      find_or_add(entry.subscriber, entry.subscriber.hash(subscribers_.hash_key()), entry.mask, policy, now);
  if (const auto* why = std::get_if<DropReason>(&found)) return *why;
  const SubscriberId id = std::get<SubscriberId>(found);
  Subscriber& s = subscribers_[id];
  MappingId mapping = kNoMapping;
  DropReason why = DropReason::mapping_table_full;
  if (mappings_.size() < mappings_.capacity() && mappings_.find(entry.external) == kNoMapping) {
    why = DropReason::log_full;
    if (on_record || blocks_.record(event_of(entry, policy, logging::EventKind::mapping_created, now)))
      mapping = add_record(entry.internal, entry.external, id, now);
  }
  if (mapping == kNoMapping) {
    blocks_.forget_if_unused(id);
    return why;
  }
  Mapping& m = mappings_[mapping];
  m.is_static = true;
  carriage::set_deltas(m, policy.carriage);
  s.static_mappings++;
  const Pool* pool = tables.pool_of(entry.external.address);
  if (pool != nullptr) blocks_.allocator(pool->slot())->pin(pool->index_of(entry.external.address));
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
  logging::Event e =
      event_of(entry, tables.instances[entry.subscriber.instance], logging::EventKind::mapping_deleted, now);
  e.reason = logging::Reason::configuration;
  if (!blocks_.record(e)) return false;
  end_mapping(tables, id, true, now);
  return true;
}

void StatefulBinding::expel(const Tables& tables, SubscriberId from, SubscriberId to, Millis now) {
  for (SubscriberId id = from; id < to && id < subscribers_.high_water(); id++) {
    const Subscriber& s = subscribers_[id];
    if (!s.in_use || !tables.instances[s.key.instance].configured) continue;  // a removed instance's drain
    const SubscriberRule* rule = tables.rule_for(tables.instances[s.key.instance].carriage, s.key.prefix);
    const bool same = rule != nullptr && rule->instance == s.key.instance &&
                      rule->prefix_length(tables.instances[rule->instance].carriage) == s.mask &&
                      tables.steering.worker_of(s.key) == self_;
    if (!same) clear_subscriber(tables, id, now);
  }
}

}  // namespace culvert::dataplane
