/// What is put on record: one fixed-size event for every block given and taken back, and a mark for every
/// start and orderly end of a worker, which end all its blocks at once. A value, written by a worker into its
/// ring (event_ring.h) before the block's first packet leaves, read by the log thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/address.h"

namespace culvert::logging {

enum class EventKind : uint8_t {
  block_allocated = 1,
  block_released = 2,
  record_lost = 3,  ///< a crash of the machine tore this event; only worker and sequence are known
  started = 4,      ///< a mark: the worker starts, and no block that it gave before is anybody's any more
  stopped = 5,      ///< a mark: the worker ended in order, and all its blocks with it
};

/// Why a block was given or taken back.
enum class EventReason : uint8_t {
  first_packet = 1,  ///< allocated: the subscriber had none
  ports_used_up,     ///< allocated: his other blocks had no port left
  static_mapping,    ///< allocated: a static mapping of the configuration
  idle,              ///< released: port-set-timeout after the last mapping
  cleared,           ///< released: by `culvert clear`
  pool_removed,      ///< released: its pool left the configuration
  machine_crash,     ///< lost
};

constexpr std::string_view name_of(EventKind k) {
  switch (k) {
    case EventKind::block_allocated:
      return "block-allocated";
    case EventKind::block_released:
      return "block-released";
    case EventKind::record_lost:
      return "record-lost";
    case EventKind::started:
      return "started";
    case EventKind::stopped:
      return "stopped";
  }
  return "unknown";
}
constexpr std::string_view name_of(EventReason r) {
  switch (r) {
    case EventReason::first_packet:
      return "first-packet";
    case EventReason::ports_used_up:
      return "ports-used-up";
    case EventReason::static_mapping:
      return "static-mapping";
    case EventReason::idle:
      return "idle";
    case EventReason::cleared:
      return "cleared";
    case EventReason::pool_removed:
      return "pool-removed";
    case EventReason::machine_crash:
      return "machine-crash";
  }
  return "unknown";
}

struct Event {
  uint64_t time = 0;            ///< milliseconds since the Unix epoch
  uint64_t sequence = 0;        ///< of this ring, from 1 without gaps; set by the ring
  net::Ipv6Address subscriber;  ///< IPv4 as ::ffff:a.b.c.d
  net::Ipv4Address external;
  uint16_t first_port = 0, last_port = 0;
  EventKind kind = EventKind::block_allocated;
  EventReason reason = EventReason::first_packet;
  uint8_t subscriber_length = 128;  ///< prefix length of `subscriber`; an IPv4 mask counts from 96
  uint8_t worker = 0;
  uint16_t peak = 0;     ///< released: most mappings at once
  uint8_t protocol = 0;  ///< IP protocol of a single explicit port; 0: the block serves all
  uint8_t spare = 0;
  char instance[16] = {};  ///< name, cut to 15 characters
};
static_assert(sizeof(Event) == 64);

}  // namespace culvert::logging
