#include "control/netlink.h"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace culvert::control {
namespace {

/// A request under construction: header, the family's own struct, attributes.
template <typename Body>
class Message {
 public:
  Message(uint16_t type, uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    append(&header, sizeof header);
    append(&body, sizeof body);
  }
  Message& add(uint16_t type, const void* data, size_t size) {
    rtattr a{};
    a.rta_type = type;
    a.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    append(&a, sizeof a);
    append(data, size);
    return *this;
  }
  template <typename T>
  Message& add(uint16_t type, const T& value) {
    return add(type, &value, sizeof value);
  }
  std::vector<uint8_t>& bytes() { return bytes_; }

 private:
  void append(const void* data, size_t size) {
    const size_t at = bytes_.size();
    bytes_.resize((at + size + 3) & ~size_t{3});
    std::memcpy(bytes_.data() + at, data, size);
  }
  std::vector<uint8_t> bytes_;
};

struct AddressBytes {
  const void* data = nullptr;
  uint16_t size = 0;
  uint8_t family = AF_UNSPEC;
};

AddressBytes bytes_of(const IpAddress& address) {
  if (const auto* v4 = std::get_if<net::Ipv4Address>(&address)) return {v4, 4, AF_INET};
  if (const auto* v6 = std::get_if<net::Ipv6Address>(&address)) return {v6, 16, AF_INET6};
  return {};
}

template <typename T>
T read_as(std::string_view bytes) {
  T value;
  std::copy_n(bytes.begin(), sizeof value, reinterpret_cast<char*>(&value));
  return value;
}

}  // namespace

std::string text_of(const IpAddress& address) {
  if (const auto* v4 = std::get_if<net::Ipv4Address>(&address)) return v4->text();
  if (const auto* v6 = std::get_if<net::Ipv6Address>(&address)) return v6->text();
  return "";
}

Netlink::Netlink(uint32_t groups) {
  fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    const int e = errno;
    if (fd_ >= 0) close(fd_);
    throw std::runtime_error(fmt::format("netlink: {}", std::strerror(e)));
  }
}

Netlink::~Netlink() { close(fd_); }

void Netlink::send(std::vector<uint8_t>& message) {
  const auto length = static_cast<uint32_t>(message.size());
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  sequence_++;
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence_, sizeof sequence_);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (sendto(fd_, message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) <
      0) {
    throw std::runtime_error(fmt::format("netlink: {}", std::strerror(errno)));
  }
}

void Netlink::request(std::vector<uint8_t>& message, const std::string& what, int harmless) {
  auto header = read_as<nlmsghdr>({reinterpret_cast<char*>(message.data()), message.size()});
  header.nlmsg_flags |= NLM_F_ACK;
  std::memcpy(message.data(), &header, sizeof header);
  send(message);
  // The kernel works on a request inside sendto(), so its answer is there; anything else on this socket is
  // old.
  std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw std::runtime_error(fmt::format("netlink: {}: no answer: {}", what, std::strerror(errno)));
    std::string_view rest(buffer.data(), static_cast<size_t>(n));
    while (rest.size() >= sizeof(nlmsghdr)) {
      const auto h = read_as<nlmsghdr>(rest);
      if (h.nlmsg_len < sizeof h || h.nlmsg_len > rest.size()) break;
      if (h.nlmsg_type == NLMSG_ERROR && h.nlmsg_seq == sequence_ &&
          h.nlmsg_len >= sizeof h + sizeof(nlmsgerr)) {
        const int error = -read_as<nlmsgerr>(rest.substr(sizeof h)).error;
        if (error == 0 || error == harmless) return;
        throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(error)));
      }
      rest.remove_prefix(std::min<size_t>(NLMSG_ALIGN(h.nlmsg_len), rest.size()));
    }
  }
}

void Netlink::set_link(int index, uint16_t mtu, const net::MacAddress& mac) {
  ifinfomsg body{};
  body.ifi_index = index;
  Message message(RTM_NEWLINK, 0, body);
  message.add(IFLA_ADDRESS, mac).add(IFLA_MTU, uint32_t{mtu});
  request(message.bytes(), fmt::format("setting MAC {} and MTU {}", mac.text(), mtu));
}

void Netlink::link_up(int index) {
  ifinfomsg body{};
  body.ifi_index = index;
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  request(Message(RTM_NEWLINK, 0, body).bytes(), "putting the link up");
}

void Netlink::add_address(int index, const IpAddress& address, uint8_t prefix_length) {
  const AddressBytes a = bytes_of(address);
  ifaddrmsg body{};
  body.ifa_family = a.family;
  body.ifa_prefixlen = prefix_length;
  body.ifa_index = static_cast<uint32_t>(index);
  if (a.family == AF_INET6) body.ifa_flags = IFA_F_NODAD;
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body);
  message.add(IFA_LOCAL, a.data, a.size).add(IFA_ADDRESS, a.data, a.size);
  request(message.bytes(), fmt::format("adding address {}/{}", text_of(address), prefix_length));
}

void Netlink::add_source_route(int index, const IpAddress& source, const IpAddress& next_hop,
                               uint32_t table) {
  const AddressBytes via = bytes_of(next_hop);
  rtmsg route{};
  route.rtm_family = via.family;
  route.rtm_protocol = kRouteProtocol;
  route.rtm_type = RTN_UNICAST;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_flags = RTNH_F_ONLINK;
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
  message.add(RTA_TABLE, table).add(RTA_GATEWAY, via.data, via.size).add(RTA_OIF, int32_t{index});
  request(message.bytes(), fmt::format("adding the route by {} for {}", text_of(next_hop), text_of(source)));
  change_source_rules(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, source, table, EEXIST);
}

void Netlink::remove_source_route(const IpAddress& source, uint32_t table) {
  change_source_rules(RTM_DELRULE, 0, source, table, ENOENT);
}

/// First the host's own table but for its default routes, so that neighbours are neighbours; then `table`.
void Netlink::change_source_rules(uint16_t type, uint16_t flags, const IpAddress& source, uint32_t table,
                                  int harmless) {
  const AddressBytes from = bytes_of(source);
  for (bool own : {false, true}) {
    fib_rule_hdr rule{};
    rule.family = from.family;
    rule.src_len = static_cast<uint8_t>(from.size * 8);
    rule.action = FR_ACT_TO_TBL;
    Message message(type, flags, rule);
    message.add(FRA_SRC, from.data, from.size)
        .add(FRA_TABLE, own ? table : uint32_t{RT_TABLE_MAIN})
        .add(FRA_PRIORITY, own ? kRulePriority + 1 : kRulePriority)
        .add(FRA_PROTOCOL, kRouteProtocol);
    if (!own) message.add(FRA_SUPPRESS_PREFIXLEN, uint32_t{0});
    request(message.bytes(), fmt::format("the routing rule for {}", text_of(source)), harmless);
  }
}

void Netlink::use_neighbour(int index, const IpAddress& address) {
  const AddressBytes a = bytes_of(address);
  ndmsg body{};
  body.ndm_family = a.family;
  body.ndm_ifindex = index;
  body.ndm_flags = NTF_USE;
  Message message(RTM_NEWNEIGH, NLM_F_CREATE, body);
  message.add(NDA_DST, a.data, a.size);
  request(message.bytes(), fmt::format("asking for neighbour {}", text_of(address)));
}

void Netlink::ask_neighbours() { send(Message(RTM_GETNEIGH, NLM_F_DUMP, ndmsg{}).bytes()); }

bool Netlink::read_neighbours(const std::function<void(const Neighbour&)>& heard) {
  std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
    if (n >= 0) {
      parse({buffer.data(), static_cast<size_t>(n)}, heard);
    } else if (errno == ENOBUFS) {
      return false;
    } else if (errno != EINTR) {
      return true;
    }
  }
}

void Netlink::parse(std::string_view datagram, const std::function<void(const Neighbour&)>& heard) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    const auto header = read_as<nlmsghdr>(datagram);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) return;
    std::string_view body = datagram.substr(sizeof header, header.nlmsg_len - sizeof header);
    datagram.remove_prefix(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
    if ((header.nlmsg_type != RTM_NEWNEIGH && header.nlmsg_type != RTM_DELNEIGH) ||
        body.size() < sizeof(ndmsg)) {
      continue;
    }
    const auto message = read_as<ndmsg>(body);
    Neighbour n;
    n.index = message.ndm_ifindex;
    n.state = message.ndm_state;
    n.deleted = header.nlmsg_type == RTM_DELNEIGH;
    body.remove_prefix(NLMSG_ALIGN(sizeof message));
    while (body.size() >= sizeof(rtattr)) {
      const auto a = read_as<rtattr>(body);
      if (a.rta_len < sizeof a || a.rta_len > body.size()) break;
      const std::string_view value = body.substr(sizeof a, a.rta_len - sizeof a);
      if (a.rta_type == NDA_DST && message.ndm_family == AF_INET && value.size() == 4) {
        n.address = read_as<net::Ipv4Address>(value);
      } else if (a.rta_type == NDA_DST && message.ndm_family == AF_INET6 && value.size() == 16) {
        n.address = read_as<net::Ipv6Address>(value);
      } else if (a.rta_type == NDA_LLADDR && value.size() == 6) {
        n.mac = read_as<net::MacAddress>(value);
      }
      body.remove_prefix(std::min<size_t>(RTA_ALIGN(a.rta_len), body.size()));
    }
    if (!std::holds_alternative<std::monostate>(n.address)) heard(n);
  }
}

}  // namespace culvert::control
