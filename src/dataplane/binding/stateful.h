/// The stateful binding: which external endpoint a subscriber's internal endpoint has, one engine for NAT44,
/// DS-Lite and NAT64. It owns all NAT state of one worker and knows nothing of packets' bytes, only of keys,
/// flags and time; the worker (worker.h) parses and rewrites.
///
/// The life of a mapping: create() finds or makes the subscriber, a port in one of his blocks (port_blocks.h)
/// and a record; track() moves its TCP state or filter entries and its timer with every packet; sweep() ends
/// it and gives the port back. Nothing is ever evicted (RFC 6888 REQ-11).
///
/// Belongs to one worker thread; no locks.
#pragma once

#include <array>
#include <variant>

#include "dataplane/binding/port_blocks.h"
#include "dataplane/binding/refusal_log.h"
#include "dataplane/binding/setup.h"
#include "dataplane/binding/subscriber_table.h"
#include "dataplane/counters.h"
#include "dataplane/deadlines.h"
#include "dataplane/mapping_table.h"
#include "dataplane/session_table.h"
#include "dataplane/tables.h"
#include "dataplane/tcp_state.h"

namespace culvert::dataplane {

class StatefulBinding {
 public:
  StatefulBinding(const BindingSetup& setup, Counters& counters);

  MappingTable& mappings() { return mappings_; }
  const MappingTable& mappings() const { return mappings_; }
  const SessionTable& sessions() const { return sessions_; }
  const SubscriberTable& subscribers() const { return subscribers_; }
  PortBlocks& blocks() { return blocks_; }
  const PortBlocks& blocks() const { return blocks_; }

  /// What an attempt to make a mapping came to: the mapping, or why not.
  using Outcome = std::variant<MappingId, DropReason>;

  /// Who wants a mapping. Of a burst's newcomers all take each step before the next, so that their cache
  /// misses overlap: expect(), warm_subscriber(), warm_block(), warm_port(), and then create(), which needs
  /// none of the warm ones.
  struct Newcomer {
    SubscriberKey who;
    uint8_t mask;   ///< as in Subscriber
    uint64_t hash;  ///< of `who`, in the SubscriberTable
    SubscriberId likely = kNoSubscriber;
    uint32_t luck;                  ///< chooses his port
    std::optional<BlockPort> port;  ///< the one, unless another newcomer takes it first
  };
  Newcomer expect(const SubscriberKey& who, uint8_t mask);
  void warm_subscriber(Newcomer& n) const;
  void warm_block(const Tables& tables, const Newcomer& n, Protocol protocol) const;
  void warm_port(const Tables& tables, Newcomer& n, const InternalKey& key) const;

  /// A mapping for this internal endpoint, which has none yet. The subscriber is known to be this worker's.
  Outcome create(const Tables& tables, const Newcomer& n, const InternalKey& key, Millis now);
  Outcome create(const Tables& tables, const SubscriberRule& rule, const InternalKey& key, Millis now) {
    const Carriage carriage = tables.instances[rule.instance].carriage;
    return create(tables, expect(rule.subscriber_of(carriage, key), rule.prefix_length(carriage)), key, now);
  }

  /// A mapping that has passed its time but was not swept yet counts as gone: it is ended here and false
  /// returned.
  bool alive(const Tables& tables, MappingId id, Millis now) {
    const Mapping& m = mappings_[id];
    if (!m.expires.passed(now) || m.is_static) [[likely]]
      return true;
    return outlive(tables, id, now);
  }

  /// A packet of this mapping is about to go through: moves state and timers. Returns why it must not
  /// instead. The common cases — UDP and ICMP under eif, TCP within its established first session — stay
  /// inline.
  template <Direction kDirection>
  std::variant<std::monostate, DropReason> track(const Tables& tables, MappingId id,
                                                 const RemoteEndpoint& remote, uint8_t tcp_flags,
                                                 Millis now) {
    Mapping& m = mappings_[id];
    const InstanceView& policy = tables.instances[m.instance];
    if (m.internal.protocol == Protocol::tcp) {
      constexpr uint8_t kTurns = net::TcpHeader::kSyn | net::TcpHeader::kFin | net::TcpHeader::kRst;
      if (m.first_state == SessionState::established && (tcp_flags & kTurns) == 0 &&
          m.first_remote() == remote) [[likely]] {
        refresh(m, policy.tcp_idle, now);
        return {};
      }
      return track_tcp(policy, id, kDirection, remote, tcp_flags, now);
    }
    if (policy.tracks_remotes) return track_datagram(policy, id, kDirection, remote, now);
    refresh_datagram(m, policy, kDirection, now);
    return {};
  }

  /// Whether the mapping's filtering-type lets packets of this remote in (RFC 4787 §5). Moves nothing.
  bool lets_in(const Tables& tables, MappingId id, const RemoteEndpoint& remote) const;
  /// Whether this TCP connection has a session: a SYN of it went out.
  bool has_session(const ExternalKey& external, const RemoteEndpoint& remote) const;

  /// Ends what has timed out, within a second unless millions do at once (deadlines.h), and hands back ports
  /// and blocks whose hold-down or port-set-timeout is over. Call it after every burst, and every few
  /// milliseconds at least: one call does a little only, so that packets need not wait for the end of many
  /// mappings at once. Returns behind().
  bool sweep(const Tables& tables, Millis now);
  /// Whether the last sweep left something that is due.
  bool behind() const { return behind_; }

  /// Ends mappings now, as `culvert clear` asks; clear_subscriber() also gives his blocks back.
  void clear_mapping(const Tables& tables, MappingId id, Millis now);
  void clear_subscriber(const Tables& tables, SubscriberId id, Millis now);

  /// Gives a subscriber the block that the record says he holds. False: there is no room for him.
  bool inherit(const Tables& tables, const SubscriberKey& who, uint8_t mask, uint16_t slot, BlockIndex b,
               Millis now);

  /// Makes the static mapping if it is this worker's and not there yet. An error is why it cannot be made.
  /// `on_record`: it is already, of the run before.
  Outcome add_static(const Tables& tables, const StaticEntry& entry, Millis now, bool on_record = false);
  /// Ends a static mapping. False when the log ring is full: it lives on, to be tried again.
  bool remove_static(const Tables& tables, const StaticEntry& entry, Millis now);
  /// Of the subscribers numbered [from, to): ends those whom a changed configuration knows no longer, knows
  /// as somebody else, or gives to another worker. Their flows begin anew there.
  void expel(const Tables& tables, SubscriberId from, SubscriberId to, Millis now);

  /// Puts on record that somebody could not be served, and why, if it is time for that (refusal_log.h).
  void record_refusal(const Tables& tables, const SubscriberKey& who, uint8_t mask, DropReason why,
                      Millis now);

  /// Bytes taken for tables.
  size_t bytes() const {
    return mappings_.bytes() + sessions_.bytes() + subscribers_.bytes() + mapping_deadlines_.bytes() +
           session_deadlines_.bytes();
  }

 private:
  /// Timers are refreshed with a grain of a second, so that a busy mapping's line is not written by every
  /// packet.
  static void refresh(Mapping& m, uint32_t timeout, Millis now) {
    if (static_cast<uint32_t>(m.expires.from(now)) + 1000 <= timeout || m.expires.passed(now))
      m.expires = ShortTime(now + timeout);
  }
  void refresh_datagram(Mapping& m, const InstanceView& policy, Direction direction, Millis now) {
    if (direction == Direction::inbound && !policy.udp_inbound_refresh) return;
    refresh(m, m.internal.protocol == Protocol::udp ? policy.udp : policy.icmp, now);
  }

  /// Something of the mapping has timed out: ends its first session, lets the next one take that place, or
  /// ends the mapping. Whether the mapping lives on.
  bool outlive(const Tables& tables, MappingId id, Millis now);
  void set_end(MappingId id, ShortTime end) {
    mappings_[id].expires = end;
    mapping_deadlines_.lower(id, end);
  }
  void set_session_end(SessionId id, ShortTime end);
  /// When a timer that starts now ends; nullopt: this one starts none.
  static std::optional<ShortTime> end_of(TcpTimer timer, const InstanceView& policy, Millis now);
  std::variant<std::monostate, DropReason> track_tcp(const InstanceView& policy, MappingId id,
                                                     Direction direction, const RemoteEndpoint& remote,
                                                     uint8_t flags, Millis now);
  std::variant<std::monostate, DropReason> track_datagram(const InstanceView& policy, MappingId id,
                                                          Direction direction, const RemoteEndpoint& remote,
                                                          Millis now);
  /// Whether it has a session or filter entry of exactly this remote.
  bool knows(MappingId id, const RemoteEndpoint& remote) const;
  bool filter_allows(const InstanceView& policy, MappingId id, const RemoteEndpoint& remote) const;
  std::variant<SessionId, DropReason> add_session(const InstanceView& policy, MappingId id,
                                                  const RemoteEndpoint& remote, SessionState state,
                                                  Millis now);
  /// It has ended: puts that on record.
  void end_session(const InstanceView& policy, SessionId id, Millis now);
  void remove_session(SessionId id);
  /// A mapping's first session: begins, if its record could be written; has ended.
  bool begin_first(const InstanceView& policy, MappingId id, const RemoteEndpoint& remote, SessionState state,
                   Millis now);
  void end_first(const InstanceView& policy, MappingId id, Millis now);
  bool promote_session(MappingId id);
  std::variant<std::monostate, DropReason> allow_address(const InstanceView& policy, MappingId id,
                                                         const RemoteEndpoint& remote, Millis now);

  std::variant<SubscriberId, DropReason> find_or_add(const SubscriberKey& key, uint64_t hash, uint8_t mask,
                                                     const InstanceView& policy, Millis now);
  Outcome create_for(const Tables& tables, const InstanceView& policy, SubscriberId id, const Newcomer& n,
                     const InternalKey& key, Millis now);
  MappingId add_record(const InternalKey& internal, const ExternalKey& external, SubscriberId id, Millis now);
  bool rate_allows(const InstanceView& policy, Subscriber& s, Millis now) const;

  void end_mapping(const Tables& tables, MappingId id, bool hold, Millis now);

  // log-sessions (session_log.cpp). False: the ring is full.
  bool record_mapping(const InstanceView& policy, logging::EventKind kind, MappingId id, Millis now);
  bool record_session(const InstanceView& policy, logging::EventKind kind, MappingId id,
                      const RemoteEndpoint& remote, SessionState state, Millis now);
  /// What has timed out lives on for now: half of the ring is kept for what begins.
  bool ends_must_wait(const InstanceView& policy) const;
  ShortTime look_at(const Tables& tables, MappingId id, Millis now);

  WorkerId self_;
  Counters& counters_;
  MappingTable mappings_;
  SessionTable sessions_;
  SubscriberTable subscribers_;
  PortBlocks blocks_;
  std::array<uint32_t, kMaxInstances> instance_mappings_{};
  Deadlines mapping_deadlines_, session_deadlines_;
  RefusalLog refusals_;
  Millis swept_ = 0;
  bool behind_ = false;
};

}  // namespace culvert::dataplane
