#include "ce_tun.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <stdexcept>

namespace culvert::tools {
namespace {

/// The kernel's request for device `name`, everything else zero.
ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return request;
}

/// `address` as the kernel's generic socket address.
sockaddr as_sockaddr(uint32_t network_order) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = network_order;
  sockaddr out{};
  static_assert(sizeof in == sizeof out);
  std::memcpy(&out, &in, sizeof out);
  return out;
}

FileDescriptor control_socket() {
  return FileDescriptor(checked(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "opening an IPv4 socket"));
}

}  // namespace

TunDevice::TunDevice(const std::string& name) : name_(name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    throw std::invalid_argument("--tun " + name + ": a device name has 1 to 15 characters");
  }
  fd_ =
      FileDescriptor(checked(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "opening /dev/net/tun"));
  ifreq request = request_for(name);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL);
  checked(ioctl(fd_.get(), TUNSETIFF, &request), "creating TUN device " + name);
}

void TunDevice::configure(const net::InterfaceAddress<net::Ipv4Address>& address, uint16_t mtu) {
  const FileDescriptor control = control_socket();
  ifreq request = request_for(name_);
  request.ifr_addr = as_sockaddr(htonl(address.address.value()));
  checked(ioctl(control.get(), SIOCSIFADDR, &request), "setting the address of " + name_);
  const unsigned length = address.prefix_length;
  request.ifr_netmask = as_sockaddr(htonl(length == 0 ? 0 : ~uint32_t{0} << (32 - length)));
  checked(ioctl(control.get(), SIOCSIFNETMASK, &request), "setting the prefix length of " + name_);
  request.ifr_mtu = mtu;
  checked(ioctl(control.get(), SIOCSIFMTU, &request), "setting the MTU of " + name_);
  checked(ioctl(control.get(), SIOCGIFFLAGS, &request), "reading the flags of " + name_);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
  checked(ioctl(control.get(), SIOCSIFFLAGS, &request), "bringing up " + name_);
}

void TunDevice::add_default_route() {
  const FileDescriptor control = control_socket();
  rtentry route{};
  route.rt_dst = as_sockaddr(0);
  route.rt_genmask = as_sockaddr(0);
  route.rt_flags = RTF_UP;
  route.rt_dev = name_.data();
  checked(ioctl(control.get(), SIOCADDRT, &route), "adding the default route to " + name_);
}

}  // namespace culvert::tools
