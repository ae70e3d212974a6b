#include "dataplane/parse.h"

namespace culvert::dataplane {
namespace {

constexpr uint8_t kLooseSourceRoute = 131, kStrictSourceRoute = 137;

/// The checksum and the options of a header that is all there.
Refusal check_options(const net::Ipv4Header& ip) {
  const auto* options = reinterpret_cast<const uint8_t*>(&ip) + sizeof ip;
  const unsigned size = ip.header_length() - sizeof ip;
  if (net::Sum().add_bytes(&ip, ip.header_length()).folded() != 0xffff) return DropReason::bad_ipv4_checksum;
  for (unsigned at = 0; at < size;) {
    const uint8_t kind = options[at];
    if (kind == 0) break;
    if (kind == 1) {
      at++;
      continue;
    }
    if (at + 1 >= size || options[at + 1] < 2 || at + options[at + 1] > size)
      return DropReason::malformed_ipv4;
    if (kind == kLooseSourceRoute || kind == kStrictSourceRoute) return DropReason::ipv4_source_route;
    at += options[at + 1];
  }
  return {};
}

}  // namespace

Refusal parse_long_header(Packet& p, net::Ipv4Header* ip, unsigned available, unsigned* header) {
  const unsigned total = ip->total_length.value();
  *header = ip->header_length();
  if (ip->version_ihl >> 4 != 4 || *header < sizeof *ip || total < *header) return DropReason::malformed_ipv4;
  if (total > available) return DropReason::truncated;
  p.ip4 = ip;
  return check_options(*ip);
}

Refusal skip_extensions(const Packet& p, Upper* upper) {
  const uint8_t* data = reinterpret_cast<const uint8_t*>(p.ip6);
  const unsigned size = static_cast<unsigned>(sizeof *p.ip6) + p.ip6->payload_length.value();
  uint8_t next = p.ip6->next_header;
  unsigned at = sizeof *p.ip6;
  const net::FragmentHeader* fragment = nullptr;
  while (is_extension(next)) {
    if (at + 8 > size) return DropReason::malformed_ipv6;
    if (next == net::kIpFragment) {
      if (fragment != nullptr) return DropReason::malformed_ipv6;
      fragment = reinterpret_cast<const net::FragmentHeader*>(data + at);
      next = fragment->next_header;
      at += sizeof *fragment;
      if (!fragment->atomic()) break;
      continue;
    }
    const unsigned length = extension_length(next, data + at);
    if (at + length > size) return DropReason::malformed_ipv6;
    constexpr unsigned kSegmentsLeft = 3;
    if (next == net::kIpRouting && data[at + kSegmentsLeft] != 0) {
      upper->offset = at + kSegmentsLeft;
      return DropReason::ipv6_routing_header;
    }
    next = data[at];
    at += length;
  }
  *upper = {next, at, fragment};
  return {};
}

template <bool kFromInside>
Transport parse_icmp(Packet& p, uint8_t protocol, Ports* ports, DropReason* why) {
  const bool v6 = p.ip4 == nullptr;
  *why = DropReason::unknown_protocol;
  if (protocol != (v6 ? net::kIpIcmpv6 : net::kIpIcmp)) return Transport::refused;
  *why = DropReason::malformed_transport;
  if (p.l4_length < sizeof(net::IcmpHeader)) return Transport::refused;
  const net::IcmpHeader* icmp = p.icmp();
  const uint8_t query4 = kFromInside ? net::kIcmpEcho : net::kIcmpEchoReply;
  const uint8_t query6 = kFromInside ? net::kIcmp6Echo : net::kIcmp6EchoReply;
  if (icmp->type == (v6 ? query6 : query4) && icmp->code == 0) {
    *ports = {Protocol::icmp, icmp->id, net::Be16()};
    return Transport::flow;
  }
  const bool error = v6 ? icmp->type >= net::kIcmp6Unreachable && icmp->type <= net::kIcmp6ParameterProblem
                        : icmp->type == net::kIcmpUnreachable || icmp->type == net::kIcmpTimeExceeded ||
                              icmp->type == net::kIcmpParameterProblem;
  *why = DropReason::icmp_type;
  return error ? Transport::icmp_error : Transport::refused;
}

template Transport parse_icmp<true>(Packet&, uint8_t, Ports*, DropReason*);
template Transport parse_icmp<false>(Packet&, uint8_t, Ports*, DropReason*);

}  // namespace culvert::dataplane
