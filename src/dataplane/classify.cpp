#include <rte_prefetch.h>

#include <algorithm>
#include <cstring>

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

/// Compared as it lies in memory, which costs no byte swap.
bool is(net::Be16 found, net::EtherType wanted) { return found == net::Be16(wanted); }

/// Whether an IP packet is itself for a group: only that may come in a group frame (RFC 1122 §3.3.6).
bool is_group_packet(const Packet& p, net::Be16 ether_type) {
  if (is(ether_type, net::kEtherIpv4) && p.length >= sizeof(net::Ipv4Header))
    return is_multicast(reinterpret_cast<const net::Ipv4Header*>(p.data)->destination);
  if (is(ether_type, net::kEtherIpv6) && p.length >= sizeof(net::Ipv6Header))
    return is_multicast(reinterpret_cast<const net::Ipv6Header*>(p.data)->destination);
  return false;
}

bool is_icmp6_error(const Packet& p, unsigned at) {
  return p.length > at && p.data[at] >= net::kIcmp6Unreachable && p.data[at] <= net::kIcmp6ParameterProblem;
}

}  // namespace

const InterfaceView* Pipeline::interface_of(uint16_t port, uint16_t vlan) const {
  for (const InterfaceView& i : t_.interfaces)
    if (i.port == port && i.vlan == vlan) return &i;
  return nullptr;
}

void Pipeline::take_frames(rte_mbuf** frames, unsigned count, uint16_t port) {
  usual_ = &t_.interfaces.front();
  for (const InterfaceView& i : t_.interfaces)
    if (i.port == port) usual_ = &i;
  usual_received_ = &received_[usual_->number];
  // A frame's mbuf is prefetched first, since only that tells where its bytes are.
  constexpr unsigned kAhead = 4;
  for (unsigned i = 0; i < std::min(count, 2 * kAhead); i++) rte_prefetch0(frames[i]);
  for (unsigned i = 0; i < std::min(count, kAhead); i++) rte_prefetch0(bytes_of(frames[i]));
  for (unsigned i = 0; i < count; i++) {
    rte_prefetch0(frames[std::min(i + 2 * kAhead, count - 1)]);
    rte_prefetch0(bytes_of(frames[std::min(i + kAhead, count - 1)]));
    take_frame(frames[i], port);
  }
}

inline void Pipeline::take_frame(rte_mbuf* m, uint16_t port) {
  if (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0) [[unlikely]]
    return drop(m, DropReason::no_buffer);
  unsigned header = sizeof(net::EthernetHeader);
  fence(Packet(m));
  if (m->data_len < header) [[unlikely]]
    return drop(m, DropReason::malformed_ethernet);
  const auto* ethernet = reinterpret_cast<const net::EthernetHeader*>(bytes_of(m));
  net::Be16 type = ethernet->type;
  uint16_t vlan = 0;
  if (is(type, net::kEtherVlan) || is(type, net::kEtherQinq)) {
    if (m->data_len < header + sizeof(net::VlanTag)) return drop(m, DropReason::malformed_ethernet);
    const auto* tag = reinterpret_cast<const net::VlanTag*>(bytes_of(m) + header);
    vlan = tag->id();  // 0 is a priority tag: as good as none (IEEE 802.1Q)
    type = tag->type;
    header += sizeof *tag;
  }
  const InterfaceView* interface = usual_;
  Sums* received = usual_received_;
  if (interface->vlan != vlan || interface->port != port) [[unlikely]] {
    interface = interface_of(port, vlan);
    if (interface == nullptr) return drop(m, DropReason::wrong_vlan);
    received = &received_[interface->number];
  }
  Packet& p = next_packet(m, header, interface->number);
  received->add(p.length);
  // Frames that a switch floods are another station's; a group frame may only carry what the kernel wants.
  const bool ours = ethernet->destination == interface->mac || interface->any_mac;
  if (!ours && !ethernet->destination.is_multicast()) [[unlikely]]
    return drop(p, DropReason::not_our_mac);
  fence(p);
  take_ip(p, type, *interface, ours);
}

void Pipeline::take_marked(rte_mbuf* m) {
  const Mark mark = Mark::of(m);
  Packet& p = next_packet(m, 0, mark.interface);
  fence(p);
  p.handed_over = mark.handed_over;
  p.cut = mark.cut;
  switch (mark.form) {
    case Form::from_inside:
      return from_inside(p);
    case Form::from_outside:
      return from_outside(p);
    case Form::hairpin:
      p.hairpin = true;
      return from_outside(p);
    case Form::frame: {
      // The kernel's own: only its VLAN tag is still missing.
      const InterfaceView& i = t_.interfaces[mark.interface];
      const unsigned header = sizeof(net::EthernetHeader);
      if (p.length < header) return drop(p, DropReason::malformed_ethernet);
      const unsigned packet = p.length - header;
      if (i.vlan != 0) {
        uint8_t* front = prepend(p, sizeof(net::VlanTag));
        if (front == nullptr) return drop(p, DropReason::no_buffer);
        std::memmove(front, front + sizeof(net::VlanTag), 12);
        const net::Be16 tag[2] = {net::Be16(net::kEtherVlan), net::Be16(i.vlan)};
        std::memcpy(front + 12, tag, sizeof tag);
      }
      w_.counters_.injected.add();
      sent_[mark.interface].add(packet);
      settle(p);
      w_.outbox_.push(mark.interface, m);
      return;
    }
  }
}

[[gnu::always_inline]] inline void Pipeline::from_inside_ipv4(Packet& p) {
  p.carriage = Carriage::nat44;
  if (Refusal r = parse_ipv4(p, p.data, p.length)) [[unlikely]]
    return refuse_from_inside(p, *r, kNativeContext);
  const net::Ipv4Address to = p.ip4->destination;
  if (is_multicast(to) || (t_.maybe_local(to) && t_.is_own(to))) [[unlikely]]
    return punt(p, is_multicast(to));
  if (t_.passes_through && pass_from_inside(p)) [[unlikely]]
    return;
  const Source source{{}, p.ip4->source, kNativeContext};
  if (p.ip4->is_fragment()) [[unlikely]]
    return gather_from_inside(p, DatagramKey::ipv4(*p.ip4), source, fragment_of(p));
  to_lane<Carriage::nat44>(p, p.ip4->protocol, source, to);
}

[[gnu::always_inline]] inline void Pipeline::from_inside_ipv6(Packet& p) {
  if (Refusal r = parse_ipv6(p)) [[unlikely]]
    return drop(p, *r);
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

inline void Pipeline::open_softwire(Packet& p, Context context) {
  Upper upper;
  if (Refusal r = find_upper(p, &upper)) [[unlikely]]
    return drop(p, *r);
  p.carriage = Carriage::ds_lite;
  if (upper.fragment != nullptr && !upper.fragment->atomic()) [[unlikely]] {
    if (was_joined(p)) return drop(p, DropReason::malformed_ipv6);
    // A large ping to the AFTR address is the kernel's, see below.
    if (upper.protocol == net::kIpIcmpv6 && t_.is_own(p.ip6->destination)) return punt(p, false);
    // RFC 6333 §6.3: the AFTR reassembles before it decapsulates.
    const DatagramKey key = DatagramKey::ipv6(*p.ip6, upper.fragment->id.value(), context);
    return gather_from_inside(p, key, {net::Ipv6Words(p.ip6->source), {}, context}, fragment_of(p, upper));
  }
  if (upper.protocol != net::kIpIpv4) [[unlikely]] {
    if (upper.protocol == net::kIpIcmpv6 && is_icmp6_error(p, upper.offset))
      return icmp_error_about_softwire(p, context, upper.offset);
    // Ping to the AFTR address is the kernel's, where that address is one of the interface's.
    if (t_.is_own(p.ip6->destination)) return punt(p, is_neighbour_discovery(*p.ip6));
    return drop(p, DropReason::softwire_next_header);
  }
  if (Refusal r = parse_ipv4(p, p.data + upper.offset, p.length - upper.offset)) [[unlikely]]
    return refuse_from_inside(p, *r, context);
  // RFC 6040 §4.2: a congestion mark that the inner packet's transport would not understand means loss.
  const bool congested = net::ecn_of(p.ip6->traffic_class()) == net::kCongestion;
  if (congested && net::ecn_of(p.ip4->tos) == net::kNotEct) [[unlikely]]
    return drop(p, DropReason::ecn_congestion);
  const Source source{net::Ipv6Words(p.ip6->source), p.ip4->source, context};
  if (p.ip4->is_fragment()) [[unlikely]]
    return gather_from_inside(p, DatagramKey::softwire_inner(*p.ip6, *p.ip4, context), source,
                              fragment_of(p));
  to_lane<Carriage::ds_lite>(p, p.ip4->protocol, source, p.ip4->destination);
}

inline void Pipeline::open_nat64(Packet& p, Context context) {
  p.carriage = Carriage::nat64;
  Upper upper;
  if (Refusal r = find_upper(p, &upper)) [[unlikely]]
    return refuse_from_inside(p, *r, context, upper.offset);
  const ContextView& prefix = t_.contexts[context];
  const net::Ipv4Address remote = net::extract(p.ip6->destination, prefix.length);
  // RFC 6052 §3.1: the well-known prefix stands for global addresses only.
  if (prefix.well_known && !net::is_global(remote) && !net::is_martian(remote)) [[unlikely]]
    return refuse_from_inside(p, DropReason::martian, context);
  const Source source{net::Ipv6Words(p.ip6->source), {}, context};
  if (upper.fragment != nullptr) [[unlikely]] {
    const uint32_t id = upper.fragment->id.value();
    if (was_joined(p)) return drop(p, DropReason::malformed_ipv6);
    if (!upper.fragment->atomic())
      return gather_from_inside(p, DatagramKey::ipv6(*p.ip6, id, context), source, fragment_of(p, upper));
    // RFC 7915 §5.1.1: its sender is content to be cut.
    p.cut = static_cast<uint16_t>(std::min<uint32_t>(p.length, kAnySize));
  }
  p.l4 = p.data + upper.offset;
  p.l4_length = static_cast<uint16_t>(p.length - upper.offset);
  to_lane<Carriage::nat64>(p, upper.protocol, source, remote);
}

template <Carriage kCarriage>
inline void Pipeline::to_lane(Packet& p, uint8_t protocol, const Source& source, net::Ipv4Address remote) {
  p.remote.address = remote;
  if (net::is_martian(remote)) [[unlikely]]
    return drop(p, DropReason::martian);
  DropReason why;
  Ports ports;
  switch (parse_transport<true>(p, protocol, &ports, &why)) {
    case Transport::refused:
      return refuse_from_inside(p, why, source.context);
    case Transport::icmp_error:
      p.internal.set_host(source.ipv6, source.ipv4, source.context);
      return icmp_error_from_inside(p);
    case Transport::flow:
      break;
  }
  if constexpr (kCarriage == Carriage::nat64) {
    if (ports.protocol == Protocol::udp && p.udp()->checksum.raw() == 0) [[unlikely]]
      return drop(p, DropReason::udp_zero_checksum);
  }
  const MappingTable& table = w_.binding_.mappings();
  const uint64_t last = InternalKey::tail(source.ipv4, ports.ours, ports.protocol, source.context);
  p.hash = net::hash(table.hash_key(), source.ipv6.first, source.ipv6.second, last);
  table.outbound().prefetch(p.hash);
  p.internal.set(source.ipv6, last);
  p.remote.port = ports.theirs;
  join(outbound_[static_cast<size_t>(kCarriage)]);
}

[[gnu::always_inline]] inline void Pipeline::from_outside_ipv4(Packet& p) {
  if (Refusal r = parse_ipv4(p, p.data, p.length)) [[unlikely]]
    return refuse_from_outside(p, *r);
  if (t_.passes_through && pass_from_outside(p)) [[unlikely]]
    return;
  const net::Ipv4Address to = p.ip4->destination;
  if (!t_.maybe_local(to)) [[unlikely]]
    return is_multicast(to) ? punt(p, true) : drop(p, DropReason::not_for_us);
  p.remote.address = p.ip4->source;
  if (net::is_martian(p.remote.address)) [[unlikely]]
    return t_.is_own(to) ? punt(p, false) : drop(p, DropReason::martian);
  if (p.ip4->is_fragment()) [[unlikely]]
    return gather_from_outside(p);
  DropReason why;
  Ports ports;
  const Transport kind = parse_transport<false>(p, p.ip4->protocol, &ports, &why);
  p.external.address = to;
  if (kind != Transport::flow) [[unlikely]] {
    if (t_.is_own(to)) return punt(p, false);
    return kind == Transport::icmp_error ? icmp_error_from_outside(p) : refuse_from_outside(p, why);
  }
  const MappingTable& table = w_.binding_.mappings();
  p.hash = ExternalKey{to, ports.ours, ports.protocol}.hash(table.hash_key());
  table.inbound().prefetch(p.hash);
  p.external.port = ports.ours;
  p.external.protocol = ports.protocol;
  p.remote.port = ports.theirs;
  join(inbound_);
}

// What nearly all packets take is one function: their Packet stays in registers.
[[gnu::always_inline]] inline void Pipeline::take_ip(Packet& p, net::Be16 ether_type,
                                                     const InterfaceView& interface, bool ours) {
  if (!ours && !is(ether_type, net::kEtherArp) && !is_group_packet(p, ether_type)) [[unlikely]]
    return drop(p, DropReason::not_our_mac);
  if (is(ether_type, net::kEtherIpv4)) {
    bool inside = interface.role == config::Role::inside;
    if (interface.role == config::Role::both) {
      if (p.length < sizeof(net::Ipv4Header)) return drop(p, DropReason::truncated);
      const auto* ip = reinterpret_cast<const net::Ipv4Header*>(p.data);
      inside = t_.subscribers_nat44.find(ip->source) != nullptr;
    }
    return inside ? from_inside_ipv4(p) : from_outside_ipv4(p);
  }
  if (is(ether_type, net::kEtherIpv6)) return from_inside_ipv6(p);
  if (is(ether_type, net::kEtherArp)) return punt(p, true);
  drop(p, DropReason::unknown_ethertype);
}

void Pipeline::from_inside(Packet& p) { p.data[0] >> 4 == 6 ? from_inside_ipv6(p) : from_inside_ipv4(p); }

void Pipeline::from_outside(Packet& p) { from_outside_ipv4(p); }

}  // namespace culvert::dataplane
