#include "dataplane/pipeline.h"
#include "net/rfc6052.h"

namespace culvert::dataplane {
namespace {

bool is_multicast(const net::Ipv6Address& a) { return a.bytes[0] == 0xff; }
bool is_link_local(const net::Ipv6Address& a) { return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80; }
/// Multicast, reserved and limited broadcast: 224.0.0.0 and above.
bool is_multicast(net::Ipv4Address a) { return a.value() >= 0xe0000000; }

/// RFC 4861 §6–7: neighbour discovery has a hop limit of 255, which nobody off the link can send.
bool is_neighbour_discovery(const net::Ipv6Header& ip) {
  return ip.next_header == net::kIpIcmpv6 && ip.hop_limit == 255;
}

/// Whether an IP packet is itself for a group: only that may come in a group frame (RFC 1122 §3.3.6).
bool is_group_packet(const rte_mbuf* m, uint16_t ether_type) {
  const auto* data = rte_pktmbuf_mtod(m, const uint8_t*);
  if (ether_type == net::kEtherIpv4 && m->data_len >= sizeof(net::Ipv4Header))
    return is_multicast(reinterpret_cast<const net::Ipv4Header*>(data)->destination);
  if (ether_type == net::kEtherIpv6 && m->data_len >= sizeof(net::Ipv6Header))
    return is_multicast(reinterpret_cast<const net::Ipv6Header*>(data)->destination);
  return false;
}

}  // namespace

const InterfaceView* Pipeline::interface_of(uint16_t port, uint16_t vlan) const {
  for (const InterfaceView& i : t_.interfaces)
    if (i.port == port && i.vlan == vlan) return &i;
  return nullptr;
}

void Pipeline::take_frame(rte_mbuf* m, uint16_t port) {
  if (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0) return drop(m, DropReason::no_buffer);
  fence(m);
  unsigned header = sizeof(net::EthernetHeader);
  if (m->data_len < header) return drop(m, DropReason::malformed_ethernet);
  const auto* ethernet = reinterpret_cast<const net::EthernetHeader*>(bytes_of(m));
  uint16_t type = ethernet->type.value(), vlan = 0;
  if (type == net::kEtherVlan || type == net::kEtherQinq) {
    if (m->data_len < header + sizeof(net::VlanTag)) return drop(m, DropReason::malformed_ethernet);
    const auto* tag = reinterpret_cast<const net::VlanTag*>(bytes_of(m) + header);
    vlan = tag->id();  // 0 is a priority tag: as good as none (IEEE 802.1Q)
    type = tag->type.value();
    header += sizeof *tag;
  }
  const InterfaceView* interface = interface_of(port, vlan);
  if (interface == nullptr) return drop(m, DropReason::wrong_vlan);
  Flow& flow = w_.counters_.received[interface->number];
  flow.packets.add();
  flow.bytes.add(m->data_len - header);
  m->l2_len = header & 0x7f;
  // Frames that a switch floods are another station's; a group frame may only carry what the kernel wants.
  const net::MacAddress to = ethernet->destination;
  const bool ours = interface->any_mac || to == interface->mac;
  if (!ours && !to.is_multicast()) return drop(m, DropReason::not_our_mac);
  strip(m, header);
  take_ip(m, type, *interface, ours);
}

void Pipeline::take_marked(rte_mbuf* m) {
  const Mark mark = Mark::of(m);
  fence(m);
  Packet p;
  p.m = m;
  p.interface = mark.interface;
  p.handed_over = mark.handed_over;
  switch (mark.form) {
    case Form::from_inside:
      if (bytes_of(m)[0] >> 4 == 6) return from_inside_ipv6(p);
      return from_inside_ipv4(p);
    case Form::from_outside:
      return from_outside(p);
    case Form::hairpin:
      p.hairpin = true;
      return from_outside(p);
    case Form::frame: {
      // The kernel's own: only its VLAN tag is still missing.
      const InterfaceView& i = t_.interfaces[mark.interface];
      if (i.vlan != 0) {
        uint8_t* front = prepend(m, sizeof(net::VlanTag));
        if (front == nullptr) return drop(m, DropReason::no_buffer);
        std::memmove(front, front + sizeof(net::VlanTag), 12);
        const net::Be16 tag[2] = {net::Be16(net::kEtherVlan), net::Be16(i.vlan)};
        std::memcpy(front + 12, tag, sizeof tag);
      }
      w_.counters_.injected.add();
      unfence(m);
      w_.outbox_.push(mark.interface, m);
      return;
    }
  }
}

void Pipeline::take_ip(rte_mbuf* m, uint16_t ether_type, const InterfaceView& interface, bool ours) {
  if (!ours && ether_type != net::kEtherArp && !is_group_packet(m, ether_type))
    return drop(m, DropReason::not_our_mac);
  Packet p;
  p.m = m;
  p.interface = interface.number;
  switch (ether_type) {
    case net::kEtherIpv4: {
      if (m->data_len < sizeof(net::Ipv4Header)) return drop(m, DropReason::truncated);
      if (interface.role == config::Role::inside) return from_inside_ipv4(p);
      if (interface.role == config::Role::both) {
        const auto* ip = reinterpret_cast<const net::Ipv4Header*>(bytes_of(m));
        if (t_.subscribers_nat44.find(ip->source) != nullptr) return from_inside_ipv4(p);
      }
      return from_outside(p);
    }
    case net::kEtherIpv6:
      return from_inside_ipv6(p);
    case net::kEtherArp:
      return punt(p, true);
    default:
      return drop(m, DropReason::unknown_ethertype);
  }
}

void Pipeline::from_inside_ipv4(Packet& p) {
  if (Refusal r = parse_ipv4(p, bytes_of(p.m), p.m->data_len)) return drop(p, *r);
  const net::Ipv4Address to = p.ip4->destination;
  if (is_multicast(to) || (t_.maybe_local(to) && t_.is_own(to))) return punt(p, is_multicast(to));
  p.carriage = Carriage::nat44;
  p.internal.ipv4 = p.ip4->source;
  p.remote.address = to;
  to_lane(p, p.ip4->protocol);
}

void Pipeline::from_inside_ipv6(Packet& p) {
  if (Refusal r = parse_ipv6(p)) return drop(p, *r);
  const net::Ipv6Address& to = p.ip6->destination;
  if (t_.interfaces[p.interface].faces_inside()) {
    for (Context c : t_.softwires)
      if (t_.contexts[c].address == to) return open_softwire(p, c);
    for (Context c : t_.nat64_prefixes)
      if (t_.contexts[c].is_prefix_of(to)) return open_nat64(p, c);
  }
  if (is_multicast(to) || is_link_local(to)) return punt(p, true);
  if (t_.is_own(to)) return punt(p, is_neighbour_discovery(*p.ip6));
  drop(p, DropReason::not_for_us);
}

void Pipeline::open_softwire(Packet& p, Context context) {
  uint8_t next;
  unsigned at;
  if (Refusal r = skip_extensions(p, &next, &at)) return drop(p, *r);
  if (next != net::kIpIpv4) {
    // Ping to the AFTR address is the kernel's, where that address is one of the interface's.
    if (t_.is_own(p.ip6->destination)) return punt(p, is_neighbour_discovery(*p.ip6));
    return drop(p, DropReason::softwire_next_header);
  }
  p.carriage = Carriage::ds_lite;
  p.internal.ipv6 = p.ip6->source;
  p.internal.context = context;
  uint8_t* inner = bytes_of(p.m) + at;
  if (Refusal r = parse_ipv4(p, inner, p.m->data_len - at)) return drop(p, *r);
  // RFC 6040 §4.2: a congestion mark that the inner packet's transport would not understand means loss.
  const bool congested = (p.ip6->traffic_class() & 3) == 3;
  if (congested && (p.ip4->tos & 3) == 0) [[unlikely]]
    return drop(p, DropReason::ecn_congestion);
  p.internal.ipv4 = p.ip4->source;
  p.remote.address = p.ip4->destination;
  to_lane(p, p.ip4->protocol);
}

void Pipeline::open_nat64(Packet& p, Context context) {
  uint8_t next;
  unsigned at;
  if (Refusal r = skip_extensions(p, &next, &at)) return drop(p, *r);
  p.carriage = Carriage::nat64;
  p.internal.ipv6 = p.ip6->source;
  p.internal.context = context;
  const ContextView& prefix = t_.contexts[context];
  p.remote.address = net::extract(p.ip6->destination, prefix.length);
  // RFC 6052 §3.1: the well-known prefix stands for global addresses only.
  if (prefix.well_known && !net::is_global(p.remote.address)) [[unlikely]]
    return drop(p, DropReason::martian);
  p.l4 = bytes_of(p.m) + at;
  p.l4_length = static_cast<uint16_t>(p.m->data_len - at);
  to_lane(p, next);
}

void Pipeline::to_lane(Packet& p, uint8_t protocol) {
  if (net::is_martian(p.remote.address)) [[unlikely]]
    return drop(p, DropReason::martian);
  DropReason why;
  switch (parse_transport<true>(p, protocol, &why)) {
    case Transport::refused:
      return drop(p, why);
    case Transport::icmp_error:
      return icmp_error_from_inside(p);
    case Transport::flow:
      break;
  }
  if (p.carriage == Carriage::nat64 && p.internal.protocol == Protocol::udp && p.udp()->checksum.raw() == 0)
    return drop(p, DropReason::udp_zero_checksum);
  const MappingTable& table = w_.binding_.mappings();
  p.hash = p.internal.hash(table.hash_key());
  table.outbound().prefetch(p.hash);
  Lane& lane = outbound_[static_cast<size_t>(p.carriage)];
  lane.packets[lane.count++] = p;
}

void Pipeline::from_outside(Packet& p) {
  if (Refusal r = parse_ipv4(p, bytes_of(p.m), p.m->data_len)) return drop(p, *r);
  const net::Ipv4Address to = p.ip4->destination;
  if (!t_.maybe_local(to)) return is_multicast(to) ? punt(p, true) : drop(p, DropReason::not_for_us);
  if (t_.is_own(to)) return punt(p, false);
  p.external.address = to;
  p.remote.address = p.ip4->source;
  if (net::is_martian(p.remote.address)) [[unlikely]]
    return drop(p, DropReason::martian);
  DropReason why;
  switch (parse_transport<false>(p, p.ip4->protocol, &why)) {
    case Transport::refused:
      return drop(p, why);
    case Transport::icmp_error:
      return icmp_error_from_outside(p);
    case Transport::flow:
      break;
  }
  const MappingTable& table = w_.binding_.mappings();
  p.hash = p.external.hash(table.hash_key());
  table.inbound().prefetch(p.hash);
  inbound_.packets[inbound_.count++] = p;
}

}  // namespace culvert::dataplane
