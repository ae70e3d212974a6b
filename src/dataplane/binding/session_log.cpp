/// What goes on record besides blocks: mappings and sessions where `log-sessions` asks for them, and
/// refusals.
#include "dataplane/binding/endpoint_event.h"
#include "dataplane/binding/stateful.h"

namespace culvert::dataplane {

bool StatefulBinding::record_mapping(const InstanceView& policy, logging::EventKind kind, MappingId id,
                                     Millis now) {
  if (policy.log_sessions != config::LogSessions::mappings) return true;
  const Mapping& m = mappings_[id];
  return m.is_static ||  // has a record of its own
         blocks_.record(endpoint_event(m.internal, m.external(), subscribers_[m.subscriber].mask,
                                       policy.carriage, kind, now));
}

bool StatefulBinding::record_session(const InstanceView& policy, logging::EventKind kind, MappingId id,
                                     const RemoteEndpoint& remote, SessionState state, Millis now) {
  if (policy.log_sessions != config::LogSessions::destinations) return true;
  const Mapping& m = mappings_[id];
  // An address that is let in by the session with it (allow_address) is no session.
  if (state == SessionState::none || (state == SessionState::filter && m.internal.protocol == Protocol::tcp))
    return true;
  logging::Event e =
      endpoint_event(m.internal, m.external(), subscribers_[m.subscriber].mask, policy.carriage, kind, now);
  e.destination = remote.address;
  e.destination_port = remote.port.value();
  return blocks_.record(e);
}

bool StatefulBinding::ends_must_wait(const InstanceView& policy) const {
  return policy.log_sessions != config::LogSessions::off && blocks_.log_is_half_full();
}

void StatefulBinding::record_refusal(const Tables& tables, const SubscriberKey& who, uint8_t mask,
                                     DropReason why, Millis now) {
  const InstanceView& policy = tables.instances[who.instance];
  if (why == DropReason::log_full || why == DropReason::draining) return;
  const bool room = !policy.pools.empty() && !blocks_.log_is_half_full();
  const std::optional<uint32_t> count = refusals_.count(why, room, now);
  if (!count) return;
  logging::Event e;
  e.time = now;
  e.kind = logging::EventKind::refused;
  e.subscriber = who.prefix;
  e.subscriber_length = mask;
  e.external = tables.pools[policy.pools.front()]->address(0);
  e.origin = static_cast<uint8_t>(why);
  e.lifetime = *count;
  blocks_.record(e);
}

}  // namespace culvert::dataplane
