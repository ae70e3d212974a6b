#include <algorithm>

#include "dataplane/carriage/rewrite.h"
#include "dataplane/pipeline.h"
#include "net/icmp_translation.h"

namespace culvert::dataplane {
namespace {

/// The packet in an ICMP error, as far as it is there: at least its IP header and eight bytes more.
struct Inner {
  uint8_t* l4 = nullptr;
  unsigned size = 0;     ///< bytes from l4 that are there
  unsigned payload = 0;  ///< bytes from l4 that the packet once had
  Protocol protocol = Protocol::udp;

  net::Be16& source() const { return *reinterpret_cast<net::Be16*>(l4); }
  net::Be16& destination() const { return *reinterpret_cast<net::Be16*>(l4 + 2); }
  net::IcmpHeader& icmp() const { return *reinterpret_cast<net::IcmpHeader*>(l4); }

  /// Moves the transport checksum, if it is among the bytes that are there and not UDP's "none".
  void move_checksum(uint16_t delta) const {
    const unsigned at = protocol == Protocol::tcp ? 16 : protocol == Protocol::udp ? 6 : 2;
    if (at + 2 > size) return;
    auto& field = *reinterpret_cast<net::Be16*>(l4 + at);
    if (protocol == Protocol::udp && field.raw() == 0) return;
    field = net::apply_delta(field, delta);
    if (protocol == Protocol::udp) field = net::udp_nonzero(field);
  }
};

bool inner_protocol(uint8_t number, Inner* inner) {
  switch (number) {
    case net::kIpTcp:
      inner->protocol = Protocol::tcp;
      return true;
    case net::kIpUdp:
      inner->protocol = Protocol::udp;
      return true;
    case net::kIpIcmp:
    case net::kIpIcmpv6:
      inner->protocol = Protocol::icmp;
      return true;
    default:
      return false;
  }
}

/// RFC 1812 §4.3.2.3 asks routers for as much of the packet as fits, RFC 792 for eight bytes of its
/// transport.
bool inner_ipv4(const Packet& p, net::Ipv4Header** header, Inner* inner) {
  uint8_t* at = p.l4 + sizeof(net::IcmpHeader);
  const unsigned size = p.l4_length - static_cast<unsigned>(sizeof(net::IcmpHeader));
  if (size < sizeof(net::Ipv4Header)) return false;
  auto* ip = reinterpret_cast<net::Ipv4Header*>(at);
  const unsigned length = ip->header_length();
  if (ip->version_ihl >> 4 != 4 || length < sizeof *ip || size < length + 8) return false;
  if (net::Sum().add_bytes(ip, length).folded() != 0xffff) return false;  // RFC 5508 REQ-3a
  if (ip->total_length.value() < length + 8 || (ip->fragment.value() & net::Ipv4Header::kOffsetMask) != 0)
    return false;
  *header = ip;
  inner->payload = ip->total_length.value() - length;
  inner->l4 = at + length;
  inner->size = std::min(size - length, inner->payload);
  return inner_protocol(ip->protocol, inner) && ip->protocol != net::kIpIcmpv6;
}

bool inner_ipv6(const Packet& p, net::Ipv6Header** header, Inner* inner) {
  uint8_t* at = p.l4 + sizeof(net::IcmpHeader);
  const unsigned size = p.l4_length - static_cast<unsigned>(sizeof(net::IcmpHeader));
  if (size < sizeof(net::Ipv6Header) + 8) return false;
  auto* ip = reinterpret_cast<net::Ipv6Header*>(at);
  if (ip->version() != 6 || ip->payload_length.value() < 8) return false;
  *header = ip;
  inner->payload = ip->payload_length.value();
  inner->l4 = at + sizeof *ip;
  inner->size = std::min(size - static_cast<unsigned>(sizeof *ip), inner->payload);
  return inner_protocol(ip->next_header, inner) && ip->next_header != net::kIpIcmp;
}

bool checksum_holds(const Packet& p) {
  net::Sum sum;
  if (p.ip4 == nullptr)
    sum.add(p.ip6->source).add(p.ip6->destination).add(net::Be16(p.l4_length)).add(net::Be16(net::kIpIcmpv6));
  return sum.add_bytes(p.l4, p.l4_length).folded() == 0xffff;
}

void seal_icmp4(net::IcmpHeader* icmp, unsigned length) {
  icmp->checksum = net::Be16();
  icmp->checksum = net::Sum().add_bytes(icmp, length).checksum();
}

}  // namespace

void Pipeline::icmp_error_from_outside(Packet& p) {
  net::Ipv4Header* ip;
  Inner inner;
  if (!checksum_holds(p) || !inner_ipv4(p, &ip, &inner)) return drop(p, DropReason::icmp_error_malformed);
  // RFC 5508 REQ-4: the mapping is that of the packet inside, which we sent: its source is our external
  // endpoint.
  const bool icmp = inner.protocol == Protocol::icmp;
  if (ip->source != p.external.address || (icmp && inner.icmp().type != net::kIcmpEcho))
    return drop(p, DropReason::icmp_error_unmapped);
  p.external.protocol = inner.protocol;
  p.external.port = icmp ? inner.icmp().id : inner.source();
  MappingTable& table = w_.binding_.mappings();
  p.mapping = table.find(p.external);
  if (p.mapping == kNoMapping || !w_.binding_.alive(t_, p.mapping, now_)) {
    const WorkerId owner = owner_of(p.external);
    if (owner == w_.self_ || owner == kNoWorker) return drop(p, DropReason::icmp_error_unmapped);
    return hand_over(p, owner, p.hairpin ? Form::hairpin : Form::from_outside);
  }
  if (p.ip4->ttl <= 1) return drop(p, DropReason::ttl_expired);
  // RFC 5508 REQ-6: an error neither refreshes nor ends a mapping.
  const Mapping& m = table[p.mapping];
  w_.counters_.icmp_errors_translated.add();
  if (t_.instances[m.instance].carriage == Carriage::nat64) return icmp_error_nat64_in(p, m);
  icmp_error_ipv4_in(p, m);
}

void Pipeline::icmp_error_ipv4_in(Packet& p, const Mapping& m) {
  net::Ipv4Header* ip;
  Inner inner;
  inner_ipv4(p, &ip, &inner);
  ip->source = m.internal.ipv4;
  ip->checksum = net::apply_delta(ip->checksum, net::inverse_delta(m.address_delta));
  (inner.protocol == Protocol::icmp ? inner.icmp().id : inner.source()) = m.internal.port;
  inner.move_checksum(net::inverse_delta(m.transport_delta));
  p.ip4->destination = m.internal.ipv4;
  carriage::take_hop(*p.ip4, net::inverse_delta(m.address_delta));
  seal_icmp4(p.icmp(), p.l4_length);
  const bool softwire = t_.instances[m.instance].carriage == Carriage::ds_lite;
  if (p.length + (softwire ? 40u : 0u) > t_.interfaces[t_.inside].mtu) return drop(p, DropReason::too_big);
  if (softwire && !carriage::encapsulate(p, t_.contexts[m.internal.context].address, m.internal.ipv6))
    return drop(p, DropReason::no_buffer);
  send(t_.inside, p, softwire);
}

/// ICMPv4 error → ICMPv6 error (RFC 7915 §4.2–4.3), in a packet of its own since both headers grow.
void Pipeline::icmp_error_nat64_in(Packet& p, const Mapping& m) {
  net::Ipv4Header* ip;
  Inner inner;
  inner_ipv4(p, &ip, &inner);
  const uint32_t word = p.icmp()->word();
  const auto error = net::icmp4_to_icmp6(
      {p.icmp()->type, p.icmp()->code, static_cast<uint8_t>(word >> 24), word & 0xffff},
      ip->total_length.value(), {t_.interfaces[t_.outside].mtu, t_.interfaces[t_.inside].mtu});
  if (!error) return drop(p, DropReason::icmp_type);
  const ContextView& prefix = t_.contexts[m.internal.context];
  const unsigned kept = std::min(inner.size, 1280u - 88u);
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return drop(p, DropReason::no_buffer);
  trim_to(fresh, 88 + kept);
  Packet out(fresh);
  auto* outer = reinterpret_cast<net::Ipv6Header*>(out.data);
  *outer = net::Ipv6Header{};
  outer->version_class_label = net::Be32(6u << 28 | uint32_t{p.ip4->tos} << 20);
  outer->payload_length = net::Be16(static_cast<uint16_t>(48 + kept));
  outer->next_header = net::kIpIcmpv6;
  outer->hop_limit = static_cast<uint8_t>(p.ip4->ttl - 1);
  outer->source = net::embed(prefix.address, prefix.length, p.ip4->source);
  outer->destination = m.internal.ipv6;
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(outer + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = error->type;
  icmp->code = error->code;
  icmp->set_word(error->mtu != 0 ? error->mtu : error->pointer);

  auto* quoted = reinterpret_cast<net::Ipv6Header*>(icmp + 1);
  *quoted = net::Ipv6Header{};
  quoted->version_class_label = net::Be32(6u << 28 | uint32_t{ip->tos} << 20);
  quoted->payload_length = net::Be16(static_cast<uint16_t>(inner.payload));
  const bool echo = inner.protocol == Protocol::icmp;
  quoted->next_header = echo ? uint8_t{net::kIpIcmpv6} : ip->protocol;
  quoted->hop_limit = ip->ttl;
  quoted->source = m.internal.ipv6;
  quoted->destination = net::embed(prefix.address, prefix.length, ip->destination);
  Inner copy = inner;
  copy.l4 = reinterpret_cast<uint8_t*>(quoted + 1);
  copy.size = kept;
  std::memcpy(copy.l4, inner.l4, kept);
  net::Sum delta(net::inverse_delta(m.transport_delta));
  delta.add(quoted->destination);
  if (echo) {
    delta.add(quoted->payload_length).add(net::Be16(net::kIpIcmpv6));
    delta.subtract(net::Be16(net::kIcmpEcho << 8)).add(net::Be16(net::kIcmp6Echo << 8));
    copy.icmp().type = net::kIcmp6Echo;
    copy.icmp().id = m.internal.port;
  } else {
    delta.subtract(ip->destination);
    copy.source() = m.internal.port;
  }
  copy.move_checksum(delta.folded());
  net::Sum sum;
  sum.add(outer->source).add(outer->destination).add(outer->payload_length).add(net::Be16(net::kIpIcmpv6));
  icmp->checksum = sum.add_bytes(icmp, 48 + kept).checksum();
  free_packet(p.m);
  send(t_.inside, out, true);
}

void Pipeline::icmp_error_from_inside(Packet& p) {
  net::Ipv4Header* ip4 = nullptr;
  net::Ipv6Header* ip6 = nullptr;
  Inner inner;
  const bool nat64 = p.carriage == Carriage::nat64;
  if (!checksum_holds(p) || !(nat64 ? inner_ipv6(p, &ip6, &inner) : inner_ipv4(p, &ip4, &inner)))
    return drop(p, DropReason::icmp_error_malformed);
  // RFC 5508 REQ-5: the packet inside came through us towards the subscriber: its destination is the internal
  // endpoint. In a softwire that is one behind the B4 that sent the error, so nobody can speak for another.
  const bool echo = inner.protocol == Protocol::icmp;
  const uint8_t reply = nat64 ? uint8_t{net::kIcmp6EchoReply} : uint8_t{net::kIcmpEchoReply};
  const bool returns = nat64 ? ip6->source == p.ip6->destination : ip4->source == p.ip4->destination;
  if (!returns || (echo && inner.icmp().type != reply)) return drop(p, DropReason::icmp_error_unmapped);
  p.internal.protocol = inner.protocol;
  p.internal.port = echo ? inner.icmp().id : inner.destination();
  if (nat64)
    p.internal.ipv6 = ip6->destination;
  else
    p.internal.ipv4 = ip4->destination;
  MappingTable& table = w_.binding_.mappings();
  p.mapping = table.find(p.internal);
  if (p.mapping == kNoMapping || !w_.binding_.alive(t_, p.mapping, now_)) {
    const auto rule = rule_for(p);
    if (!rule) return drop(p, DropReason::no_subscriber);
    const WorkerId owner = t_.steering.worker_of(rule->subscriber_of(p.carriage, p.internal));
    if (owner != w_.self_) return hand_over(p, owner, Form::from_inside);
    return drop(p, DropReason::icmp_error_unmapped);
  }
  if ((nat64 ? p.ip6->hop_limit : p.ip4->ttl) <= 1) return drop(p, DropReason::ttl_expired);
  const Mapping& m = table[p.mapping];
  // A router on the way may speak of anybody's packet, a subscriber only of his own.
  if (p.carriage != Carriage::ds_lite) {
    const SubscriberRule* rule = nat64 ? t_.rule_for(p.carriage, p.ip6->source) : t_.rule_for(p.ip4->source);
    if (rule != nullptr) {
      const auto who = nat64 ? SubscriberKey::ipv6(p.ip6->source, rule->mask, rule->instance)
                             : SubscriberKey::ipv4(p.ip4->source, rule->mask, rule->instance);
      if (!(who == w_.binding_.subscribers()[m.subscriber].key))
        return drop(p, DropReason::icmp_error_unmapped);
    }
  }
  w_.counters_.icmp_errors_translated.add();
  if (nat64) return icmp_error_nat64_out(p);
  if (p.carriage == Carriage::ds_lite) carriage::decapsulate(p);
  ip4->destination = m.external_address;
  ip4->checksum = net::apply_delta(ip4->checksum, m.address_delta);
  (echo ? inner.icmp().id : inner.destination()) = m.external_port;
  inner.move_checksum(m.transport_delta);
  // The sender may be a router of the subscriber's with an address of its own.
  const uint16_t delta = net::Sum().add(m.external_address).subtract(p.ip4->source).folded();
  p.ip4->source = m.external_address;
  carriage::take_hop(*p.ip4, delta);
  seal_icmp4(p.icmp(), p.l4_length);
  deliver_outside(p);
}

/// ICMPv6 error → ICMPv4 error (RFC 7915 §5.2–5.3).
void Pipeline::icmp_error_nat64_out(Packet& p) {
  net::Ipv6Header* ip;
  Inner inner;
  inner_ipv6(p, &ip, &inner);
  const Mapping& m = w_.binding_.mappings()[p.mapping];
  const uint32_t word = p.icmp()->word();
  const auto pointer = static_cast<uint8_t>(std::min(word, 255u));
  const auto error = net::icmp6_to_icmp4({p.icmp()->type, p.icmp()->code, pointer, word},
                                         {t_.interfaces[t_.outside].mtu, t_.interfaces[t_.inside].mtu});
  if (!error) return drop(p, DropReason::icmp_type);
  const ContextView& prefix = t_.contexts[p.internal.context];
  const unsigned kept = std::min(inner.size, 576u - 48u);
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return drop(p, DropReason::no_buffer);
  trim_to(fresh, 48 + kept);
  Packet out(fresh);
  auto* outer = reinterpret_cast<net::Ipv4Header*>(out.data);
  *outer = net::Ipv4Header{};
  outer->version_ihl = 0x45;
  outer->tos = p.ip6->traffic_class();
  outer->total_length = net::Be16(static_cast<uint16_t>(48 + kept));
  outer->id = net::Be16(w_.next_id_++);
  outer->ttl = static_cast<uint8_t>(p.ip6->hop_limit - 1);
  outer->protocol = net::kIpIcmp;
  outer->source = m.external_address;
  outer->destination = p.remote.address;
  outer->checksum = net::Sum().add_bytes(outer, sizeof *outer).checksum();
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(outer + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = error->type;
  icmp->code = error->code;
  icmp->set_word(error->type == net::kIcmpParameterProblem ? uint32_t{error->pointer} << 24 : error->mtu);

  auto* quoted = reinterpret_cast<net::Ipv4Header*>(icmp + 1);
  *quoted = net::Ipv4Header{};
  quoted->version_ihl = 0x45;
  quoted->tos = ip->traffic_class();
  quoted->total_length = net::Be16(static_cast<uint16_t>(20 + std::min(inner.payload, 65515u)));
  quoted->ttl = ip->hop_limit;
  const bool echo = inner.protocol == Protocol::icmp;
  quoted->protocol = echo ? uint8_t{net::kIpIcmp} : ip->next_header;
  quoted->source = net::extract(ip->source, prefix.length);
  quoted->destination = m.external_address;
  quoted->checksum = net::Sum().add_bytes(quoted, sizeof *quoted).checksum();
  Inner copy = inner;
  copy.l4 = reinterpret_cast<uint8_t*>(quoted + 1);
  copy.size = kept;
  std::memcpy(copy.l4, inner.l4, kept);
  net::Sum delta(m.transport_delta);
  delta.subtract(ip->source);
  if (echo) {
    delta.subtract(ip->payload_length).subtract(net::Be16(net::kIpIcmpv6));
    delta.subtract(net::Be16(net::kIcmp6EchoReply << 8)).add(net::Be16(net::kIcmpEchoReply << 8));
    copy.icmp().type = net::kIcmpEchoReply;
    copy.icmp().id = m.external_port;
  } else {
    delta.add(quoted->source);
    copy.destination() = m.external_port;
  }
  copy.move_checksum(delta.folded());
  seal_icmp4(icmp, 28 + kept);
  out.remote = p.remote;
  free_packet(p.m);
  deliver_outside(out);
}

}  // namespace culvert::dataplane
