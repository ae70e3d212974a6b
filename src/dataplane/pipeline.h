/// One burst's way through a worker. A Pipeline lives on the stack for one call of Worker::receive() or
/// poll(); it collects packets in lanes of one kind each, runs every lane through its stages together and
/// leaves nothing behind.
///
/// Stages of a lane; each goes over all its packets before the next begins:
///   1. hash the key, prefetch the index bucket          (done as the packet is put into the lane)
///   2. compare tags, prefetch the record; those in alternate buckets in a pass of their own
///   3. verify the key; what no mapping here has takes the slow path (admit.cpp) and may join again
///   4. move the state, rewrite, send
///
/// What all packets of a burst have in common is found out once: the interfaces of their port, the Ethernet
/// header of each way out, sums for the counters.
#pragma once

#include <array>

#include "dataplane/carriage/mss.h"
#include "dataplane/fragments/cut.h"
#include "dataplane/icmp_message.h"
#include "dataplane/worker.h"

namespace culvert::dataplane {

class Pipeline {
 public:
  Pipeline(Worker& worker, const Tables& tables, Millis now) : w_(worker), t_(tables), now_(now) {}

  /// Takes Ethernet frames from a port. All packets taken before run() are kBurst at most.
  void take_frames(rte_mbuf** frames, unsigned count, uint16_t port);
  /// An mbuf from a ring, with its Mark.
  void take_marked(rte_mbuf* m);
  /// The held SYN whose turn it is is answered, or forgotten if its connection was opened meanwhile.
  void answer_held_syn();
  /// Runs the lanes, once.
  void run();

 private:
  /// Packets of one kind, in packets_.
  struct Lane {
    unsigned count = 0;
    std::array<Packet*, kBurst> member;
  };
  /// A sum for a pair of counters, while the burst lasts.
  struct Sums {
    uint64_t packets = 0, bytes = 0;
    void add(unsigned length) {
      packets++;
      bytes += length;
    }
    void add(const Sums& o) {
      packets += o.packets;
      bytes += o.bytes;
    }
    void add_to(Flow& flow) const {
      if (packets == 0) return;
      flow.packets.add(packets);
      flow.bytes.add(bytes);
    }
  };
  /// A way out: an interface and a family.
  struct Exit {
    bool known = false;  ///< the rest was found out
    uint8_t interface = 0;
    uint8_t size = 0;  ///< bytes of Ethernet header; 0: there is no way, for this reason
    DropReason fault = DropReason::no_next_hop;
    std::array<uint8_t, 24> header;  ///< Ethernet header, with VLAN tag where there is one
  };

  // classify.cpp: what kind of packet is it?
  void take_frame(rte_mbuf* m, uint16_t port);
  void take_ip(Packet& p, net::Be16 ether_type, const InterfaceView& interface, bool ours);
  void from_inside_ipv4(Packet& p);
  void from_inside_ipv6(Packet& p);
  void from_outside_ipv4(Packet& p);
  /// Parses the packet inside a softwire; the outer header stays until decapsulate() in the last stage, since
  /// handing over and answering errors need it.
  void open_softwire(Packet& p, Context context);
  /// Whether a packet is a datagram that came in fragments.
  bool was_joined(const Packet& p) const { return p.m->pool == w_.fabric_.datagrams.get(); }
  void open_nat64(Packet& p, Context context);
  /// The same for packets that come again: from a ring, from reassembly, turned back.
  void from_inside(Packet& p);
  void from_outside(Packet& p);
  /// The internal key but for its transport part.
  struct Source {
    net::Ipv6Words ipv6;
    net::Ipv4Address ipv4;
    Context context;
  };
  /// Parses the transport part and puts the packet into its lane.
  template <Carriage kCarriage>
  void to_lane(Packet& p, uint8_t protocol, const Source& source, net::Ipv4Address remote);
  const InterfaceView* interface_of(uint16_t port, uint16_t vlan) const;

  // gather.cpp: fragments become datagrams (fragments/reassembly.h), which begin at from_inside() or
  // from_outside() again. Whatever came of it, the fragment is no longer the caller's.
  /// An IPv4 fragment for a pool address.
  void gather_from_outside(Packet& p);
  /// A fragment from inside, of p.carriage: `source` is its subscriber's.
  void gather_from_inside(Packet& p, const DatagramKey& key, const Source& source, const Fragment& fragment);
  /// Hands a fragment to reassembly, and goes on with the datagram if that is whole now.
  void gather(Packet& p, Reassembly& waiting, const DatagramKey& key, uint64_t owner,
              const Fragment& fragment, uint32_t timeout);
  Reassembly::Whole hold_copies(Packet& p, Reassembly& waiting, const DatagramKey& key, uint64_t owner,
                                const Fragment& fragment, uint32_t timeout);
  void drop_all(rte_mbuf* first, DropReason reason);
  /// A datagram's bytes in one buffer; null when it was dropped. Takes its fragments.
  rte_mbuf* join_up(const Reassembly::Whole& whole, DatagramKey::Kind kind);
  /// Room for the next packet of the burst. It is in no lane yet.
  Packet& next_packet(rte_mbuf* m, unsigned l2, uint8_t interface) {
    return *new (&packets_[taken_]) Packet(m, l2, interface);
  }
  void join(Lane& lane) { lane.member[lane.count++] = &packets_[taken_++]; }

  // pass_through.cpp: packets that nat-pass-through leaves untranslated.
  /// Whether a parsed packet is one of those; then it is no longer the caller's.
  bool pass_from_inside(Packet& p);
  bool pass_from_outside(Packet& p);
  void pass_on(Packet& p, uint8_t interface, unsigned mtu);

  // pipeline.cpp: the stages.
  /// Stage 2: finds each packet's candidate and prefetches its record. Packets that have none leave the lane
  /// for `missed(packet)`. Those of one mapping stay in order.
  template <typename Missed>
  void find_candidates(Lane& lane, const TaggedIndex& index, Missed&& missed);
  template <Carriage kCarriage>
  void outbound();
  void inbound();
  void hairpin();
  /// Whether the IPv4 form of an outbound packet fits the outside MTU, if need be in pieces; if not, its
  /// sender is told.
  bool fits_outside(Packet& p);
  /// Whether a packet too big for the way ahead may go on in pieces, and marks it so. `limit`: bytes of it
  /// that pass in one piece; if not, its sender is told.
  bool may_be_cut(Packet& p, unsigned limit);
  /// Lowers the maximum segment size in a SYN, where that is configured.
  void clamp_mss(Packet& p, const Mapping& m) const {
    const uint16_t limit = t_.instances[m.instance].mss_clamping;
    if (limit != 0 && m.internal.protocol == Protocol::tcp && (p.tcp_flags & net::TcpHeader::kSyn) != 0)
        [[unlikely]]
      carriage::clamp_mss(*p.tcp(), limit);
  }
  /// Rewrites an inbound packet for the carriage of its mapping, whose instance is `policy`, counts it in
  /// `sent` and sends it.
  void deliver_inside(Packet& p, const Mapping& m, const InstanceView& policy, Sums& sent);
  /// The last of it for a packet into a softwire that has Packet::cut.
  void deliver_pieces(Packet& p, const Mapping& m, Sums& sent);
  /// Sends a translated packet, or keeps it for run() to bring back in when a pool of ours is its
  /// destination.
  void deliver_outside(Packet& p) { deliver_outside(p, exit_of(t_.outside, false), sent_[t_.outside]); }
  void deliver_outside(Packet& p, const Exit& exit, Sums& sent);
  /// Keeps an IPv4 packet for hairpin().
  void turn_back(Packet& p) {
    settle(p);
    Mark{.cut = p.cut}.put(p.m);
    hairpin_[hairpins_++] = p.m;
  }

  // admit.cpp: packets whose endpoint no mapping here has.
  /// From inside, of one lane: hands them over, makes mappings, or drops them. Those that have a mapping now
  /// join the lane.
  void admit(Packet** unknown, unsigned count, Lane& lane);
  MappingId make_mapping(Packet& p, const StatefulBinding::Newcomer& newcomer);
  /// Tells the sender, and the record, that his mapping's packet is not served.
  void refuse(Packet& p, DropReason why);
  /// Keeps a packet of this subscriber until his block's record is on the disk (waiting_packets.h).
  void wait_for_record(Packet& p, uint64_t who);
  /// From outside: another worker's address, or nobody's port.
  void miss_inbound(Packet& p);
  /// From outside, and refused by its mapping's filtering-type.
  void drop_filtered(Packet& p) {
    hold_if_syn(p);
    drop(p, DropReason::filtered);
  }
  /// A packet from outside that is not let in: if it is a SYN to an address of ours, its sender may be told
  /// later (held_syn.h).
  void hold_if_syn(const Packet& p);
  void answer_syn(const HeldSyn& syn);
  /// Whose an external endpoint is; kNoWorker when it is in no pool.
  WorkerId owner_of(const ExternalKey& external);

  // icmp_errors_in.cpp, icmp_errors_out.cpp: errors about translated packets.
  void icmp_error_from_inside(Packet& p);
  void icmp_error_from_outside(Packet& p);
  void icmp_error_ipv4_in(Packet& p, const Mapping& m, const Quoted& quoted);
  void icmp_error_nat64_in(Packet& p, const Mapping& m, const Quoted& quoted);
  void icmp_error_nat64_out(Packet& p, const Mapping& m, const Quoted& quoted);
  /// `at`: where the ICMPv6 header is.
  void icmp_error_about_softwire(Packet& p, Context context, unsigned at);

  // icmp_answer.cpp: errors the box itself makes.
  /// Tells the sender of a packet from either side that it was not forwarded; type and code are ICMPv4's and
  /// are translated for IPv6 senders; a softwire's host is told by ICMPv4 inside its softwire. `mtu`: what
  /// its sender may send, in bytes of his packet; of an IPv6 sender's parameter problem, where that is.
  /// Rate-limited (RFC 1812 §4.3.2.8). The packet is only read.
  /// `refused`: nobody asked for the packet (IcmpBudget::Purse).
  void answer_error(const Packet& p, uint8_t type, uint8_t code, uint32_t mtu = 0, bool refused = false);
  /// The same for an IPv6 sender.
  void answer_error_ipv6(const Packet& p, uint8_t type, uint8_t code, uint32_t word);
  /// Drops a packet that cannot be translated. Who sent it is told, where that is of use to him (RFC 7915
  /// §4.4, §5.4): a subscriber, and outside whoever sent to a pool. `pointer`: ipv6_routing_header, where in
  /// the packet.
  void refuse_from_inside(Packet& p, DropReason why, Context context, unsigned pointer = 0);
  void refuse_from_outside(Packet& p, DropReason why);

  /// Writes an ICMPv4 error of the box's own into a fresh packet (icmp_message.h).
  void write_error(Packet& out, const Icmp4Error& error, const void* quoted, unsigned size) {
    const net::Be16 id = w_.identifications_.next(error.source, error.destination);
    write_icmp4_error(out, error, id, quoted, size);
  }

  // send.cpp: out of the worker.
  /// Sends an IP packet out of an interface, or drops it.
  void send(uint8_t interface, Packet& p, bool ipv6);
  /// The same for who knows the exit and counts what is sent himself.
  void transmit(const Exit& exit, Packet& p, Sums& sent);
  /// The same for a packet that has Packet::cut: copies of its pieces leave.
  void transmit_pieces(const Exit& exit, Packet& p, Sums& sent);
  /// Buffers for the pieces of a packet. False, and the packet is dropped, when there are not enough.
  bool take_buffers(Packet& p, const CutPlan& plan, rte_mbuf** pieces);
  const Exit& exit_of(uint8_t interface, bool ipv6) {
    Exit& exit = exits_[2u * interface + (ipv6 ? 1 : 0)];
    if (!exit.known) find_exit(exit, interface, ipv6);
    return exit;
  }
  void find_exit(Exit& exit, uint8_t interface, bool ipv6) const;
  /// Gives a packet for the box itself to the kernel. `link_local`: it concerns the link only, like ND.
  void punt(Packet& p, bool link_local);
  /// Gives a packet to another worker; it leaves with the others of its burst.
  void hand_over(Packet& p, WorkerId to, Form form);
  void hand_over_all();
  void drop(rte_mbuf* m, DropReason reason) {
    w_.counters_.drop(reason);
    unfence(m);
    dropped_[drops_++] = m;
    if (drops_ == dropped_.size()) free_dropped();
  }
  void drop(Packet& p, DropReason reason) { drop(p.m, reason); }
  void free_dropped();
  /// What subscriber-match says of the source; nullopt: no subscriber.
  std::optional<SubscriberRule> rule_for(const Packet& p) const;

  Worker& w_;
  const Tables& t_;
  const Millis now_;
  const InterfaceView* usual_ = nullptr;  ///< an interface of the port whose frames are taken
  Sums* usual_received_ = nullptr;        ///< in received_
  const Pool* usual_pool_ = nullptr;      ///< whose owner was asked for last
  unsigned taken_ = 0, hairpins_ = 0, leavers_ = 0, drops_ = 0;
  std::array<Lane, kCarriageCount> outbound_;
  Lane inbound_;
  std::array<Exit, 2 * kMaxInterfaces> exits_;  ///< 2 × interface + (IPv6 ? 1 : 0)
  std::array<Sums, kMaxInterfaces> received_, sent_;
  union {  // written before they are read; clearing them would cost every burst
    std::array<Packet, kBurst> packets_;
  };
  std::array<rte_mbuf*, kBurst> hairpin_;  ///< translated outbound, addressed to one of our pools
  std::array<rte_mbuf*, kBurst> leaving_;  ///< for other workers
  std::array<WorkerId, kBurst> leaving_to_;
  std::array<rte_mbuf*, kBurst> dropped_;  ///< to be freed together
};

[[gnu::always_inline]] inline void Pipeline::transmit(const Exit& exit, Packet& p, Sums& sent) {
  if (p.cut != 0) [[unlikely]]
    return transmit_pieces(exit, p, sent);
  const unsigned size = exit.size;
  rte_mbuf* m = p.m;
  const auto room = static_cast<unsigned>(p.data - static_cast<uint8_t*>(m->buf_addr));
  if (size == 0 || room < size) [[unlikely]]
    return drop(p, size == 0 ? exit.fault : DropReason::no_buffer);
  sent.add(p.length);
  p.data -= size;
  p.length += size;
  settle(p);
  std::memcpy(p.data, exit.header.data(), sizeof(net::EthernetHeader));
  if (size != sizeof(net::EthernetHeader))
    std::memcpy(p.data + sizeof(net::EthernetHeader), &exit.header[sizeof(net::EthernetHeader)],
                sizeof(net::VlanTag));
  w_.outbox_.push(exit.interface, m);
}

[[gnu::always_inline]] inline void Pipeline::deliver_outside(Packet& p, const Exit& exit, Sums& sent) {
  const net::Ipv4Address to = p.remote.address;
  if (t_.maybe_local(to) && t_.pool_of(to) != nullptr) [[unlikely]] {
    w_.counters_.hairpinned.add();
    return turn_back(p);
  }
  transmit(exit, p, sent);
}

}  // namespace culvert::dataplane
