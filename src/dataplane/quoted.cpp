#include "dataplane/quoted.h"

#include <algorithm>

namespace culvert::dataplane {
namespace {

constexpr unsigned kLeastTransport = 8;  ///< RFC 792
constexpr unsigned kLeastField = 128;    ///< RFC 4884 §4.1, §4.2: with extensions

bool known_protocol(uint8_t number, bool ipv6, Protocol* protocol) {
  if (number == net::kIpTcp)
    *protocol = Protocol::tcp;
  else if (number == net::kIpUdp)
    *protocol = Protocol::udp;
  else if (number == (ipv6 ? net::kIpIcmpv6 : net::kIpIcmp))
    *protocol = Protocol::icmp;
  else
    return false;
  return true;
}

Refusal find_ipv4(uint8_t* at, unsigned there, Quoted* q) {
  if (there < sizeof(net::Ipv4Header)) return DropReason::icmp_error_malformed;
  auto* ip = reinterpret_cast<net::Ipv4Header*>(at);
  const unsigned header = ip->header_length(), total = ip->total_length.value();
  if (ip->version_ihl >> 4 != 4 || header < sizeof *ip || there < header + kLeastTransport ||
      total < header + kLeastTransport)
    return DropReason::icmp_error_malformed;
  if (net::Sum().add_bytes(ip, header).folded() != 0xffff)  // RFC 5508 REQ-3a
    return DropReason::icmp_error_malformed;
  if (ip->offset() != 0) return DropReason::icmp_error_unmapped;
  q->ip4 = ip;
  q->l4 = at + header;
  q->payload = total - header;
  q->size = std::min(there, total) - header;
  q->number = ip->protocol;
  q->first_fragment = ip->more();
  if (!known_protocol(ip->protocol, false, &q->protocol)) return DropReason::icmp_error_unmapped;
  return {};
}

Refusal find_ipv6(uint8_t* data, unsigned there, Quoted* q) {
  if (there < sizeof(net::Ipv6Header) + kLeastTransport) return DropReason::icmp_error_malformed;
  auto* ip = reinterpret_cast<net::Ipv6Header*>(data);
  const unsigned total = unsigned{sizeof *ip} + ip->payload_length.value();
  if (ip->version() != 6) return DropReason::icmp_error_malformed;
  there = std::min(there, total);
  unsigned at = sizeof *ip;
  uint8_t next = ip->next_header;
  while (is_extension(next)) {
    if (at + 8 > there) return DropReason::icmp_error_malformed;
    if (next == net::kIpFragment) {
      const auto* fragment = reinterpret_cast<const net::FragmentHeader*>(data + at);
      if (fragment->offset() != 0) return DropReason::icmp_error_unmapped;
      q->first_fragment = fragment->more();
      q->fragment_id = fragment->id.value();
    }
    const unsigned length = extension_length(next, data + at);
    next = data[at];
    at += length;
  }
  if (at + kLeastTransport > there) return DropReason::icmp_error_malformed;
  q->ip6 = ip;
  q->l4 = data + at;
  q->payload = total - at;
  q->size = there - at;
  q->number = next;
  if (!known_protocol(next, true, &q->protocol)) return DropReason::icmp_error_unmapped;
  return {};
}

}  // namespace

std::optional<QuoteField> field_of(const Packet& p) {
  const net::IcmpHeader& icmp = *p.icmp();
  const unsigned there = p.l4_length - unsigned{sizeof icmp};
  unsigned length = 0;
  if (p.ip4 != nullptr) {
    length = (icmp.id.value() & 0xffu) * 4;
  } else if (icmp.type == net::kIcmp6Unreachable || icmp.type == net::kIcmp6TimeExceeded) {
    length = (icmp.id.value() >> 8u) * 8;
  }
  if (length > there) return std::nullopt;
  if (length == 0) return QuoteField{there, 0};
  return QuoteField{length, there - length};
}

void Quoted::move_checksum(uint16_t delta) const {
  const unsigned at = protocol == Protocol::tcp ? 16 : protocol == Protocol::udp ? 6 : 2;
  if (at + 2 > size) return;
  auto& field = *reinterpret_cast<net::Be16*>(l4 + at);
  if (protocol == Protocol::udp && field.raw() == 0) return;
  field = net::apply_delta(field, delta);
  if (protocol == Protocol::udp) field = net::udp_nonzero(field);
}

Refusal find_quoted(const Packet& p, Quoted* quoted) {
  const auto field = field_of(p);
  if (!field) return DropReason::icmp_error_malformed;
  uint8_t* at = p.l4 + sizeof(net::IcmpHeader);
  quoted->extensions = at + field->size;
  quoted->extensions_size = field->extensions;
  return p.ip4 != nullptr ? find_ipv4(at, field->size, quoted) : find_ipv6(at, field->size, quoted);
}

QuoteLayout lay_out(const Quoted& quoted, unsigned headers, unsigned unit, unsigned room,
                    bool keep_extensions) {
  QuoteLayout layout;
  const unsigned wanted = headers + quoted.size;
  if (keep_extensions && quoted.extensions_size != 0 && quoted.extensions_size + kLeastField <= room) {
    const unsigned most = (room - quoted.extensions_size) / unit * unit;
    layout.extensions = quoted.extensions_size;
    layout.field = std::min(std::max((wanted + unit - 1) / unit * unit, kLeastField), most);
    layout.kept = std::min(wanted, layout.field) - headers;
  } else {
    layout.field = std::min(wanted, room);
    layout.kept = layout.field - headers;
  }
  return layout;
}

}  // namespace culvert::dataplane
