#include "dataplane/icmp_message.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"

namespace culvert::dataplane {

void write_icmp4_error(Packet& out, const Icmp4Error& error, net::Be16 id, const void* quoted,
                       unsigned size) {
  trim_to(out, kIcmp4ErrorHeaders + size);
  auto* ip = reinterpret_cast<net::Ipv4Header*>(out.data);
  *ip = net::Ipv4Header{};
  ip->version_ihl = 0x45;
  ip->tos = 0xc0;  // RFC 1812 §4.3.2.5: internetwork control
  ip->total_length = net::Be16(static_cast<uint16_t>(out.length));
  ip->id = id;
  ip->ttl = 64;
  ip->protocol = net::kIpIcmp;
  ip->source = error.source;
  ip->destination = error.destination;
  ip->checksum = net::Sum().add_bytes(ip, sizeof *ip).checksum();
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(ip + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = error.type;
  icmp->code = error.code;
  icmp->set_word(error.word);
  std::memcpy(icmp->payload(), quoted, size);
  seal_icmp4(icmp, unsigned{sizeof *icmp} + size);
}

bool is_icmp_error(const Packet& p) {
  const uint8_t* end = p.data + p.length;
  if (p.ip4 != nullptr) {
    const uint8_t* icmp = reinterpret_cast<const uint8_t*>(p.ip4) + p.ip4->header_length();
    if (p.ip4->protocol != net::kIpIcmp || p.ip4->offset() != 0 || icmp >= end) return false;
    return *icmp == net::kIcmpUnreachable || *icmp == net::kIcmpSourceQuench || *icmp == net::kIcmpRedirect ||
           *icmp == net::kIcmpTimeExceeded || *icmp == net::kIcmpParameterProblem;
  }
  const auto* at = reinterpret_cast<const uint8_t*>(p.ip6 + 1);
  uint8_t next = p.ip6->next_header;
  while (end - at >= 8 && is_extension(next)) {
    const unsigned length = extension_length(next, at);
    if (end - at < static_cast<std::ptrdiff_t>(length)) return false;
    next = at[0];
    at += length;
  }
  return next == net::kIpIcmpv6 && at < end && *at < net::kIcmp6Echo;
}

bool icmp_checksum_holds(const Packet& p) {
  net::Sum sum;
  if (p.ip4 == nullptr)
    sum.add(p.ip6->source).add(p.ip6->destination).add(net::Be16(p.l4_length)).add(net::Be16(net::kIpIcmpv6));
  return sum.add_bytes(p.l4, p.l4_length).folded() == 0xffff;
}

void seal_icmp4(net::IcmpHeader* icmp, unsigned length) {
  icmp->checksum = net::Be16();
  icmp->checksum = net::Sum().add_bytes(icmp, length).checksum();
}

void seal_icmp6(const net::Ipv6Header& ip, net::IcmpHeader* icmp) {
  icmp->checksum = net::Be16();
  net::Sum sum;
  sum.add(ip.source).add(ip.destination).add(ip.payload_length).add(net::Be16(net::kIpIcmpv6));
  icmp->checksum = sum.add_bytes(icmp, ip.payload_length.value()).checksum();
}

void write_quotation(uint8_t* field, unsigned headers, const Quoted& quoted, const QuoteLayout& layout) {
  std::memcpy(field + headers, quoted.l4, layout.kept);
  std::memset(field + headers + layout.kept, 0, layout.field - headers - layout.kept);
  std::memcpy(field + layout.field, quoted.extensions, layout.extensions);
}

void shorten_error(Packet& p, unsigned length) {
  if (const auto field = field_of(p); field && field->extensions != 0) {
    const auto end = static_cast<unsigned>(p.icmp()->payload() - p.data) + field->size;
    length = std::min(length, end);
  }
  const unsigned cut = p.length - length;
  trim_to(p, length);
  p.l4_length = static_cast<uint16_t>(p.l4_length - cut);
  const net::Be16 total(static_cast<uint16_t>(length));
  const uint16_t delta = net::Sum().add(total).subtract(p.ip4->total_length).folded();
  p.ip4->total_length = total;
  p.ip4->checksum = net::apply_delta(p.ip4->checksum, delta);
  // Without extensions the quotation has no bound but the packet's.
  p.icmp()->id = net::Be16(static_cast<uint16_t>(p.icmp()->id.value() & 0xff00u));
}

}  // namespace culvert::dataplane
