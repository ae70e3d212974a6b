/// Errors from outside about packets that subscribers sent (RFC 5508 §4, RFC 7915 §4.2, §4.3).
#include "dataplane/carriage/rewrite.h"
#include "dataplane/pipeline.h"
#include "net/icmp_translation.h"

namespace culvert::dataplane {

void Pipeline::icmp_error_from_outside(Packet& p) {
  Quoted quoted;
  if (!icmp_checksum_holds(p)) return drop(p, DropReason::icmp_error_malformed);
  if (Refusal r = find_quoted(p, &quoted)) return drop(p, *r);
  // RFC 5508 REQ-4: the mapping is that of the packet inside, which we sent: its source is our external
  // endpoint.
  const bool icmp = quoted.protocol == Protocol::icmp;
  if (quoted.ip4->source != p.external.address || (icmp && quoted.icmp().type != net::kIcmpEcho))
    return drop(p, DropReason::icmp_error_unmapped);
  p.external.protocol = quoted.protocol;
  p.external.port = icmp ? quoted.icmp().id : quoted.source();
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
  if (t_.instances[m.instance].carriage == Carriage::nat64) return icmp_error_nat64_in(p, m, quoted);
  icmp_error_ipv4_in(p, m, quoted);
}

void Pipeline::icmp_error_ipv4_in(Packet& p, const Mapping& m, const Quoted& quoted) {
  w_.counters_.icmp_errors_translated.add();
  net::Ipv4Header* ip = quoted.ip4;
  ip->source = m.internal.ipv4;
  ip->checksum = net::apply_delta(ip->checksum, net::inverse_delta(m.address_delta));
  (quoted.protocol == Protocol::icmp ? quoted.icmp().id : quoted.source()) = m.internal.port;
  quoted.move_checksum(net::inverse_delta(m.transport_delta));
  p.ip4->destination = m.internal.ipv4;
  carriage::take_hop(*p.ip4, net::inverse_delta(m.address_delta));
  const InstanceView& policy = t_.instances[m.instance];
  if (p.length > policy.inbound_mtu) shorten_error(p, policy.inbound_mtu);
  seal_icmp4(p.icmp(), p.l4_length);
  const bool softwire = policy.carriage == Carriage::ds_lite;
  if (softwire && p.cut != 0) return deliver_pieces(p, m, sent_[t_.inside]);
  if (softwire && !carriage::encapsulate(p, t_.contexts[m.internal.context].address, m.internal.ipv6))
    return drop(p, DropReason::no_buffer);
  send(t_.inside, p, softwire);
}

/// ICMPv4 error → ICMPv6 error (RFC 7915 §4.2–4.3), in a packet of its own since both headers grow.
void Pipeline::icmp_error_nat64_in(Packet& p, const Mapping& m, const Quoted& quoted) {
  const net::Ipv4Header* ip = quoted.ip4;
  const uint32_t word = p.icmp()->word();
  const auto error = net::icmp4_to_icmp6(
      {p.icmp()->type, p.icmp()->code, static_cast<uint8_t>(word >> 24), word & 0xffff},
      ip->total_length.value(), {t_.interfaces[t_.outside].mtu, t_.interfaces[t_.inside].mtu});
  if (!error) return drop(p, DropReason::icmp_type);
  const ContextView& prefix = t_.contexts[m.internal.context];
  // RFC 6052 §3.1, also of routers on the way: the well-known prefix has no words for them.
  if (prefix.well_known && !net::is_global(p.ip4->source)) return drop(p, DropReason::martian);
  w_.counters_.icmp_errors_translated.add();
  constexpr unsigned kHeaders = sizeof(net::Ipv6Header) + sizeof(net::IcmpHeader);
  const unsigned headers = unsigned{sizeof(net::Ipv6Header)} +
                           (quoted.first_fragment ? unsigned{sizeof(net::FragmentHeader)} : 0u);
  const bool extensible = error->type == net::kIcmp6TimeExceeded || (error->type == net::kIcmp6Unreachable);
  const QuoteLayout layout = lay_out(quoted, headers, 8, kMaxIpv6Error - kHeaders, extensible);
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return drop(p, DropReason::no_buffer);
  trim_to(fresh, kHeaders + layout.field + layout.extensions);
  Packet out(fresh);
  auto* outer = reinterpret_cast<net::Ipv6Header*>(out.data);
  *outer = net::Ipv6Header{};
  outer->version_class_label = net::Be32(6u << 28 | uint32_t{p.ip4->tos} << 20);
  outer->payload_length = net::Be16(static_cast<uint16_t>(out.length - sizeof *outer));
  outer->next_header = net::kIpIcmpv6;
  outer->hop_limit = static_cast<uint8_t>(p.ip4->ttl - 1);
  outer->source = net::embed(prefix.address, prefix.length, p.ip4->source);
  outer->destination = m.internal.ipv6;
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(outer + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = error->type;
  icmp->code = error->code;
  icmp->set_word(error->mtu != 0 ? error->mtu : error->pointer);
  if (layout.extensions != 0) icmp->set_word(layout.field / 8 << 24);  // RFC 4884 §4.4, §4.5

  write_quotation(icmp->payload(), headers, quoted, layout);
  auto* v6 = reinterpret_cast<net::Ipv6Header*>(icmp + 1);
  *v6 = net::Ipv6Header{};
  v6->version_class_label = net::Be32(6u << 28 | uint32_t{ip->tos} << 20);
  v6->payload_length = net::Be16(static_cast<uint16_t>(headers - sizeof *v6 + quoted.payload));
  const bool echo = quoted.protocol == Protocol::icmp;
  const uint8_t number = echo ? uint8_t{net::kIpIcmpv6} : quoted.number;
  v6->next_header = number;
  v6->hop_limit = ip->ttl;
  v6->source = m.internal.ipv6;
  v6->destination = net::embed(prefix.address, prefix.length, ip->destination);
  if (quoted.first_fragment) {  // RFC 7915 §4.3: as the packet itself would be translated
    v6->next_header = net::kIpFragment;
    auto* fragment = reinterpret_cast<net::FragmentHeader*>(v6 + 1);
    *fragment = net::FragmentHeader{};
    fragment->next_header = number;
    fragment->set_place(0, true);
    fragment->id = net::Be32(ip->id.value());
  }
  Quoted copy = quoted;
  copy.l4 = icmp->payload() + headers;
  copy.size = layout.kept;
  net::Sum delta(net::inverse_delta(m.transport_delta));
  delta.add(v6->destination);
  if (echo) {
    delta.add(net::Be16(static_cast<uint16_t>(quoted.payload))).add(net::Be16(net::kIpIcmpv6));
    delta.subtract(net::Be16(net::kIcmpEcho << 8)).add(net::Be16(net::kIcmp6Echo << 8));
    copy.icmp().type = net::kIcmp6Echo;
    copy.icmp().id = m.internal.port;
  } else {
    delta.subtract(ip->destination);
    copy.source() = m.internal.port;
  }
  copy.move_checksum(delta.folded());
  seal_icmp6(*outer, icmp);
  free_packet(p.m);
  send(t_.inside, out, true);
}

}  // namespace culvert::dataplane
