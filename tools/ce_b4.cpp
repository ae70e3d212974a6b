#include "ce_b4.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <vector>

#include "net/checksum.h"

namespace culvert::tools {
namespace {

constexpr size_t kIpv4HeaderBytes = 20;
constexpr uint8_t kEcnMask = 3;
constexpr uint8_t kEcnNotCapable = 0;
constexpr uint8_t kEcnCongestion = 3;
constexpr int kSocketBufferBytes = 4 << 20;
constexpr int kBurst = 64;  // packets of one direction before the other gets its turn

sockaddr_in6 socket_address(const net::Ipv6Address& address) {
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  std::memcpy(&out.sin6_addr, address.bytes.data(), address.bytes.size());
  return out;
}

uint8_t byte_at(std::span<const std::byte> packet, size_t offset) {
  return std::to_integer<uint8_t>(packet[offset]);
}

/// The traffic class that the kernel noted beside a received packet; 0 when it did not.
uint8_t traffic_class_of(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int value = 0;
      std::memcpy(&value, CMSG_DATA(c), sizeof value);
      return static_cast<uint8_t>(value);
    }
  }
  return 0;
}

/// Carries a congestion mark into the inner packet. False when the inner packet's ends do not know ECN: then
/// the packet must be dropped, which is the only congestion signal they understand (RFC 6040 §4.2).
bool carry_congestion(std::span<std::byte> inner, uint8_t outer_class) {
  if ((outer_class & kEcnMask) != kEcnCongestion) return true;
  const uint8_t tos = byte_at(inner, 1);
  if ((tos & kEcnMask) == kEcnNotCapable) return false;
  if ((tos & kEcnMask) == kEcnCongestion) return true;
  inner[1] = std::byte{static_cast<uint8_t>(tos | kEcnCongestion)};
  const auto word = [&](uint8_t type_of_service) {
    return net::Be16(static_cast<uint16_t>((byte_at(inner, 0) << 8) | type_of_service));
  };
  const uint16_t delta = net::Sum().add(word(tos | kEcnCongestion)).subtract(word(tos)).folded();
  net::Be16 checksum;
  std::memcpy(&checksum, &inner[10], sizeof checksum);
  checksum = net::apply_delta(checksum, delta);
  std::memcpy(&inner[10], &checksum, sizeof checksum);
  return true;
}

}  // namespace

bool is_ipv4_packet(std::span<const std::byte> packet) {
  if (packet.size() < kIpv4HeaderBytes || byte_at(packet, 0) >> 4 != 4) return false;
  const size_t header = size_t{4} * (byte_at(packet, 0) & 15U);
  const size_t total = size_t{256} * byte_at(packet, 2) + byte_at(packet, 3);
  return header >= kIpv4HeaderBytes && header <= total && total <= packet.size();
}

Softwire::Softwire(const net::Ipv6Address& local, const net::Ipv6Address& remote,
                   std::optional<uint8_t> encapsulation_limit)
    : fd_(checked(socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_IPIP),
                  "opening a raw IPv6 socket (root or CAP_NET_RAW is needed)")) {
  const int on = 1;
  checked(setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on), "asking for traffic classes");
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  if (encapsulation_limit) {
    // A destination options header of 8 bytes: the option (type 4, length 1) and PadN for the rest. The
    // kernel fills in the next header.
    const std::array<uint8_t, 8> header = {0, 0, 4, 1, *encapsulation_limit, 1, 1, 0};
    checked(setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_DSTOPTS, header.data(), header.size()),
            "setting the tunnel encapsulation limit");
  }
  sockaddr_in6 address = socket_address(local);
  checked(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address),
          "binding to the B4's address " + local.text() + " (is it an address of this host?)");
  address = socket_address(remote);
  checked(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address),
          "connecting to the AFTR's address " + remote.text() + " (is there an IPv6 route to it?)");
}

void Softwire::send(std::span<const std::byte> inner, B4Counters& counters) const {
  if (!is_ipv4_packet(inner)) {
    ++counters.not_ipv4;
    return;
  }
  iovec data = {const_cast<std::byte*>(inner.data()), inner.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = IPPROTO_IPV6;
  c->cmsg_type = IPV6_TCLASS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  const int traffic_class = byte_at(inner, 1) & ~kEcnMask;
  std::memcpy(CMSG_DATA(c), &traffic_class, sizeof traffic_class);
  // An error may also be one that an ICMPv6 message reported for an earlier packet; sending again clears it.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (sendmsg(fd_.get(), &message, 0) >= 0) {
      ++counters.sent;
      return;
    }
  }
  ++counters.send_failed;
}

std::optional<std::span<std::byte>> Softwire::receive(std::span<std::byte> buffer,
                                                      B4Counters& counters) const {
  for (int attempt = 0; attempt < kBurst; ++attempt) {
    iovec data = {buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = recvmsg(fd_.get(), &message, 0);
    if (length < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
      continue;  // an ICMPv6 error reported here; the next call has the next packet
    }
    const std::span<std::byte> inner = buffer.first(static_cast<size_t>(length));
    if (!is_ipv4_packet(inner)) {
      ++counters.not_ipv4;
    } else if (!carry_congestion(inner, traffic_class_of(message))) {
      ++counters.congestion_drop;
    } else {
      ++counters.received;
      return inner;
    }
  }
  return std::nullopt;
}

B4Counters run_b4(const Softwire& softwire, int tun_fd, int signal_fd) {
  B4Counters counters;
  std::vector<std::byte> buffer(65536);
  std::array<pollfd, 3> waiting = {pollfd{signal_fd, POLLIN, 0}, pollfd{tun_fd, POLLIN, 0},
                                   pollfd{softwire.fd(), POLLIN, 0}};
  while (true) {
    if (poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      checked(-1, "waiting for packets");
    }
    if (waiting[0].revents != 0) return counters;
    for (int i = 0; i < kBurst; ++i) {
      const ssize_t length = read(tun_fd, buffer.data(), buffer.size());
      if (length <= 0) break;
      softwire.send(std::span(buffer).first(static_cast<size_t>(length)), counters);
    }
    for (int i = 0; i < kBurst; ++i) {
      const auto inner = softwire.receive(buffer, counters);
      if (!inner) break;
      if (write(tun_fd, inner->data(), inner->size()) < 0) ++counters.deliver_failed;
    }
  }
}

}  // namespace culvert::tools
