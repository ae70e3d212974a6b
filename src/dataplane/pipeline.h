/// One burst's way through a worker. A Pipeline lives on the stack for one call of Worker::receive() or
/// poll(); it collects packets in lanes of one kind each, runs every lane through its stages together and
/// leaves nothing behind.
///
/// Stages of a lane; 1 and 2 each go over all its packets before the next begins, 3 and 4 are one pass:
///   1. hash the key, prefetch the index bucket          (done as the packet is put into the lane)
///   2. compare tags, prefetch the record
///   3. verify the key; what is missing takes the slow path
///   4. move the state, rewrite, send
#pragma once

#include <array>

#include "dataplane/parse.h"
#include "dataplane/worker.h"

namespace culvert::dataplane {

class Pipeline {
 public:
  Pipeline(Worker& worker, const Tables& tables, Millis now) : w_(worker), t_(tables), now_(now) {}

  /// An Ethernet frame from a port.
  void take_frame(rte_mbuf* m, uint16_t port);
  /// An mbuf from a ring, with its Mark.
  void take_marked(rte_mbuf* m);
  /// Runs the lanes. At most kBurst packets may have been taken since the last run.
  void run();

 private:
  /// Packets of one kind.
  struct Lane {
    Lane() {
    }  // NOLINT: the packets are written before they are read, and clearing them would cost every burst
    union {
      std::array<Packet, kBurst> packets;
    };
    unsigned count = 0;
  };

  // classify.cpp: what kind of packet is it?
  void take_ip(rte_mbuf* m, uint16_t ether_type, const InterfaceView& interface, bool ours);
  void from_inside_ipv4(Packet& p);
  void from_inside_ipv6(Packet& p);
  /// Parses the packet inside a softwire and begins its key; the outer header stays until decapsulate() in
  /// the last stage, since handing over and answering errors need it.
  void open_softwire(Packet& p, Context context);
  void open_nat64(Packet& p, Context context);
  void from_outside(Packet& p);
  /// The outbound key is complete but for the transport part: parses that and puts the packet into its lane.
  void to_lane(Packet& p, uint8_t protocol);
  const InterfaceView* interface_of(uint16_t port, uint16_t vlan) const;

  // pipeline.cpp: the stages.
  template <Carriage kCarriage>
  void outbound(Lane& lane);
  void inbound(Lane& lane);
  /// Nobody here knows the internal endpoint: hands the packet over, makes a mapping, or drops it.
  MappingId miss_outbound(Packet& p);
  /// Nobody here knows the external endpoint: another worker's address, or nobody's port.
  void miss_inbound(Packet& p);
  /// Whether the IPv4 form of an outbound packet, in bytes, fits the outside MTU; if not, its sender is told.
  bool fits_outside(const Packet& p);
  /// Looks at TTL and the inside MTU (the outer header counts), rewrites an inbound packet, wraps it for its
  /// carriage and sends it; otherwise tells its sender.
  void deliver_inside(Packet& p, const Mapping& m);
  /// Sends a translated packet, or keeps it for run() to bring back in when a pool of ours is its
  /// destination.
  void deliver_outside(Packet& p);

  // icmp_errors.cpp: errors about translated packets (RFC 5508 §4, RFC 7915 §4.2/5.2).
  void icmp_error_from_inside(Packet& p);
  void icmp_error_from_outside(Packet& p);
  void icmp_error_ipv4_in(Packet& p, const Mapping& m);
  void icmp_error_nat64_in(Packet& p, const Mapping& m);
  void icmp_error_nat64_out(Packet& p);

  // icmp_answer.cpp: errors the box itself makes.
  /// Tells the sender of a packet from either side that it was not forwarded; type and code are ICMPv4's and
  /// are translated for IPv6 senders; a softwire's host is told by ICMPv4 inside its softwire. `mtu`: what
  /// its sender may send, in bytes of his packet. Rate-limited (RFC 1812 §4.3.2.8). The packet is only read.
  void answer_error(const Packet& p, uint8_t type, uint8_t code, uint32_t mtu = 0);
  /// The same for an IPv6 sender; type and code are ICMPv6's.
  void answer_error_ipv6(const Packet& p, uint8_t type, uint8_t code, uint32_t mtu);

  // send.cpp: out of the worker.
  /// Sends an IP packet (mbuf data at its outermost header) out of an interface, or drops it.
  void send(uint8_t interface, rte_mbuf* m, bool ipv6);
  /// Gives a packet for the box itself to the kernel. `link_local`: it concerns the link only, like ND.
  void punt(Packet& p, bool link_local);
  void hand_over(Packet& p, WorkerId to, Form form);
  void drop(rte_mbuf* m, DropReason reason) {
    w_.counters_.drop(reason);
    free_packet(m);
  }
  void drop(Packet& p, DropReason reason) { drop(p.m, reason); }
  /// What subscriber-match says of the source; nullopt: no subscriber.
  std::optional<SubscriberRule> rule_for(const Packet& p) const;
  /// Whose the subscriber is, by the steering.
  WorkerId worker_for(const Packet& p, const SubscriberRule& rule) const;

  Worker& w_;
  const Tables& t_;
  const Millis now_;
  std::array<Lane, kCarriageCount> outbound_;
  Lane inbound_;
  std::array<rte_mbuf*, kBurst> hairpin_;  ///< translated outbound, addressed to one of our pools
  unsigned hairpins_ = 0;
};

}  // namespace culvert::dataplane
