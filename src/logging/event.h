/// What is put on record: one fixed-size event for every block given and taken back, and for every explicit
/// mapping and session that is to be recorded. A value, written by a worker into its ring (event_ring.h)
/// before the first packet of what it tells leaves, read by the recorder.
#pragma once

#include <cstdint>

#include "logging/reason.h"
#include "net/address.h"

namespace culvert::logging {

enum class EventKind : uint8_t {
  block_allocated = 1,
  block_released = 2,
  mapping_created = 3,  ///< an explicit one: static, or asked for by PCP
  mapping_deleted = 4,
  session_created = 5,  ///< without a destination: a mapping that is not an explicit one
  session_deleted = 6,
  record_lost = 7,  ///< a crash of the machine tore this event; only worker and sequence are known
  refused = 8,      ///< the subscriber could not be served
};

inline constexpr EventKind kLastEventKind = EventKind::refused;

struct Event {
  uint64_t time = 0;      ///< event clock: milliseconds since 1970-01-01 UTC
  uint64_t sequence = 0;  ///< of this ring, from 1 without gaps; set by the ring
  /// Of blocks the subscriber: bits behind his prefix's length are zero. Of mappings and sessions the
  /// internal address or the B4's, whose first bits are the subscriber. IPv4 as ::ffff:a.b.c.d.
  net::Ipv6Address subscriber;
  net::Ipv4Address external;               ///< refused: one of his instance's
  uint16_t first_port = 0, last_port = 0;  ///< of mappings and sessions both are their port
  EventKind kind = EventKind::block_allocated;
  Reason reason = Reason::none;
  uint8_t subscriber_length = 128;  ///< of his prefix; an IPv4 mask counts from 96
  uint8_t worker = 0;
  uint16_t peak = 0;     ///< block_released: most mappings at once
  uint8_t protocol = 0;  ///< of IP; mappings and sessions
  uint8_t origin = 0;    ///< of mappings: 0 dynamic, 1 static, 2 PCP MAP, 3 PCP PEER; refused: the DropReason
  // Mappings and sessions.
  net::Ipv4Address internal;     ///< behind a B4; else 0.0.0.0, and `subscriber` has it
  net::Ipv4Address destination;  ///< 0.0.0.0: not told
  uint32_t lifetime = 0;  ///< mapping_created: seconds, 0: for ever; refused: how often since the last one
  uint16_t internal_port = 0;
  uint16_t destination_port = 0;
};
static_assert(sizeof(Event) == 64);

}  // namespace culvert::logging
