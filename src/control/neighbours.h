/// Next hops: keeps the workers' NextHopCells in step with the kernel's neighbour table.
///
/// A configured next hop is an address on the interface's tap (exception_path.h). The kernel resolves it, by
/// ARP or neighbour discovery, through the exception path; we ask it to (NTF_USE) until it knows, and again
/// every few seconds so that it keeps checking that the neighbour is there (RFC 4861 §7.3). A cell keeps its
/// address while the kernel's entry is STALE, DELAY or PROBE, also when the kernel tidies the entry away, and
/// is cleared when it FAILED.
///
/// Thread: the control core.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "control/netlink.h"
#include "dataplane/tables.h"

namespace culvert::control {

class EventLoop;

/// A configured next hop and what is known of it.
struct NextHopState {
  unsigned interface = 0;  ///< in the order of Config::interfaces
  int kernel_index = 0;    ///< the tap's; 0 for a static one without a tap
  IpAddress address;       ///< not set for a static MAC
  bool is_static = false;
  std::optional<net::MacAddress> mac;  ///< nothing: not resolved
  uint16_t kernel_state = 0;           ///< NUD_*
  bool ipv6 = false;
  bool complained = false;  ///< the kernel refused to ask, and that was said
  /// "static", "reachable", "stale", "failed", "incomplete" …
  std::string state() const;
};

class Neighbours {
 public:
  using Cell = std::function<dataplane::NextHopCell&(unsigned interface, bool ipv6)>;
  /// `tell` is given one line whenever a next hop is found or lost.
  Neighbours(EventLoop& loop, Cell cell, std::function<void(const std::string&, bool bad)> tell);
  ~Neighbours();

  /// Follows these interfaces' next hops from now on; `kernel_index[i]` is interface i's tap (0: none).
  void follow(const std::vector<config::Interface>& interfaces, const std::vector<int>& kernel_index);
  const std::vector<NextHopState>& next_hops() const { return next_hops_; }
  bool all_resolved() const;

 private:
  void read();
  void heard(const Netlink::Neighbour& n);
  void solicit();

  EventLoop& loop_;
  Cell cell_;
  std::function<void(const std::string&, bool)> tell_;
  Netlink events_;  ///< subscribed to RTNLGRP_NEIGH
  Netlink requests_;
  std::vector<NextHopState> next_hops_;
  uint64_t timer_ = 0;
  unsigned beats_ = 0;
};

}  // namespace culvert::control
