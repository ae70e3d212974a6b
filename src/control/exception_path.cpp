#include "control/exception_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "control/event_loop.h"

namespace culvert::control {
namespace {

constexpr unsigned kFramesATurn = 256;  ///< each way, so that neither direction starves the control core

/// The routing table of a tap's own addresses: the same after a restart, another one for other names.
uint32_t table_of(const std::string& name) {
  uint32_t h = 2166136261;  // FNV-1a
  for (char c : name) h = (h ^ static_cast<uint8_t>(c)) * 16777619;
  return 1'000'000 + h % 1'000'000;
}

void write_setting(const std::string& name, const char* family, const char* key, const char* value) {
  std::ofstream(fmt::format("/proc/sys/net/{}/conf/{}/{}", family, name, key)) << value;
}

}  // namespace

ExceptionPath::ExceptionPath(EventLoop& loop, dataplane::Fabric& fabric,
                             const std::vector<config::Interface>& interfaces,
                             const std::vector<net::MacAddress>& macs, const Tell& tell)
    : loop_(loop), fabric_(fabric), taps_(interfaces.size()) {
  try {
    for (size_t i = 0; i < interfaces.size(); ++i) open(taps_[i], interfaces[i], macs[i], tell);
  } catch (...) {
    close_all();
    throw;
  }
  for (unsigned i = 0; i < taps_.size(); ++i) {
    if (taps_[i].fd >= 0) loop_.watch(taps_[i].fd, EPOLLIN, [this, i](uint32_t) { read(i); });
  }
  timer_ = loop_.every(std::chrono::milliseconds(1), [this] { deliver(); });
}

ExceptionPath::~ExceptionPath() {
  loop_.cancel(timer_);
  for (Tap& tap : taps_) {
    if (tap.fd >= 0) loop_.forget(tap.fd);
  }
  close_all();
}

void ExceptionPath::close_all() {
  for (const auto& [source, table] : source_routes_) {
    try {
      netlink_.remove_source_route(source, table);
    } catch (const std::runtime_error&) {  // nothing more can be done, and it does no harm
    }
  }
  for (Tap& tap : taps_) {
    if (tap.fd >= 0) close(std::exchange(tap.fd, -1));
  }
}

void ExceptionPath::open(Tap& tap, const config::Interface& interface, const net::MacAddress& mac,
                         const Tell& tell) {
  tap.name = interface.name;
  if (if_nametoindex(interface.name.c_str()) != 0) {
    throw std::runtime_error(
        fmt::format("interface {}: the kernel has a network device of that name already, and the "
                    "exception path would make one; choose another name, or end what made it",
                    interface.name));
  }
  tap.fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  std::strncpy(request.ifr_name, interface.name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
  if (tap.fd < 0 || ioctl(tap.fd, TUNSETIFF, &request) != 0) {
    const std::string reason = std::strerror(errno);
    if (tap.fd >= 0) close(std::exchange(tap.fd, -1));
    const bool needed = !interface.ipv4_addresses.empty() || !interface.ipv6_addresses.empty() ||
                        std::holds_alternative<net::Ipv4Address>(interface.next_hop_ipv4) ||
                        std::holds_alternative<net::Ipv6Address>(interface.next_hop_ipv6);
    const std::string text = fmt::format(
        "interface {}: no tap for the exception path: {} (it needs /dev/net/tun and "
        "CAP_NET_ADMIN)",
        interface.name, reason);
    if (needed) throw std::runtime_error(text);
    tell(text + "; the kernel sees nothing of it, which static next hops and no addresses allow");
    return;
  }
  try {
    tap.mtu = interface.mtu;
    tap.mac = mac;
    set_up(tap, interface);
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(fmt::format("interface {}: {}", interface.name, e.what()));
  }
}

void ExceptionPath::set_up(Tap& tap, const config::Interface& interface) {
  tap.index = static_cast<int>(if_nametoindex(interface.name.c_str()));
  write_setting(tap.name, "ipv6", "accept_ra", "0");
  write_setting(tap.name, "ipv6", "accept_dad", "0");
  write_setting(tap.name, "ipv6", "router_solicitations", "0");
  if (!interface.ipv6_addresses.empty() ||
      std::holds_alternative<net::Ipv6Address>(interface.next_hop_ipv6)) {
    write_setting(tap.name, "ipv6", "disable_ipv6", "0");
  }
  write_setting(tap.name, "ipv4", "arp_notify", "1");
  write_setting(tap.name, "ipv6", "ndisc_notify", "1");
  netlink_.set_link(tap.index, tap.mtu, tap.mac);
  netlink_.link_up(tap.index);
  const uint32_t table = table_of(tap.name);
  const auto add = [&](const auto& addresses, const auto& next_hop) {
    using Address = std::decay_t<decltype(addresses[0].address)>;
    for (const auto& a : addresses) {
      netlink_.add_address(tap.index, a.address, a.prefix_length);
      const auto* hop = std::get_if<Address>(&next_hop);
      if (hop == nullptr) continue;
      source_routes_.emplace_back(a.address, table);
      netlink_.add_source_route(tap.index, a.address, *hop, table);
    }
  };
  add(interface.ipv4_addresses, interface.next_hop_ipv4);
  add(interface.ipv6_addresses, interface.next_hop_ipv6);
}

std::vector<int> ExceptionPath::kernel_indices() const {
  std::vector<int> indices;
  for (const Tap& tap : taps_) indices.push_back(tap.index);
  return indices;
}

void ExceptionPath::announce(unsigned interface) {
  const Tap& tap = taps_[interface];
  // The kernel announces every address of a device whose MAC address is set.
  if (tap.fd >= 0) netlink_.set_link(tap.index, tap.mtu, tap.mac);
}

unsigned ExceptionPath::deliver() {
  std::array<rte_mbuf*, dataplane::kBurst> frames;
  unsigned total = 0;
  while (total < kFramesATurn) {
    const unsigned n = rte_ring_sc_dequeue_burst(fabric_.to_kernel, reinterpret_cast<void**>(frames.data()),
                                                 static_cast<unsigned>(frames.size()), nullptr);
    if (n == 0) break;
    for (unsigned i = 0; i < n; ++i) {
      rte_mbuf* m = frames[i];
      const unsigned interface = dataplane::Mark::of(m).interface;
      const int fd = interface < taps_.size() ? taps_[interface].fd : -1;
      const bool written =
          fd >= 0 && m->nb_segs == 1 &&
          write(fd, dataplane::bytes_of(m), m->data_len) == static_cast<ssize_t>(m->data_len);
      (written ? counters_.to_kernel : counters_.to_kernel_failed)++;
      dataplane::free_packet(m);
    }
    total += n;
  }
  return total;
}

void ExceptionPath::read(unsigned interface) {
  for (unsigned i = 0; i < kFramesATurn; ++i) {
    rte_mbuf* m = rte_pktmbuf_alloc(fabric_.buffers);
    if (m == nullptr) {  // the frame waits in the tap's queue; but do not spin on it
      std::array<char, 65536> lost;
      if (::read(taps_[interface].fd, lost.data(), lost.size()) > 0) counters_.from_kernel_dropped++;
      return;
    }
    dataplane::unfence(m);
    const uint16_t room = rte_pktmbuf_tailroom(m);
    const ssize_t n = ::read(taps_[interface].fd, dataplane::bytes_of(m), room);
    if (n <= 0) {
      dataplane::free_packet(m);
      return;
    }
    dataplane::trim_to(m, static_cast<unsigned>(n));
    dataplane::Mark mark;
    mark.interface = static_cast<uint8_t>(interface);
    mark.form = dataplane::Form::frame;
    mark.put(m);
    // A full buffer may hold a longer frame's beginning only.
    if (n == room || rte_ring_enqueue(fabric_.to_worker[0], m) != 0) {
      counters_.from_kernel_dropped++;
      dataplane::free_packet(m);
    } else {
      counters_.from_kernel++;
    }
  }
}

}  // namespace culvert::control
