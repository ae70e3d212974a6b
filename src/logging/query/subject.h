/// What a question is about: an external address, and maybe a port of it; or the subscribers of a prefix.
///
/// Values; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <variant>

#include "logging/ledger/notes.h"
#include "net/address.h"

namespace culvert::logging::query {

struct Place {
  net::Ipv4Address address;
  std::optional<uint16_t> port;  ///< none: all of them
  bool operator==(const Place&) const = default;
};

/// A prefix means all whose prefix lies in it, or has it in itself. IPv4 stands as ::ffff:a.b.c.d.
using Subject = std::variant<Place, net::Ipv6Prefix>;

/// Of those whom damage made unknown (::/0) nobody knows where they lie.
inline bool concerns(const net::Ipv6Prefix& subject, const net::Ipv6Address& prefix, uint8_t length) {
  if (length == 0) return subject.length == 0;
  const unsigned common = std::min(subject.length, length);
  return subject.address.masked(common) == prefix.masked(common);
}

}  // namespace culvert::logging::query
