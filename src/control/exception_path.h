/// The exception path: a kernel tap per interface, with the interface's name, addresses, MAC and MTU. What
/// workers do not handle themselves (ARP, neighbour discovery, pings to the box, routing protocols) is
/// written to the tap; what the kernel sends on it leaves through the interface. So the kernel, and routing
/// daemons on it, speak the control protocols.
///
///     worker ── Fabric::to_kernel ──► tap ──► kernel
///     worker 0 ◄── Fabric::to_worker[0] (Form::frame) ◄── tap ◄── kernel
///
/// Frames on the tap carry no VLAN tag; the workers strip and add it. The addresses get duplicate address
/// detection switched off (RFC 4862 §5.4 would keep them unusable for a second), and the taps take no router
/// advertisements. What the kernel answers from an interface's address goes to that interface's next hop, by
/// a routing rule of its own, so that pings from afar are answered whatever the host's default route is.
///
/// Thread: the control core. Bounded work each time, so that a flood to the box's own addresses starves
/// nobody.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "control/netlink.h"
#include "dataplane/worker.h"

namespace culvert::control {

class EventLoop;

class ExceptionPath {
 public:
  struct Counters {
    uint64_t to_kernel = 0;            ///< frames written to taps
    uint64_t from_kernel = 0;          ///< frames given to a worker
    uint64_t to_kernel_failed = 0;     ///< the tap took no more
    uint64_t from_kernel_dropped = 0;  ///< no buffer, too long, or the worker's ring full
  };

  using Tell = std::function<void(const std::string&)>;

  /// `macs` in the order of `interfaces`. Throws std::runtime_error when a tap cannot be made: no permission,
  /// no /dev/net/tun, or the name is taken. An interface without addresses and with static next hops can do
  /// without; that is told.
  ExceptionPath(EventLoop& loop, dataplane::Fabric& fabric, const std::vector<config::Interface>& interfaces,
                const std::vector<net::MacAddress>& macs, const Tell& tell);
  /// The taps go with it.
  ~ExceptionPath();
  ExceptionPath(const ExceptionPath&) = delete;
  ExceptionPath& operator=(const ExceptionPath&) = delete;

  /// The taps' kernel interface indices, in the order of the interfaces.
  std::vector<int> kernel_indices() const;
  const Counters& counters() const { return counters_; }
  /// Writes waiting frames of workers to the taps. Returns how many.
  unsigned deliver();
  /// Has the kernel tell an interface's neighbours its MAC address, also those who remember another one (RFC
  /// 4861 §7.2.6, RFC 5227 §2.3): the box may have been restarted with another card. The kernel forgets the
  /// interface's neighbours thereby, so this is for the time before they are known.
  void announce(unsigned interface);

 private:
  struct Tap {
    int fd = -1;
    int index = 0;
    std::string name;
    uint16_t mtu = 0;
    net::MacAddress mac;
  };
  void open(Tap& tap, const config::Interface& interface, const net::MacAddress& mac, const Tell& tell);
  void set_up(Tap& tap, const config::Interface& interface);
  void close_all();
  void read(unsigned interface);

  EventLoop& loop_;
  dataplane::Fabric& fabric_;
  Netlink netlink_;
  std::vector<Tap> taps_;
  std::vector<std::pair<IpAddress, uint32_t>> source_routes_;  ///< rules to be removed at the end
  Counters counters_;
  uint64_t timer_ = 0;
};

}  // namespace culvert::control
