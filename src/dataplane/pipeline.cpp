#include "dataplane/pipeline.h"

#include "dataplane/carriage/rewrite.h"

namespace culvert::dataplane {
namespace {

/// Whether a dropped newcomer is told so (RFC 6888 REQ-11: resources and quotas).
bool is_refusal(DropReason r) {
  switch (r) {
    case DropReason::no_ports:
    case DropReason::no_blocks:
    case DropReason::log_full:
    case DropReason::mapping_table_full:
    case DropReason::session_table_full:
    case DropReason::subscriber_table_full:
    case DropReason::subscriber_ports:
    case DropReason::subscriber_mappings:
    case DropReason::subscriber_sessions:
    case DropReason::subscriber_rate:
    case DropReason::instance_mappings:
    case DropReason::draining:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Pipeline::run() {
  outbound<Carriage::nat44>(outbound_[0]);
  outbound<Carriage::ds_lite>(outbound_[1]);
  outbound<Carriage::nat64>(outbound_[2]);
  inbound(inbound_);
  // What hairpinned comes in from outside, once: its source is external now, so it can't come round again.
  const unsigned hairpins = hairpins_;
  hairpins_ = 0;
  for (unsigned i = 0; i < hairpins; i++) {
    Packet p;
    p.m = hairpin_[i];
    p.interface = t_.inside;
    p.hairpin = true;
    from_outside(p);
  }
  if (hairpins != 0) inbound(inbound_);
}

template <Carriage kCarriage>
void Pipeline::outbound(Lane& lane) {
  StatefulBinding& binding = w_.binding_;
  MappingTable& table = binding.mappings();
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = lane.packets[i];
    p.mapping = table.outbound().candidate(p.hash);
    table.prefetch_record(p.mapping);
  }
  Flow& flow = w_.counters_.outbound[static_cast<size_t>(kCarriage)];
  const unsigned mtu = t_.interfaces[t_.outside].mtu;
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = lane.packets[i];
    p.mapping = table.find(p.internal, p.hash);
    if (p.mapping == kNoMapping || !binding.alive(t_, p.mapping, now_)) [[unlikely]] {
      p.mapping = miss_outbound(p);
      if (p.mapping == kNoMapping) continue;
    }
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a lane's packets have their carriage's header
    if ((kCarriage == Carriage::nat64 ? p.ip6->hop_limit : p.ip4->ttl) <= 1) [[unlikely]] {
      // RFC 1812 §5.3.1, RFC 8200 §3. Only here: who is no subscriber gets no answers.
      answer_error(p, net::kIcmpTimeExceeded, 0);
      drop(p, DropReason::ttl_expired);
      continue;
    }
    if (p.l4_length + 60u > mtu && !fits_outside(p)) [[unlikely]] {
      drop(p, DropReason::too_big);
      continue;
    }
    auto verdict = binding.track<Direction::outbound>(t_, p.mapping, p.remote, p.tcp_flags, now_);
    if (const auto* why = std::get_if<DropReason>(&verdict)) [[unlikely]] {
      if (is_refusal(*why)) answer_error(p, net::kIcmpUnreachable, 1);
      drop(p, *why);
      continue;
    }
    flow.packets.add();
    flow.bytes.add(p.m->data_len);
    const Mapping& m = table[p.mapping];
    if constexpr (kCarriage == Carriage::nat64) {
      carriage::nat64_out(p, m, w_.next_id_++);
    } else {
      if constexpr (kCarriage == Carriage::ds_lite) carriage::decapsulate(p);
      carriage::ipv4_out(p, m);
    }
    deliver_outside(p);
  }
  lane.count = 0;
}

/// Whether the packet's IPv4 form fits the outside MTU; tells the sender what would (RFC 1191 §4, RFC 7915
/// §5).
bool Pipeline::fits_outside(const Packet& p) {
  const unsigned mtu = t_.interfaces[t_.outside].mtu;
  const bool nat64 = p.carriage == Carriage::nat64;
  const unsigned length = nat64 ? p.l4_length + 20u : p.ip4->total_length.value();
  if (length <= mtu) return true;
  if (nat64)
    answer_error(p, net::kIcmpUnreachable, 4, mtu + 20);
  else if ((p.ip4->fragment.value() & net::Ipv4Header::kDontFragment) != 0)
    answer_error(p, net::kIcmpUnreachable, 4, mtu);
  return false;
}

/// Slow path: nobody here knows the packet's internal endpoint. Returns its new mapping, or kNoMapping when
/// the packet is gone (handed over or dropped).
MappingId Pipeline::miss_outbound(Packet& p) {
  auto rule = rule_for(p);
  if (!rule) {
    drop(p, DropReason::no_subscriber);
    return kNoMapping;
  }
  const WorkerId owner = worker_for(p, *rule);
  if (owner != w_.self_) {
    hand_over(p, owner, Form::from_inside);
    return kNoMapping;
  }
  if ((p.ip4 != nullptr ? p.ip4->ttl : p.ip6->hop_limit) <= 1) {
    answer_error(p, net::kIcmpTimeExceeded, 0);
    drop(p, DropReason::ttl_expired);
    return kNoMapping;
  }
  const bool martian = p.ip4 != nullptr && net::is_martian(p.ip4->source);
  // A mapping begins with a SYN; anything else belongs to a session we do not know (RFC 6146 §3.5.2.2
  // CLOSED).
  constexpr uint8_t kOpening = net::TcpHeader::kSyn | net::TcpHeader::kRst;
  const bool opens = p.internal.protocol != Protocol::tcp || (p.tcp_flags & kOpening) == net::TcpHeader::kSyn;
  if (martian || !opens) {
    drop(p, martian ? DropReason::martian : DropReason::tcp_not_syn);
    return kNoMapping;
  }
  auto outcome = w_.binding_.create(t_, *rule, p.internal, now_);
  if (const auto* why = std::get_if<DropReason>(&outcome)) {
    answer_error(p, net::kIcmpUnreachable, 1);  // RFC 6888 REQ-11B: host unreachable
    drop(p, *why);
    return kNoMapping;
  }
  return std::get<MappingId>(outcome);
}

std::optional<SubscriberRule> Pipeline::rule_for(const Packet& p) const {
  const SubscriberRule* rule =
      p.carriage == Carriage::nat44 ? t_.rule_for(p.internal.ipv4) : t_.rule_for(p.carriage, p.internal.ipv6);
  if (rule == nullptr) return std::nullopt;
  // His instance must be the one that the address or prefix he sent to belongs to.
  if (p.internal.context != kNativeContext && !t_.instances[rule->instance].contexts[p.internal.context])
    return std::nullopt;
  return *rule;
}

WorkerId Pipeline::worker_for(const Packet& p, const SubscriberRule& rule) const {
  return t_.steering.worker_of(p.carriage == Carriage::nat44
                                   ? SubscriberKey::ipv4(p.internal.ipv4, rule.mask, rule.instance)
                                   : SubscriberKey::ipv6(p.internal.ipv6, rule.mask, rule.instance));
}

void Pipeline::deliver_outside(Packet& p) {
  const net::Ipv4Address to = p.remote.address;
  if (t_.maybe_local(to) && t_.pool_of(to) != nullptr) [[unlikely]] {
    w_.counters_.hairpinned.add();
    hairpin_[hairpins_++] = p.m;
    return;
  }
  send(t_.outside, p.m, false);
}

void Pipeline::inbound(Lane& lane) {
  StatefulBinding& binding = w_.binding_;
  MappingTable& table = binding.mappings();
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = lane.packets[i];
    p.mapping = table.inbound().candidate(p.hash);
    table.prefetch_record(p.mapping);
  }
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = lane.packets[i];
    p.mapping = table.find(p.external, p.hash);
    if (p.mapping == kNoMapping || !binding.alive(t_, p.mapping, now_)) [[unlikely]] {
      miss_inbound(p);
      continue;
    }
    if (p.ip4->ttl <= 1) [[unlikely]] {
      answer_error(p, net::kIcmpTimeExceeded, 0);
      drop(p, DropReason::ttl_expired);
      continue;
    }
    const Mapping& m = table[p.mapping];
    const unsigned mtu = t_.interfaces[t_.inside].mtu;
    const Carriage carriage = t_.instances[m.instance].carriage;
    constexpr unsigned kGrowth[] = {0, 40, 20};  // by carriage
    const unsigned growth = kGrowth[static_cast<size_t>(carriage)];
    if (p.m->data_len + growth > mtu) [[unlikely]] {
      // RFC 1191 §3: what fits through is said where fragmenting is forbidden.
      if ((p.ip4->fragment.value() & net::Ipv4Header::kDontFragment) != 0)
        answer_error(p, net::kIcmpUnreachable, 4, mtu - growth);
      drop(p, DropReason::too_big);
      continue;
    }
    auto verdict = binding.track<Direction::inbound>(t_, p.mapping, p.remote, p.tcp_flags, now_);
    if (const auto* why = std::get_if<DropReason>(&verdict)) [[unlikely]] {
      drop(p, *why);
      continue;
    }
    deliver_inside(p, m);
  }
  lane.count = 0;
}

void Pipeline::miss_inbound(Packet& p) {
  const Pool* pool = t_.pool_of(p.external.address);
  if (pool == nullptr) return drop(p, DropReason::not_for_us);
  const WorkerId owner = pool->owner(p.external.address, p.external.port.value());
  if (owner != w_.self_) return hand_over(p, owner, p.hairpin ? Form::hairpin : Form::from_outside);
  drop(p, DropReason::no_mapping);
}

void Pipeline::deliver_inside(Packet& p, const Mapping& m) {
  const Carriage carriage = t_.instances[m.instance].carriage;
  const ContextView& context = t_.contexts[m.internal.context];
  bool room = true;
  if (carriage == Carriage::nat64) {
    room = carriage::nat64_in(p, m, context);
  } else {
    carriage::ipv4_in(p, m);
    if (carriage == Carriage::ds_lite) room = carriage::encapsulate(p.m, context.address, m.internal.ipv6);
  }
  if (!room) return drop(p, DropReason::no_buffer);
  Flow& flow = w_.counters_.inbound[static_cast<size_t>(carriage)];
  flow.packets.add();
  flow.bytes.add(p.m->data_len);
  send(t_.inside, p.m, carriage != Carriage::nat44);
}

}  // namespace culvert::dataplane
