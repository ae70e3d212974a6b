/// The few requests of rtnetlink(7) the appliance makes, over a raw NETLINK_ROUTE socket.
///
/// Every change waits for the kernel's acknowledgement and throws std::runtime_error with what was asked and
/// the kernel's reason. Messages from the kernel are checked like packets: every length before it is read.
///
/// Thread: one at a time.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "net/address.h"

namespace culvert::control {

/// An address of either family, or none.
using IpAddress = std::variant<std::monostate, net::Ipv4Address, net::Ipv6Address>;
std::string text_of(const IpAddress& address);

class Netlink {
 public:
  /// `groups`: RTMGRP_* to hear of; 0 for a socket that only asks.
  explicit Netlink(uint32_t groups = 0);
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  int fd() const { return fd_; }

  /// Changes MTU and link-layer address of a device and puts it up.
  void set_link(int index, uint16_t mtu, const net::MacAddress& mac);
  void link_up(int index);
  void add_address(int index, const IpAddress& address, uint8_t prefix_length);
  /// Lets what the kernel sends from `source` to other networks leave by `next_hop`, whatever the host's own
  /// default route is: a default route in `table` and two rules that lead there. The route goes with the
  /// device, the rules do not.
  void add_source_route(int index, const IpAddress& source, const IpAddress& next_hop, uint32_t table);
  void remove_source_route(const IpAddress& source, uint32_t table);

  struct Neighbour {
    int index = 0;
    IpAddress address;
    uint16_t state = 0;  ///< NUD_*
    std::optional<net::MacAddress> mac;
    bool deleted = false;
  };
  /// Makes the kernel resolve a neighbour as if a packet were waiting for it (NTF_USE). Does not wait.
  void use_neighbour(int index, const IpAddress& address);
  /// Asks for the whole neighbour table; the answers come to read_neighbours().
  void ask_neighbours();
  /// Reads what waits on the socket without blocking. False: messages were lost, ask again.
  bool read_neighbours(const std::function<void(const Neighbour&)>& heard);

  /// Reads the neighbour messages in a datagram from the kernel. Safe on any bytes.
  static void parse(std::string_view datagram, const std::function<void(const Neighbour&)>& heard);

 private:
  static constexpr uint32_t kRulePriority = 30100;  ///< before the host's own, 32766
  static constexpr uint8_t kRouteProtocol = 199;    ///< rtm_protocol of our routes and rules, for `ip route`

  /// Sends and waits for the acknowledgement; the error `harmless` counts as success.
  void request(std::vector<uint8_t>& message, const std::string& what, int harmless = 0);
  void change_source_rules(uint16_t type, uint16_t flags, const IpAddress& source, uint32_t table,
                           int harmless);
  void send(std::vector<uint8_t>& message);

  int fd_ = -1;
  uint32_t sequence_ = 0;
};

}  // namespace culvert::control
