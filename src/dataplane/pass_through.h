/// Destinations to which subscribers of an instance go untranslated (RFC 6888 REQ-6; RFC 8512
/// nat-pass-through): an operator's own resolvers and portals, which want to see who asks.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "config/config.h"
#include "net/address.h"

namespace culvert::dataplane {

/// An instance's list. Immutable, part of the Tables.
class PassThrough {
 public:
  PassThrough() = default;
  explicit PassThrough(std::vector<config::PassThrough> entries) : entries_(std::move(entries)) {}

  bool empty() const { return entries_.empty(); }
  /// Whether some port of this remote matches, and so a fragment has to be joined to tell.
  bool depends_on_port(net::Ipv4Address remote) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const auto& e) { return e.port.has_value() && e.prefix.contains(remote); });
  }
  /// `port`: the remote one of TCP and UDP; of anything else there is none.
  bool matches(net::Ipv4Address remote, std::optional<uint16_t> port) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const config::PassThrough& e) {
      return e.prefix.contains(remote) && (!e.port || e.port == port);
    });
  }

 private:
  std::vector<config::PassThrough> entries_;
};

}  // namespace culvert::dataplane
