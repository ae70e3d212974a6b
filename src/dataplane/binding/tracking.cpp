/// What a packet does to its mapping: the TCP state machine, filters, further sessions and timers.
#include "dataplane/binding/stateful.h"

namespace culvert::dataplane {
namespace {

/// What of a remote a datagram's filter looks at (RFC 4787 §5), and its record tells; ICMP has no port.
RemoteEndpoint filtered_as(const InstanceView& policy, Protocol protocol, const RemoteEndpoint& remote) {
  const bool port = policy.filtering != config::Filtering::adf && protocol != Protocol::icmp;
  return {remote.address, port ? remote.port : net::Be16()};
}

/// Whether a session has longer left than the timer that begins now would give it (TcpTimer::in_open).
bool keeps_more(TcpTimer timer, ShortTime left, ShortTime end) {
  return timer == TcpTimer::in_open && end.before(left);
}

}  // namespace

std::optional<ShortTime> StatefulBinding::end_of(TcpTimer timer, const InstanceView& policy, Millis now) {
  switch (timer) {
    case TcpTimer::keep:
      break;
    case TcpTimer::trans_open:
    case TcpTimer::in_open:
      return ShortTime(now + policy.tcp_trans_open);
    case TcpTimer::trans_close:
      return ShortTime(now + policy.tcp_trans_close);
    case TcpTimer::idle:
      return ShortTime(now + policy.tcp_idle);
  }
  return std::nullopt;
}

void StatefulBinding::set_session_end(SessionId id, ShortTime end) {
  sessions_[id].expires = end;
  session_deadlines_.lower(id, end);
}

std::variant<std::monostate, DropReason> StatefulBinding::track_tcp(const InstanceView& policy, MappingId id,
                                                                    Direction direction,
                                                                    const RemoteEndpoint& remote,
                                                                    uint8_t flags, Millis now) {
  Mapping& m = mappings_[id];
  if (m.first_state != SessionState::none && m.first_remote() == remote) {
    TcpStep step = tcp_step(m.first_state, direction, flags);
    m.first_state = step.state;
    const auto end = end_of(step.timer, policy, now);
    if (end && !keeps_more(step.timer, m.expires, *end)) set_end(id, *end);
    return {};
  }
  if (m.extra_sessions != 0) {
    SessionId session = sessions_.find(id, remote);
    if (session != kNoSession) {
      Session& s = sessions_[session];
      TcpStep step = tcp_step(s.state, direction, flags);
      s.state = step.state;
      const auto end = end_of(step.timer, policy, now);
      if (end && !keeps_more(step.timer, s.expires, *end)) set_session_end(session, *end);
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
    if (!begin_first(policy, id, remote, step.state, now)) return DropReason::log_full;
    if (const auto end = end_of(step.timer, policy, now)) set_end(id, *end);
    return {};
  }
  auto added = add_session(policy, id, remote, step.state, now);
  if (const auto* why = std::get_if<DropReason>(&added)) return *why;
  if (const auto end = end_of(step.timer, policy, now)) set_session_end(std::get<SessionId>(added), *end);
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
    auto added = add_session(policy, id, address, SessionState::filter, now);
    if (const auto* why = std::get_if<DropReason>(&added)) return *why;
    entry = std::get<SessionId>(added);
  }
  set_session_end(entry, ShortTime(now + policy.tcp_idle));
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
      return knows(id, remote);
  }
  return false;
}

bool StatefulBinding::knows(MappingId id, const RemoteEndpoint& remote) const {
  const Mapping& m = mappings_[id];
  return (m.first_state != SessionState::none && m.first_remote() == remote) ||
         (m.extra_sessions != 0 && sessions_.find(id, remote) != kNoSession);
}

bool StatefulBinding::lets_in(const Tables& tables, MappingId id, const RemoteEndpoint& remote) const {
  const Mapping& m = mappings_[id];
  const InstanceView& policy = tables.instances[m.instance];
  if (policy.filtering == config::Filtering::eif) return true;
  if (m.internal.protocol == Protocol::tcp) return knows(id, remote) || filter_allows(policy, id, remote);
  return knows(id, filtered_as(policy, m.internal.protocol, remote));
}

bool StatefulBinding::has_session(const ExternalKey& external, const RemoteEndpoint& remote) const {
  const MappingId id = mappings_.find(external);
  return id != kNoMapping && knows(id, remote);
}

std::variant<std::monostate, DropReason> StatefulBinding::track_datagram(const InstanceView& policy,
                                                                         MappingId id, Direction direction,
                                                                         const RemoteEndpoint& remote,
                                                                         Millis now) {
  Mapping& m = mappings_[id];
  const RemoteEndpoint r = filtered_as(policy, m.internal.protocol, remote);
  const bool is_first = m.first_state != SessionState::none && m.first_remote() == r;
  SessionId session = is_first || m.extra_sessions == 0 ? kNoSession : sessions_.find(id, r);
  if (!is_first && session == kNoSession) {
    if (direction == Direction::inbound) {
      if (policy.filtering != config::Filtering::eif) return DropReason::filtered;
      refresh_datagram(m, policy, direction, now);  // whoever that is, he opens nothing
      return {};
    }
    if (m.first_state == SessionState::none) {
      if (!begin_first(policy, id, r, SessionState::filter, now)) return DropReason::log_full;
    } else {
      auto added = add_session(policy, id, r, SessionState::filter, now);
      if (const auto* why = std::get_if<DropReason>(&added)) return *why;
      session = std::get<SessionId>(added);
    }
  }
  refresh_datagram(m, policy, direction, now);
  if (session != kNoSession && (direction == Direction::outbound || policy.udp_inbound_refresh))
    set_session_end(session, m.expires);
  return {};
}

std::variant<SessionId, DropReason> StatefulBinding::add_session(const InstanceView& policy, MappingId id,
                                                                 const RemoteEndpoint& remote,
                                                                 SessionState state, Millis now) {
  Mapping& m = mappings_[id];
  Subscriber& s = subscribers_[m.subscriber];
  if (policy.limits.sessions != 0 && s.sessions >= policy.limits.sessions)
    return DropReason::subscriber_sessions;
  SessionId session = sessions_.create(id, m, remote, state);
  if (session == kNoSession) return DropReason::session_table_full;
  if (!record_session(policy, logging::EventKind::session_created, id, remote, state, now)) {
    sessions_.destroy(session, m);
    return DropReason::log_full;
  }
  s.sessions++;
  counters_.sessions_live.add();
  return session;
}

void StatefulBinding::end_session(const InstanceView& policy, SessionId id, Millis now) {
  const Session& s = sessions_[id];
  record_session(policy, logging::EventKind::session_deleted, s.mapping, s.remote(), s.state, now);
  remove_session(id);
}

bool StatefulBinding::begin_first(const InstanceView& policy, MappingId id, const RemoteEndpoint& remote,
                                  SessionState state, Millis now) {
  if (!record_session(policy, logging::EventKind::session_created, id, remote, state, now)) return false;
  mappings_[id].set_first(remote, state);
  return true;
}

void StatefulBinding::end_first(const InstanceView& policy, MappingId id, Millis now) {
  Mapping& m = mappings_[id];
  record_session(policy, logging::EventKind::session_deleted, id, m.first_remote(), m.first_state, now);
  m.first_state = SessionState::none;
}

void StatefulBinding::remove_session(SessionId id) {
  Mapping& m = mappings_[sessions_[id].mapping];
  subscribers_[m.subscriber].sessions--;
  sessions_.destroy(id, m);
  counters_.sessions_live.subtract();
}

/// Moves one of a mapping's further sessions into the place of its ended first one. False when there is none.
bool StatefulBinding::promote_session(MappingId id) {
  Mapping& m = mappings_[id];
  if (m.extra_sessions == 0) return false;
  SessionId heir = m.first_extra;
  // Entries that only allow an address keep no connection alive.
  while (heir != kNoSession && sessions_[heir].state == SessionState::filter) heir = sessions_[heir].next;
  if (heir == kNoSession) return false;
  m.set_first(sessions_[heir].remote(), sessions_[heir].state);
  set_end(id, sessions_[heir].expires);
  remove_session(heir);
  return true;
}

bool StatefulBinding::outlive(const Tables& tables, MappingId id, Millis now) {
  Mapping& m = mappings_[id];
  // Another packet of its burst, looked up before, may have ended it.
  if (!m.in_use) return false;
  const InstanceView& policy = tables.instances[m.instance];
  if (ends_must_wait(policy)) return true;
  if (m.internal.protocol == Protocol::tcp) {
    // RFC 6888 REQ-8 exception A: where every close was seen no hold-down is needed.
    bool closed = true;
    while (m.expires.passed(now)) {
      closed = closed && close_was_seen(m.first_state);
      end_first(policy, id, now);
      if (promote_session(id)) continue;
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

}  // namespace culvert::dataplane
