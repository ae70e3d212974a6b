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
};

bool has_ports(uint8_t protocol) { return protocol == net::kIpTcp || protocol == net::kIpUdp; }

/// The packet that an error is about is one the other way. Its IPv4 header is enough where no port matters.
template <bool kFromInside>
std::optional<Remote> remote_of_error(const Packet& p) {
  const auto field = field_of(p);
  if (!field || field->size < sizeof(net::Ipv4Header)) return std::nullopt;
  const uint8_t* at = p.icmp()->payload();
  const auto& about = *reinterpret_cast<const net::Ipv4Header*>(at);
  const unsigned header = about.header_length();
  if (about.version_ihl >> 4 != 4 || header < sizeof about) return std::nullopt;
  // The other end's own packet is told to him; routers on the way speak of whoever's they write to.
  const bool right = kFromInside ? about.destination == p.ip4->source && about.source == p.ip4->destination
                                 : about.source == p.ip4->destination;
  if (!right) return std::nullopt;
  Remote remote{kFromInside ? about.source : about.destination, {}};
  if (has_ports(about.protocol) && about.offset() == 0 && field->size >= header + 4)
    remote.port = reinterpret_cast<const net::Be16*>(at + header)[kFromInside ? 0 : 1].value();
  return remote;
}

template <bool kFromInside>
std::optional<Remote> remote_of(Packet& p) {
  const bool whole = !p.ip4->is_fragment();
  if (whole && is_icmp_error(p) && p.l4_length >= sizeof(net::IcmpHeader))
    return remote_of_error<kFromInside>(p);
  Remote remote{kFromInside ? p.ip4->destination : p.ip4->source, {}};
  if (whole && has_ports(p.ip4->protocol) && p.l4_length >= 4)
    remote.port = reinterpret_cast<const net::Be16*>(p.l4)[kFromInside ? 1 : 0].value();
  return remote;
}

}  // namespace

bool Pipeline::pass_from_inside(Packet& p) {
  const SubscriberRule* rule = t_.rule_for(p.ip4->source);
  if (rule == nullptr) return false;
  const PassThrough& list = t_.instances[rule->instance].pass_through;
  if (list.empty()) return false;
  const net::Ipv4Address to = p.ip4->destination;
  // Another subscriber's: hairpinned.
  if (net::is_martian(to) || (t_.maybe_local(to) && t_.pool_of(to) != nullptr)) return false;
  const auto remote = remote_of<true>(p);
  // Fragments whose ports matter are joined as any, and come again.
  if (!remote || !list.matches(remote->address, remote->port)) return false;
  pass_on(p, t_.outside, t_.interfaces[t_.outside].mtu);
  return true;
}

bool Pipeline::pass_from_outside(Packet& p) {
  const net::Ipv4Address to = p.ip4->destination;
  const SubscriberRule* rule = t_.rule_for(to);
  if (rule == nullptr || net::is_martian(p.ip4->source) || t_.is_own(to)) return false;
  const InstanceView& policy = t_.instances[rule->instance];
  if (policy.pass_through.empty()) return false;
  const auto remote = remote_of<false>(p);
  if (!remote) return false;
  if (policy.pass_through.matches(remote->address, remote->port)) {
    pass_on(p, t_.inside, policy.inbound_mtu);
    return true;
  }
  if (!p.ip4->is_fragment() || !has_ports(p.ip4->protocol) ||
      !policy.pass_through.depends_on_port(remote->address))
    return false;
  const WorkerId owner = t_.steering.worker_of(SubscriberKey::ipv4(to, rule->mask, rule->instance));
  if (owner != w_.self_) {
    hand_over(p, owner, Form::from_outside);
    return true;
  }
  // Whoever sends these, all together have one share.
  const uint64_t share = net::hash(w_.binding_.mappings().hash_key(), rule->instance);
  gather(p, w_.outside_fragments_, DatagramKey::ipv4(*p.ip4), share, fragment_of(p), policy.fragment_min);
  return true;
}

void Pipeline::pass_on(Packet& p, uint8_t interface, unsigned mtu) {
  if (p.ip4->is_fragment() && fragment_of(p).is_malformed()) return drop(p, DropReason::fragment_malformed);
  const bool silent = p.ip4->offset() != 0 || is_icmp_error(p);  // RFC 1812 §4.3.2.7
  if (p.ip4->ttl <= 1) {
    if (!silent) answer_error(p, net::kIcmpTimeExceeded, 0);
    return drop(p, DropReason::ttl_expired);
  }
  const bool uncut = silent && p.ip4->dont_fragment();
  if (p.ip4->total_length.value() > mtu && (uncut || !may_be_cut(p, mtu)))
    return drop(p, DropReason::too_big);
  carriage::take_hop(*p.ip4, 0);
  w_.counters_.passed_through.add();
  send(interface, p, false);
}

}  // namespace culvert::dataplane
