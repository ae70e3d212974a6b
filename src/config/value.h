/// One value: the text of a scalar, understood as its key's kind wants it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "config/keys.h"
#include "config/report.h"
#include "net/address.h"

namespace culvert::config {

/// Both ends included; first <= last, first >= 1.
struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;
  uint32_t size() const { return uint32_t{last} - first + 1; }
  bool contains(uint64_t port) const { return port >= first && port <= last; }
  bool overlaps(const PortRange& o) const { return first <= o.last && o.first <= last; }
  std::string text() const;
};

/// Integers and seconds are uint64_t; names, words, paths and devices are strings.
using Value = std::variant<bool, uint64_t, std::string, net::Ipv4Address, net::Ipv6Address, net::Ipv4Prefix,
                           net::Ipv6Prefix, net::InterfaceAddress<net::Ipv4Address>,
                           net::InterfaceAddress<net::Ipv6Address>, net::MacAddress, PortRange>;

/// `text` as the kind of `key`, or what is wrong with it. `in_quotes`: the file says it is text, so no
/// number.
std::variant<Value, Complaint> parse_value(const Key& key, std::string_view text, bool in_quotes);

}  // namespace culvert::config
