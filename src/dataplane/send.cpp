#include "dataplane/pipeline.h"

namespace culvert::dataplane {

void Pipeline::send(uint8_t interface, rte_mbuf* m, bool ipv6) {
  const InterfaceView& i = t_.interfaces[interface];
  const NextHopCell* next_hop = ipv6 ? i.next_hop_ipv6 : i.next_hop_ipv4;
  if (next_hop == nullptr) [[unlikely]]
    return drop(m, DropReason::no_next_hop);
  const uint64_t mac = next_hop->mac.load(std::memory_order_relaxed);
  if (mac == 0) [[unlikely]]
    return drop(m, DropReason::next_hop_unresolved);
  Flow& flow = w_.counters_.sent[interface];
  flow.packets.add();
  flow.bytes.add(m->data_len);
  const bool tagged = i.vlan != 0;
  uint8_t* frame = prepend(m, sizeof(net::EthernetHeader) + (tagged ? sizeof(net::VlanTag) : 0));
  if (frame == nullptr) [[unlikely]]
    return drop(m, DropReason::no_buffer);
  std::memcpy(frame, &mac, 6);
  std::memcpy(frame + 6, i.mac.bytes.data(), 6);
  const net::Be16 type(ipv6 ? net::kEtherIpv6 : net::kEtherIpv4);
  if (tagged) {
    const net::Be16 tag[3] = {net::Be16(net::kEtherVlan), net::Be16(i.vlan), type};
    std::memcpy(frame + 12, tag, sizeof tag);
  } else {
    std::memcpy(frame + 12, &type, sizeof type);
  }
  unfence(m);
  w_.outbox_.push(interface, m);
}

/// Gives the frame to the kernel as it came, without its VLAN tag. Half of the ring is kept for ARP and what
/// is link-local or multicast: a flood to our addresses must not cost us our neighbours.
void Pipeline::punt(Packet& p, bool link_local) {
  rte_mbuf* m = p.m;
  const unsigned l2 = m->l2_len;
  uint8_t* frame = l2 == 0 ? nullptr : prepend(m, l2);
  if (frame == nullptr)
    return drop(m, DropReason::not_for_us);  // came without Ethernet: nothing the kernel could take
  if (l2 > sizeof(net::EthernetHeader)) {
    std::memmove(frame + sizeof(net::VlanTag), frame, 12);
    strip(m, sizeof(net::VlanTag));
  }
  Mark mark;
  mark.interface = p.interface;
  mark.form = Form::frame;
  mark.put(m);
  unfence(m);
  rte_ring* ring = w_.fabric_.to_kernel;
  const bool room = link_local || rte_ring_count(ring) < rte_ring_get_capacity(ring) / 2;
  if (!room || rte_ring_enqueue(ring, m) != 0) return drop(m, DropReason::punt_full);
  w_.counters_.punted.add();
}

void Pipeline::hand_over(Packet& p, WorkerId to, Form form) {
  if (p.handed_over || to >= w_.fabric_.to_worker.size()) return drop(p, DropReason::handoff_loop);
  Mark mark;
  mark.interface = p.interface;
  mark.form = form;
  mark.handed_over = true;
  mark.put(p.m);
  unfence(p.m);
  if (rte_ring_enqueue(w_.fabric_.to_worker[to], p.m) != 0) return drop(p, DropReason::handoff_full);
  w_.counters_.handed_over.add();
}

}  // namespace culvert::dataplane
