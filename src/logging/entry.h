/// What the ledger tells, with everything said that its numbers stand for: a line of `culvert log show`, a
/// syslog message, an IPFIX record are made of one.
///
/// A value; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "logging/reason.h"
#include "net/address.h"

namespace culvert::logging {

struct Entry {
  enum class Kind : uint8_t {
    block_allocated,
    block_released,
    mapping_created,  ///< an explicit one: static, or asked for by PCP
    mapping_deleted,
    session_created,
    session_deleted,
    refused,           ///< a subscriber got no port, mapping or session: a limit, or no room
    record_lost,       ///< a crash of the machine destroyed the event
    culvertd_started,  ///< from here on: not of a subscriber, without an ordinal
    culvertd_stopped,
    configuration,
    clock,
    uncertain,
  };
  enum class Carriage : uint8_t { nat44 = 0, ds_lite = 1, nat64 = 2 };
  enum class Origin : uint8_t { dynamic = 0, configured = 1, pcp_map = 2, pcp_peer = 3 };

  Kind kind = Kind::block_allocated;
  uint64_t time = 0;        ///< event clock (docs/ledger.md), milliseconds since 1970-01-01 UTC
  int64_t clock_ahead = 0;  ///< milliseconds that the system's clock was ahead of it
  std::optional<uint64_t> ordinal;
  uint8_t worker = 0;
  Reason reason = Reason::none;

  std::string instance;
  Carriage carriage = Carriage::nat44;
  net::Ipv6Address subscriber;      ///< IPv4 as ::ffff:a.b.c.d; bits behind the length are zero
  uint8_t subscriber_length = 128;  ///< an IPv4 mask counts from 96
  net::Ipv4Address external;
  uint16_t first_port = 0, last_port = 0;  ///< of a block; of a mapping or session both are its port
  std::optional<uint64_t> since;           ///< a release: when the block was allocated, event clock
  uint64_t peak = 0;                       ///< a release: most mappings at once

  // Explicit mappings and sessions.
  uint8_t protocol = 0;  ///< of IP; 0: all
  Origin origin = Origin::dynamic;
  std::optional<net::Ipv6Address> internal;  ///< IPv4 as ::ffff:a.b.c.d
  uint16_t internal_port = 0;
  uint64_t lifetime = 0;                        ///< seconds; 0: for ever
  std::optional<net::Ipv4Address> destination;  ///< of a session, where destinations are logged
  uint16_t destination_port = 0;

  // refused
  uint64_t count = 0;  ///< how often since the last such entry

  uint64_t uncertain_from = 0, uncertain_to = 0;  ///< event clock
  /// culvertd-started: version; configuration: SHA-256; refused: why, as in `culvert drops`
  std::string text;

  /// When it was by the system's clock.
  uint64_t system_time() const { return time + static_cast<uint64_t>(clock_ahead); }
  bool operator==(const Entry&) const = default;
};

}  // namespace culvert::logging
