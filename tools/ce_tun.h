/// A TUN device: IPv4 packets that the kernel routes into it come out of a file descriptor, and those written
/// to the descriptor arrive in the kernel. It is the inner end of a CE's softwire.
///
/// One thread uses it. The device lives as long as the object: the kernel removes it, with its address and
/// routes, when the descriptor closes, so nothing is left behind even after a kill.
#pragma once

#include <cstdint>
#include <string>

#include "ce_fd.h"
#include "net/address.h"

namespace culvert::tools {

class TunDevice {
 public:
  /// Creates the device; throws std::system_error when the kernel refuses (no /dev/net/tun, no privilege,
  /// name in use).
  explicit TunDevice(const std::string& name);

  /// Gives it an address and an MTU (bytes of IPv4 packet) and brings it up.
  void configure(const net::InterfaceAddress<net::Ipv4Address>& address, uint16_t mtu);

  /// Points the kernel's IPv4 default route at it.
  void add_default_route();

  /// Non-blocking; one read or write is one IPv4 packet.
  int fd() const { return fd_.get(); }

 private:
  std::string name_;
  FileDescriptor fd_;
};

}  // namespace culvert::tools
