/// IPv4 addresses and prefixes where IPv6 ones stand, as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2): so a subscriber
/// is one type, whatever he is known by. Prefix lengths count from 96 then.
///
/// Functions of values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/address.h"

namespace culvert::net {

inline constexpr unsigned kMappedBits = 96;

Ipv6Address mapped(Ipv4Address a);
/// The IPv4 address that stands here; nullopt: it is IPv6.
std::optional<Ipv4Address> mapped_ipv4(const Ipv6Address& a);

/// 2001:db8:1::/56, 100.64.0.7, 100.64.0.0/24: a subscriber as people write him. A whole address has no
/// length.
std::string subscriber_text(const Ipv6Address& prefix, unsigned length);
/// The other way round; a prefix' host bits must be zero.
std::optional<Ipv6Prefix> parse_subscriber(std::string_view text);

}  // namespace culvert::net
