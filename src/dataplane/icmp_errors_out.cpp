/// Errors from inside about packets that came in for subscribers (RFC 5508 §4, RFC 7915 §5.2, §5.3; RFC 2473
/// §8).
#include <algorithm>

#include "dataplane/carriage/rewrite.h"
#include "dataplane/pipeline.h"
#include "net/icmp_translation.h"

namespace culvert::dataplane {

void Pipeline::icmp_error_from_inside(Packet& p) {
  Quoted quoted;
  if (!icmp_checksum_holds(p)) return drop(p, DropReason::icmp_error_malformed);
  if (Refusal r = find_quoted(p, &quoted)) return drop(p, *r);
  // RFC 5508 REQ-5: the packet inside came through us towards the subscriber: its destination is the internal
  // endpoint. In a softwire that is one behind the B4 that sent the error, so nobody can speak for another.
  const bool nat64 = p.carriage == Carriage::nat64, echo = quoted.protocol == Protocol::icmp;
  const uint8_t reply = nat64 ? uint8_t{net::kIcmp6EchoReply} : uint8_t{net::kIcmpEchoReply};
  const bool returns =
      nat64 ? quoted.ip6->source == p.ip6->destination : quoted.ip4->source == p.ip4->destination;
  if (!returns || (echo && quoted.icmp().type != reply)) return drop(p, DropReason::icmp_error_unmapped);
  p.internal.protocol = quoted.protocol;
  p.internal.port = echo ? quoted.icmp().id : quoted.destination();
  if (nat64)
    p.internal.ipv6 = quoted.ip6->destination;
  else
    p.internal.ipv4 = quoted.ip4->destination;
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
  if (nat64) return icmp_error_nat64_out(p, m, quoted);
  w_.counters_.icmp_errors_translated.add();
  if (p.carriage == Carriage::ds_lite) carriage::decapsulate(p);
  net::Ipv4Header* ip = quoted.ip4;
  ip->destination = m.external_address;
  ip->checksum = net::apply_delta(ip->checksum, m.address_delta);
  (echo ? quoted.icmp().id : quoted.destination()) = m.external_port;
  quoted.move_checksum(m.transport_delta);
  // The sender may be a router of the subscriber's with an address of its own.
  const uint16_t delta = net::Sum().add(m.external_address).subtract(p.ip4->source).folded();
  p.ip4->source = m.external_address;
  carriage::take_hop(*p.ip4,
                     uint32_t{delta} + carriage::renumber(p, m.external_address, w_.identifications_));
  const unsigned mtu = t_.interfaces[t_.outside].mtu;
  if (p.length > mtu) shorten_error(p, mtu);
  seal_icmp4(p.icmp(), p.l4_length);
  deliver_outside(p);
}

/// ICMPv6 error → ICMPv4 error (RFC 7915 §5.2–5.3).
void Pipeline::icmp_error_nat64_out(Packet& p, const Mapping& m, const Quoted& quoted) {
  const net::Ipv6Header* ip = quoted.ip6;
  const uint32_t word = p.icmp()->word();
  const auto pointer = static_cast<uint8_t>(std::min(word, 255u));
  const auto error = net::icmp6_to_icmp4({p.icmp()->type, p.icmp()->code, pointer, word},
                                         {t_.interfaces[t_.outside].mtu, t_.interfaces[t_.inside].mtu});
  if (!error) return drop(p, DropReason::icmp_type);
  w_.counters_.icmp_errors_translated.add();
  const ContextView& prefix = t_.contexts[p.internal.context];
  constexpr unsigned kQuotedHeader = sizeof(net::Ipv4Header);
  const QuoteLayout layout = lay_out(quoted, kQuotedHeader, 4, kMaxIpv4Error - kIcmp4ErrorHeaders, true);
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return drop(p, DropReason::no_buffer);
  trim_to(fresh, kIcmp4ErrorHeaders + layout.field + layout.extensions);
  Packet out(fresh);
  auto* outer = reinterpret_cast<net::Ipv4Header*>(out.data);
  *outer = net::Ipv4Header{};
  outer->version_ihl = 0x45;
  outer->tos = p.ip6->traffic_class();
  outer->total_length = net::Be16(static_cast<uint16_t>(out.length));
  outer->ttl = static_cast<uint8_t>(p.ip6->hop_limit - 1);
  outer->protocol = net::kIpIcmp;
  outer->source = m.external_address;
  outer->destination = p.remote.address;
  outer->id = w_.identifications_.next(outer->source, outer->destination);
  outer->checksum = net::Sum().add_bytes(outer, sizeof *outer).checksum();
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(outer + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = error->type;
  icmp->code = error->code;
  const uint32_t field = layout.extensions == 0 ? 0 : layout.field / 4;  // RFC 4884 §4.1–4.3
  icmp->set_word((error->type == net::kIcmpParameterProblem ? uint32_t{error->pointer} << 24 : error->mtu) |
                 field << 16);

  write_quotation(icmp->payload(), kQuotedHeader, quoted, layout);
  auto* v4 = reinterpret_cast<net::Ipv4Header*>(icmp + 1);
  *v4 = net::Ipv4Header{};
  v4->version_ihl = 0x45;
  v4->tos = ip->traffic_class();
  v4->total_length = net::Be16(static_cast<uint16_t>(kQuotedHeader + std::min(quoted.payload, 65515u)));
  // RFC 7915 §5.3: as the packet itself would be translated.
  if (quoted.first_fragment) {
    v4->id = net::Be16(static_cast<uint16_t>(quoted.fragment_id));
    v4->fragment = net::Be16(net::Ipv4Header::kMoreFragments);
  } else if (kQuotedHeader + quoted.payload > 1260) {
    v4->fragment = net::Be16(net::Ipv4Header::kDontFragment);
  }
  v4->ttl = ip->hop_limit;
  const bool echo = quoted.protocol == Protocol::icmp;
  v4->protocol = echo ? uint8_t{net::kIpIcmp} : quoted.number;
  v4->source = net::extract(ip->source, prefix.length);
  v4->destination = m.external_address;
  v4->checksum = net::Sum().add_bytes(v4, sizeof *v4).checksum();
  Quoted copy = quoted;
  copy.l4 = icmp->payload() + kQuotedHeader;
  copy.size = layout.kept;
  net::Sum delta(m.transport_delta);
  delta.subtract(ip->source);
  if (echo) {
    delta.subtract(net::Be16(static_cast<uint16_t>(quoted.payload))).subtract(net::Be16(net::kIpIcmpv6));
    delta.subtract(net::Be16(net::kIcmp6EchoReply << 8)).add(net::Be16(net::kIcmpEchoReply << 8));
    copy.icmp().type = net::kIcmpEchoReply;
    copy.icmp().id = m.external_port;
  } else {
    delta.add(v4->source);
    copy.destination() = m.external_port;
  }
  copy.move_checksum(delta.folded());
  seal_icmp4(icmp, static_cast<unsigned>(sizeof *icmp) + layout.field + layout.extensions);
  out.remote = p.remote;
  free_packet(p.m);
  deliver_outside(out);
}

/// An ICMPv6 error about a packet that we sent into a softwire (RFC 2473 §8): as the IPv4 error that its host
/// would have sent about the inner packet, it goes the way of those.
void Pipeline::icmp_error_about_softwire(Packet& p, Context context, unsigned at) {
  p.l4 = p.data + at;
  p.l4_length = static_cast<uint16_t>(p.length - at);
  if (p.l4_length < sizeof(net::IcmpHeader) || !icmp_checksum_holds(p))
    return drop(p, DropReason::icmp_error_malformed);
  const auto field = field_of(p);
  if (!field) return drop(p, DropReason::icmp_error_malformed);
  const unsigned there = field->size;
  uint8_t* data = p.l4 + sizeof(net::IcmpHeader);
  if (there < sizeof(net::Ipv6Header)) return drop(p, DropReason::icmp_error_malformed);
  const auto* outer = reinterpret_cast<const net::Ipv6Header*>(data);
  unsigned headers = sizeof *outer;
  uint8_t next = outer->next_header;
  if (next == net::kIpFragment && there >= headers + sizeof(net::FragmentHeader)) {
    const auto* fragment = reinterpret_cast<const net::FragmentHeader*>(outer + 1);
    if (fragment->offset() != 0) return drop(p, DropReason::icmp_error_unmapped);
    next = fragment->next_header;
    headers += unsigned{sizeof *fragment};
  }
  unsigned inner = std::min(there - headers, kMaxIpv4Error - kIcmp4ErrorHeaders);
  if (!(outer->source == t_.contexts[context].address) || next != net::kIpIpv4)
    return t_.is_own(p.ip6->destination) ? punt(p, false) : drop(p, DropReason::icmp_error_unmapped);
  const auto* quoted = reinterpret_cast<const net::Ipv4Header*>(data + headers);
  if (inner >= sizeof *quoted) inner = std::min<unsigned>(inner, quoted->total_length.value());
  if (inner < sizeof *quoted) return drop(p, DropReason::icmp_error_malformed);
  // A router on the way may speak of any softwire, a subscriber only of his own.
  const SubscriberRule* rule = t_.rule_for(Carriage::ds_lite, p.ip6->source);
  if (rule != nullptr && !(SubscriberKey::ipv6(p.ip6->source, rule->mask, rule->instance) ==
                           SubscriberKey::ipv6(outer->destination, rule->mask, rule->instance)))
    return drop(p, DropReason::icmp_error_unmapped);

  const uint32_t mtu = p.icmp()->word();
  const bool too_big = p.icmp()->type == net::kIcmp6PacketTooBig;
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return drop(p, DropReason::no_buffer);
  Packet out(fresh);
  Icmp4Error error{quoted->destination, quoted->source, net::kIcmpUnreachable, net::kHostUnreachable};
  if (too_big) {
    error.code = net::kFragmentationNeeded;
    error.word = std::clamp<uint32_t>(mtu, 1280, kAnySize) - unsigned{sizeof(net::Ipv6Header)};
  }
  write_error(out, error, quoted, inner);
  const uint8_t interface = p.interface;
  if (!carriage::encapsulate(out, outer->destination, t_.contexts[context].address)) {
    free_packet(fresh);
    return drop(p, DropReason::no_buffer);
  }
  settle(out);
  free_packet(p.m);
  Packet& again = next_packet(fresh, 0, interface);
  fence(again);
  from_inside(again);
}

}  // namespace culvert::dataplane
