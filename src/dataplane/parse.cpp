#include "dataplane/parse.h"

#include "net/checksum.h"

namespace culvert::dataplane {
namespace {

constexpr uint8_t kLooseSourceRoute = 131, kStrictSourceRoute = 137;

/// RFC 7126 §4.3/4.4: packets with a source route are dropped. Option lengths that lie are malformed.
Refusal check_options(const net::Ipv4Header& ip) {
  const auto* options = reinterpret_cast<const uint8_t*>(&ip) + sizeof ip;
  const unsigned size = ip.header_length() - sizeof ip;
  for (unsigned at = 0; at < size;) {
    const uint8_t kind = options[at];
    if (kind == 0) break;
    if (kind == 1) {
      at++;
      continue;
    }
    if (at + 1 >= size || options[at + 1] < 2 || at + options[at + 1] > size)
      return DropReason::malformed_ipv4;
    if (kind == kLooseSourceRoute || kind == kStrictSourceRoute) return DropReason::ipv4_options;
    at += options[at + 1];
  }
  return {};
}

}  // namespace

Refusal parse_ipv4(Packet& p, uint8_t* at, unsigned available) {
  if (available < sizeof(net::Ipv4Header)) return DropReason::truncated;
  auto* ip = reinterpret_cast<net::Ipv4Header*>(at);
  const unsigned header = ip->header_length(), total = ip->total_length.value();
  if (ip->version_ihl >> 4 != 4 || header < sizeof *ip || total < header) return DropReason::malformed_ipv4;
  if (total > available) return DropReason::truncated;
  net::Sum sum;
  sum.add_bytes(ip, header);
  if (sum.folded() != 0xffff) return DropReason::bad_ipv4_checksum;
  if (header > sizeof *ip) [[unlikely]] {
    if (Refusal r = check_options(*ip)) return r;
  }
  if (ip->is_fragment()) [[unlikely]]
    return DropReason::fragment;
  p.ip4 = ip;
  p.l4 = at + header;
  p.l4_length = static_cast<uint16_t>(total - header);
  // Ethernet padding goes. What lies behind the inner packet of a softwire stays until decapsulate(), so that
  // the outer header remains true if the packet is handed over.
  if (total < available && at == bytes_of(p.m)) trim_to(p.m, total);
  return {};
}

Refusal parse_ipv6(Packet& p) {
  if (p.m->data_len < sizeof(net::Ipv6Header)) return DropReason::truncated;
  auto* ip = reinterpret_cast<net::Ipv6Header*>(bytes_of(p.m));
  if (ip->version() != 6) return DropReason::malformed_ipv6;
  const unsigned total = static_cast<unsigned>(sizeof *ip) + ip->payload_length.value();
  if (total > p.m->data_len) return DropReason::truncated;
  if (total < p.m->data_len) trim_to(p.m, total);
  p.ip6 = ip;
  return {};
}

Refusal skip_extensions(const Packet& p, uint8_t* protocol, unsigned* offset) {
  const uint8_t* data = reinterpret_cast<const uint8_t*>(p.ip6);
  const unsigned size = static_cast<unsigned>(sizeof *p.ip6) + p.ip6->payload_length.value();
  uint8_t next = p.ip6->next_header;
  unsigned at = sizeof *p.ip6;
  while (next == net::kIpHopByHop || next == net::kIpDestOptions || next == net::kIpRouting) {
    if (at + 8 > size) return DropReason::malformed_ipv6;
    const unsigned length = 8u + 8u * data[at + 1];
    if (at + length > size) return DropReason::malformed_ipv6;
    if (next == net::kIpRouting && data[at + 3] != 0) return DropReason::malformed_ipv6;  // segments left
    next = data[at];
    at += length;
  }
  if (next == net::kIpFragment) return DropReason::fragment;
  *protocol = next;
  *offset = at;
  return {};
}

template <bool kFromInside>
Transport parse_transport(Packet& p, uint8_t protocol, DropReason* why) {
  auto set = [&](Protocol proto, net::Be16 ours, net::Be16 theirs) {
    if constexpr (kFromInside) {
      p.internal.protocol = proto;
      p.internal.port = ours;
    } else {
      p.external.protocol = proto;
      p.external.port = ours;
    }
    p.remote.port = theirs;
    return Transport::flow;
  };
  auto refuse = [&](DropReason reason) {
    *why = reason;
    return Transport::refused;
  };
  switch (protocol) {
    case net::kIpTcp: {
      if (p.l4_length < sizeof(net::TcpHeader)) return refuse(DropReason::malformed_transport);
      const net::TcpHeader* tcp = p.tcp();
      if (tcp->header_length() < sizeof *tcp || tcp->header_length() > p.l4_length)
        return refuse(DropReason::malformed_transport);
      p.tcp_flags = tcp->flags;
      return kFromInside ? set(Protocol::tcp, tcp->source, tcp->destination)
                         : set(Protocol::tcp, tcp->destination, tcp->source);
    }
    case net::kIpUdp: {
      if (p.l4_length < sizeof(net::UdpHeader)) return refuse(DropReason::malformed_transport);
      const net::UdpHeader* udp = p.udp();
      if (udp->length.value() < sizeof *udp || udp->length.value() > p.l4_length)
        return refuse(DropReason::malformed_transport);
      return kFromInside ? set(Protocol::udp, udp->source, udp->destination)
                         : set(Protocol::udp, udp->destination, udp->source);
    }
    case net::kIpIcmp:
    case net::kIpIcmpv6: {
      const bool v6 = p.ip4 == nullptr;
      if (v6 != (protocol == net::kIpIcmpv6)) return refuse(DropReason::unknown_protocol);
      if (p.l4_length < sizeof(net::IcmpHeader)) return refuse(DropReason::malformed_transport);
      const net::IcmpHeader* icmp = p.icmp();
      const uint8_t query4 = kFromInside ? net::kIcmpEcho : net::kIcmpEchoReply;
      const uint8_t query6 = kFromInside ? net::kIcmp6Echo : net::kIcmp6EchoReply;
      if (icmp->type == (v6 ? query6 : query4) && icmp->code == 0)
        return set(Protocol::icmp, icmp->id, net::Be16());
      const bool error =
          v6 ? icmp->type >= net::kIcmp6Unreachable && icmp->type <= net::kIcmp6ParameterProblem
             : icmp->type == net::kIcmpUnreachable || icmp->type == net::kIcmpTimeExceeded ||
                   icmp->type == net::kIcmpParameterProblem;
      return error ? Transport::icmp_error : refuse(DropReason::icmp_type);
    }
    default:
      return refuse(DropReason::unknown_protocol);
  }
}

template Transport parse_transport<true>(Packet&, uint8_t, DropReason*);
template Transport parse_transport<false>(Packet&, uint8_t, DropReason*);

}  // namespace culvert::dataplane
