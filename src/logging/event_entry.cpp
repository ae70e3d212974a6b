#include "logging/event_entry.h"

#include <utility>

#include "dataplane/drop_reason.h"
#include "net/mapped.h"

namespace culvert::logging {
namespace {

Entry::Kind kind_of(EventKind kind) {
  switch (kind) {
    case EventKind::block_allocated:
      return Entry::Kind::block_allocated;
    case EventKind::block_released:
      return Entry::Kind::block_released;
    case EventKind::mapping_created:
      return Entry::Kind::mapping_created;
    case EventKind::mapping_deleted:
      return Entry::Kind::mapping_deleted;
    case EventKind::session_created:
      return Entry::Kind::session_created;
    case EventKind::session_deleted:
      return Entry::Kind::session_deleted;
    case EventKind::refused:
      return Entry::Kind::refused;
    case EventKind::record_lost:
      break;
  }
  return Entry::Kind::record_lost;
}

}  // namespace

Entry entry_of(const Event& event, std::string instance, Entry::Carriage carriage) {
  Entry e;
  e.kind = kind_of(event.kind);
  e.time = event.time;
  e.worker = event.worker;
  e.reason = event.reason;
  e.instance = std::move(instance);
  e.carriage = carriage;
  e.subscriber = event.subscriber.masked(event.subscriber_length);
  e.subscriber_length = event.subscriber_length;
  e.external = event.external;
  e.first_port = event.first_port;
  e.last_port = event.last_port;
  e.peak = event.peak;
  if (event.kind == EventKind::block_allocated || event.kind == EventKind::block_released) return e;
  if (event.kind == EventKind::refused) {
    e.text = dataplane::drop_reason_name(event.origin);
    e.count = event.lifetime;
    return e;
  }
  e.protocol = event.protocol;
  e.origin = static_cast<Entry::Origin>(event.origin);
  e.internal = event.internal == net::Ipv4Address() ? event.subscriber : net::mapped(event.internal);
  e.internal_port = event.internal_port;
  e.lifetime = event.lifetime;
  if (event.destination != net::Ipv4Address()) e.destination = event.destination;
  e.destination_port = event.destination_port;
  return e;
}

}  // namespace culvert::logging
