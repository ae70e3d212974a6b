/// For how long somebody had something public: a port block, or an external endpoint of an explicit mapping.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "logging/entry.h"
#include "net/address.h"

namespace culvert::logging::query {

/// A time by both clocks, in ms since the Unix epoch.
struct Moment {
  uint64_t event = 0;
  uint64_t system = 0;
  bool operator==(const Moment&) const = default;
};

/// Who: an instance's subscriber.
struct Subscriber {
  net::Ipv6Address prefix;  ///< IPv4 as ::ffff:a.b.c.d
  uint8_t length = 0;       ///< 0: not known, damage took his record
  std::string instance;
  Entry::Carriage carriage = Entry::Carriage::nat44;
  bool operator==(const Subscriber&) const = default;
};

/// What he had: the ports of a block; or one port, for an explicit mapping.
struct Holding {
  net::Ipv4Address external;
  uint16_t first_port = 0, last_port = 0;
  bool mapping = false;
  uint8_t protocol = 0;  ///< of a mapping; 0: all
  auto key() const { return std::tuple(external.value(), first_port, last_port, mapping, protocol); }
  bool operator==(const Holding&) const = default;
};

struct Tenure {
  Subscriber subscriber;
  Holding holding;

  // Of a mapping.
  Entry::Origin origin = Entry::Origin::dynamic;
  std::optional<net::Ipv6Address> internal;  ///< IPv4 as ::ffff:a.b.c.d
  uint16_t internal_port = 0;

  Moment since;
  bool since_known = true;  ///< else its beginning is not on record, and was before then
  Reason begun = Reason::none;

  enum class End : uint8_t {
    held,   ///< not ended, as far as the archive tells
    ended,  ///< at `until`; the last ms is his still
    lost,   ///< after `seen` and not after `until`: its end is not on record
  };
  End end = End::held;
  Moment until, seen;
  Reason ended = Reason::none;
  uint64_t peak = 0;  ///< of a block that was released: most mappings at once
};

/// A session on record: an internal endpoint's with a destination, maybe.
struct SessionSpan {
  Subscriber subscriber;
  Holding holding;
  std::optional<net::Ipv6Address> internal;
  uint16_t internal_port = 0;
  std::optional<net::Ipv4Address> destination;
  uint16_t destination_port = 0;
  std::optional<Moment> since, until;  ///< none: not seen in what was read
};

}  // namespace culvert::logging::query
