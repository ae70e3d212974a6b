#include "dataplane/pipeline.h"

namespace culvert::dataplane {

void Pipeline::find_exit(Exit& exit, uint8_t interface, bool ipv6) const {
  exit.known = true;
  exit.interface = interface;
  const InterfaceView& i = t_.interfaces[interface];
  const NextHopCell* next_hop = ipv6 ? i.next_hop_ipv6 : i.next_hop_ipv4;
  if (next_hop == nullptr) return;
  const uint64_t mac = next_hop->mac.load(std::memory_order_relaxed);
  exit.fault = DropReason::next_hop_unresolved;
  if (mac == 0) return;
  uint8_t* h = exit.header.data();
  std::memcpy(h, &mac, 6);
  std::memcpy(h + 6, i.mac.bytes.data(), 6);
  exit.size = 12;
  if (i.vlan != 0) {
    const net::Be16 tag[2] = {net::Be16(net::kEtherVlan), net::Be16(i.vlan)};
    std::memcpy(h + 12, tag, sizeof tag);
    exit.size += sizeof tag;
  }
  const net::Be16 type(ipv6 ? net::kEtherIpv6 : net::kEtherIpv4);
  std::memcpy(h + exit.size, &type, sizeof type);
  exit.size += sizeof type;
}

/// Gives the frame to the kernel as it came, without its VLAN tag. Half of the ring is kept for ARP and what
/// is link-local or multicast: a flood to our addresses must not cost us our neighbours.
void Pipeline::punt(Packet& p, bool link_local) {
  // Without Ethernet it is nothing the kernel could take.
  uint8_t* frame = p.l2_length == 0 ? nullptr : prepend(p, p.l2_length);
  if (frame == nullptr) return drop(p, DropReason::not_for_us);
  if (p.l2_length > sizeof(net::EthernetHeader)) {
    std::memmove(frame + sizeof(net::VlanTag), frame, 12);
    strip(p, sizeof(net::VlanTag));
  }
  Mark mark;
  mark.interface = p.interface;
  mark.form = Form::frame;
  mark.put(p.m);
  settle(p);
  rte_ring* ring = w_.fabric_.to_kernel;
  const bool room = link_local || rte_ring_count(ring) < rte_ring_get_capacity(ring) / 2;
  if (!room || rte_ring_enqueue(ring, p.m) != 0) return drop(p, DropReason::punt_full);
  w_.counters_.punted.add();
}

bool Pipeline::take_buffers(Packet& p, const CutPlan& plan, rte_mbuf** pieces) {
  if (plan.pieces == 0 || plan.pieces > CutPlan::kMostPieces) {
    drop(p, DropReason::too_big);
    return false;
  }
  if (rte_pktmbuf_alloc_bulk(w_.fabric_.buffers, pieces, plan.pieces) != 0) {
    drop(p, DropReason::no_buffer);
    return false;
  }
  w_.counters_.fragments_cut.add(plan.pieces - 1);
  return true;
}

void Pipeline::send(uint8_t interface, Packet& p, bool ipv6) {
  transmit(exit_of(interface, ipv6), p, sent_[interface]);
}

void Pipeline::transmit_pieces(const Exit& exit, Packet& p, Sums& sent) {
  const auto* ip4 = reinterpret_cast<const net::Ipv4Header*>(p.data);
  const auto* ip6 = reinterpret_cast<const net::Ipv6Header*>(p.data);
  const bool ipv6 = p.data[0] >> 4 == 6;
  const unsigned limit = piece_limit(p.cut, t_.interfaces[exit.interface].mtu);
  const CutPlan plan = ipv6 ? plan_ipv6(*ip6, limit) : plan_ipv4(*ip4, limit);
  std::array<rte_mbuf*, CutPlan::kMostPieces> pieces;
  if (!take_buffers(p, plan, pieces.data())) return;
  // A softwire's packets are ours; what was translated keeps its sender's number (RFC 7915 §4.1).
  uint32_t id = 0;
  if (ipv6 && plan.pieces > 1) id = ip6->next_header == net::kIpIpv4 ? w_.next_softwire_id_++ : p.fragment_id;
  for (unsigned i = 0; i < plan.pieces; i++) {
    if (ipv6)
      write_piece(pieces[i], *ip6, plan, i, id);
    else
      write_piece(pieces[i], *ip4, plan, i);
    Packet piece(pieces[i]);
    transmit(exit, piece, sent);
  }
  free_packet(p.m);
}

void Pipeline::hand_over(Packet& p, WorkerId to, Form form) {
  // A datagram from inside became whole where it belongs; only a change of the tables makes that untrue.
  const bool lost = form == Form::from_inside && was_joined(p);
  if (p.handed_over || lost || to >= w_.fabric_.to_worker.size()) return drop(p, DropReason::handoff_loop);
  Mark mark;
  mark.interface = p.interface;
  mark.form = form;
  mark.handed_over = true;
  mark.cut = p.cut;
  mark.put(p.m);
  settle(p);
  leaving_[leavers_] = p.m;
  leaving_to_[leavers_++] = to;
}

/// One turn at a ring for all packets of the burst that go there: many workers write to it.
void Pipeline::hand_over_all() {
  while (leavers_ != 0) {
    const WorkerId to = leaving_to_[0];
    std::array<void*, kBurst> there;
    unsigned count = 0, rest = 0;
    for (unsigned i = 0; i < leavers_; i++) {
      if (leaving_to_[i] == to) {
        there[count++] = leaving_[i];
      } else {
        leaving_[rest] = leaving_[i];
        leaving_to_[rest++] = leaving_to_[i];
      }
    }
    leavers_ = rest;
    const unsigned taken = rte_ring_enqueue_burst(w_.fabric_.to_worker[to], there.data(), count, nullptr);
    w_.counters_.handed_over.add(taken);
    for (unsigned i = taken; i < count; i++) drop(static_cast<rte_mbuf*>(there[i]), DropReason::handoff_full);
  }
}

/// Nearly all are whole buffers of our own pool, which go back as they are: rte_pktmbuf_free_bulk() would
/// look at the second cache line of each.
void Pipeline::free_dropped() {
  rte_mempool* pool = w_.fabric_.buffers;
  unsigned whole = 0;
  for (unsigned i = 0; i < drops_; i++) {
    rte_mbuf* m = dropped_[i];
    if (m->pool == pool && m->nb_segs == 1 && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1) [[likely]]
      dropped_[whole++] = m;
    else
      rte_pktmbuf_free(m);
  }
  if (whole != 0) rte_mempool_put_bulk(pool, reinterpret_cast<void**>(dropped_.data()), whole);
  drops_ = 0;
}

}  // namespace culvert::dataplane
