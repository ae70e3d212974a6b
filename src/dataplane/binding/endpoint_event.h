/// What tells of an external endpoint and the internal one that it stands for: the beginning of an event
/// about a mapping or a session (logging/event.h).
///
/// A function of values; any thread.
#pragma once

#include "dataplane/mapping.h"
#include "logging/event.h"
#include "net/mapped.h"

namespace culvert::dataplane {

/// `mask`: of the subscriber, as in Subscriber.
inline logging::Event endpoint_event(const InternalKey& internal, const ExternalKey& external, uint8_t mask,
                                     Carriage carriage, logging::EventKind kind, Millis now) {
  logging::Event e;
  e.time = now;
  e.kind = kind;
  e.subscriber = carriage == Carriage::nat44 ? net::mapped(internal.ipv4) : internal.ipv6;
  e.subscriber_length = mask;
  if (carriage == Carriage::ds_lite) e.internal = internal.ipv4;
  e.internal_port = internal.port.value();
  e.external = external.address;
  e.first_port = e.last_port = external.port.value();
  e.protocol = static_cast<uint8_t>(external.protocol);
  return e;
}

}  // namespace culvert::dataplane
