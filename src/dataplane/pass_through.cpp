/// Packets that are only routed: between subscribers and what their instance's nat-pass-through names. They
/// need no state, so any worker forwards them; only what comes in fragments, and whose ports matter, meets at
/// its subscriber's.
#include "dataplane/pass_through.h"

#include "dataplane/carriage/rewrite.h"
#include "dataplane/pipeline.h"

namespace culvert::dataplane {
namespace {

/// The other end of a packet, as entries name it; of an error, that of the packet that it is about.
struct Remote {
  net::Ipv4Address address;
  std::optional<uint16_t> port;
  bool of_error = false;
};

template <bool kFromInside>
Remote remote_of(Packet& p) {
  Remote remote{kFromInside ? p.ip4->destination : p.ip4->source, {}};
  if (p.ip4->is_fragment()) return remote;
  DropReason why;
  Ports ports;
  const Transport kind = parse_transport<kFromInside>(p, p.ip4->protocol, &ports, &why);
  if (kind == Transport::flow && ports.protocol != Protocol::icmp) remote.port = ports.theirs.value();
  Quoted about;
  if (kind != Transport::icmp_error) return remote;
  remote.of_error = true;
  if (find_quoted(p, &about)) return remote;
  // Routers on the way speak for the remote end, and of nobody but whom they write to.
  const net::Ipv4Address ours = kFromInside ? about.ip4->destination : about.ip4->source;
  if (ours != (kFromInside ? p.ip4->source : p.ip4->destination)) return remote;
  remote.address = kFromInside ? about.ip4->source : about.ip4->destination;
  if (about.protocol != Protocol::icmp)
    remote.port = (kFromInside ? about.source() : about.destination()).value();
  return remote;
}

}  // namespace

bool Pipeline::pass_from_inside(Packet& p) {
  const SubscriberRule* rule = t_.rule_for(p.ip4->source);
  if (rule == nullptr) return false;
  const PassThrough& list = t_.instances[rule->instance].pass_through;
  if (list.empty()) return false;
  const Remote remote = remote_of<true>(p);
  const unsigned mtu = t_.interfaces[t_.outside].mtu;
  const net::Ipv4Address to = p.ip4->destination;
  if (t_.maybe_local(to) && t_.pool_of(to) != nullptr) return false;  // another subscriber's: hairpinned
  if (!list.matches(remote.address, remote.port) || must_be_whole(p, mtu)) return false;
  pass_on(p, t_.outside, mtu, remote.of_error);
  return true;
}

bool Pipeline::pass_from_outside(Packet& p) {
  const net::Ipv4Address to = p.ip4->destination;
  const SubscriberRule* rule = t_.rule_for(to);
  if (rule == nullptr || net::is_martian(p.ip4->source)) return false;
  const InstanceView& policy = t_.instances[rule->instance];
  if (policy.pass_through.empty()) return false;
  const Remote remote = remote_of<false>(p);
  const bool matches = policy.pass_through.matches(remote.address, remote.port);
  if (p.ip4->is_fragment() &&
      (matches ? must_be_whole(p, policy.inbound_mtu) : policy.pass_through.needs_ports())) {
    const WorkerId owner = t_.steering.worker_of(SubscriberKey::ipv4(to, rule->mask, rule->instance));
    if (owner != w_.self_) {
      hand_over(p, owner, Form::from_outside);
    } else {
      const uint64_t share = net::hash(w_.binding_.mappings().hash_key(), to.value());
      gather(p, w_.outside_fragments_, DatagramKey::ipv4(*p.ip4), share, fragment_of(p), policy.fragment_min);
    }
    return true;
  }
  if (!matches) return false;
  pass_on(p, t_.inside, policy.inbound_mtu, remote.of_error);
  return true;
}

bool Pipeline::must_be_whole(const Packet& p, unsigned mtu) const {
  return p.ip4->is_fragment() && p.ip4->total_length.value() > mtu;
}

void Pipeline::pass_on(Packet& p, uint8_t interface, unsigned mtu, bool is_error) {
  const bool silent = is_error || p.ip4->offset() != 0;  // RFC 1812 §4.3.2.7
  if (p.ip4->ttl <= 1) {
    if (!silent) answer_error(p, net::kIcmpTimeExceeded, 0);
    return drop(p, DropReason::ttl_expired);
  }
  if (p.ip4->total_length.value() > mtu && ((is_error && p.ip4->dont_fragment()) || !may_be_cut(p, mtu)))
    return drop(p, DropReason::too_big);
  carriage::take_hop(*p.ip4, 0);
  w_.counters_.passed_through.add();
  send(interface, p, false);
}

}  // namespace culvert::dataplane
