/// A request on the control socket: one line of JSON, `{"command":"mappings","subscriber":"2001:db8::/56"}`.
/// Everything in it is a string that the operator typed, checked here, so that every client has the same
/// messages.
///
///     command                                     keys
///     status, interfaces, drops, workers, exports, reload
///     pools                                       instance
///     subscribers, blocks                         subscriber, external, instance, limit
///     mappings                                    the same, internal, protocol
///     clear-mappings                              as mappings, without limit; all
///     clear-subscribers                           subscriber, external, instance, all
///
/// The answer is one JSON object a line: rows, then `{"end":true,"rows":N}` or `{"error":"…"}`, which has
/// `"usage":true` when the request itself was wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/binding/stateful.h"

namespace culvert::control {

/// The longest request line the server reads.
inline constexpr size_t kLongestRequest = 4096;

/// Which rows an operator wants. What is not set does not restrict.
struct RowFilter {
  /// Overlaps the subscriber's prefix: an address of his finds him, a prefix finds all in it. IPv4 as
  /// ::ffff:a.b.c.d.
  std::optional<net::Ipv6Prefix> subscriber;
  std::optional<net::Ipv4Address> external;
  std::optional<uint16_t> external_port;
  std::optional<net::Ipv4Address> internal_ipv4;
  std::optional<net::Ipv6Address> internal_ipv6;
  std::optional<uint16_t> internal_port;
  std::optional<config::Protocol> protocol;
  std::optional<std::string> instance;

  bool empty() const;
  /// Whether a subscriber's prefix passes `subscriber`.
  bool takes(const dataplane::Subscriber& s) const;
  /// Whether an endpoint passes everything but `subscriber` and `instance`.
  bool takes(const dataplane::Mapping& m) const;
};

struct ApiRequest {
  std::string command;
  RowFilter filter;
  uint64_t limit = 0;  ///< rows; 0: all
  bool all = false;    ///< clear without a filter is meant
};

/// What was asked, or what is wrong with it. Safe on any bytes.
std::variant<ApiRequest, std::string> parse_request(std::string_view line);

/// The word for a protocol: udp, tcp, icmp.
std::string_view name_of(config::Protocol p);

}  // namespace culvert::control
