/// Packets whose endpoint no mapping here has: whose are they, and may they have one?
#include "dataplane/pipeline.h"

namespace culvert::dataplane {

void Pipeline::admit(Packet** unknown, unsigned count, Lane& lane) {
  StatefulBinding& binding = w_.binding_;
  std::array<StatefulBinding::Newcomer, kBurst> newcomers;
  unsigned ours = 0;
  for (unsigned i = 0; i < count; i++) {
    Packet& p = *unknown[i];
    const auto rule = rule_for(p);
    if (!rule) {
      drop(p, DropReason::no_subscriber);
      continue;
    }
    const StatefulBinding::Newcomer n = binding.expect(t_, *rule, p.internal);
    const WorkerId owner = t_.steering.worker_of(n.who);
    if (owner != w_.self_) {
      hand_over(p, owner, Form::from_inside);
      continue;
    }
    unknown[ours] = &p;
    newcomers[ours++] = n;
  }
  for (unsigned i = 0; i < ours; i++) binding.mappings().prefetch_new(i);
  for (unsigned i = 0; i < ours; i++) binding.warm_subscriber(newcomers[i]);
  for (unsigned i = 0; i < ours; i++) binding.warm_block(t_, newcomers[i], unknown[i]->internal.protocol);
  for (unsigned i = 0; i < ours; i++) binding.warm_port(t_, newcomers[i], unknown[i]->internal);
  for (unsigned i = 0; i < ours; i++) {
    Packet& p = *unknown[i];
    // A packet before it in this burst may have made the mapping since.
    p.mapping = binding.mappings().find(p.internal, p.hash);
    if (p.mapping == kNoMapping) p.mapping = make_mapping(p, newcomers[i]);
    if (p.mapping != kNoMapping) lane.member[lane.count++] = &p;
  }
}

MappingId Pipeline::make_mapping(Packet& p, const StatefulBinding::Newcomer& newcomer) {
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
  auto outcome = w_.binding_.create(t_, newcomer, p.internal, now_);
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

void Pipeline::miss_inbound(Packet& p) {
  const Pool* pool = t_.pool_of(p.external.address);
  if (pool == nullptr)
    return t_.is_own(p.external.address) ? punt(p, false) : drop(p, DropReason::not_for_us);
  const WorkerId owner = pool->owner(p.external.address, p.external.port.value());
  if (owner != w_.self_) return hand_over(p, owner, p.hairpin ? Form::hairpin : Form::from_outside);
  drop(p, DropReason::no_mapping);
}

}  // namespace culvert::dataplane
