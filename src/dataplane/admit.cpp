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
    const SubscriberKey who = rule->subscriber_of(p.carriage, p.internal);
    const WorkerId owner = t_.steering.worker_of(who);
    if (owner != w_.self_) {
      hand_over(p, owner, Form::from_inside);
      continue;
    }
    unknown[ours] = &p;
    newcomers[ours++] = binding.expect(who, rule->prefix_length(p.carriage));
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
    if (*why == DropReason::record_pending) {
      wait_for_record(p, newcomer.hash);
      return kNoMapping;
    }
    answer_error(p, net::kIcmpUnreachable, net::kHostUnreachable);  // RFC 6888 REQ-11B
    w_.binding_.record_refusal(t_, newcomer.who, newcomer.mask, *why, now_);
    drop(p, *why);
    return kNoMapping;
  }
  return std::get<MappingId>(outcome);
}

void Pipeline::refuse(Packet& p, DropReason why) {
  answer_error(p, net::kIcmpUnreachable, net::kHostUnreachable);
  const Subscriber& s = w_.binding_.subscribers()[w_.binding_.mappings()[p.mapping].subscriber];
  w_.binding_.record_refusal(t_, s.key, s.mask, why, now_);
}

void Pipeline::wait_for_record(Packet& p, uint64_t who) {
  if (!w_.waiting_.push(p.m, w_.binding_.blocks().log().pushed(), who))
    return drop(p, DropReason::record_pending);
  Mark mark;
  mark.interface = p.interface;
  mark.form = Form::from_inside;
  mark.handed_over = p.handed_over;
  mark.cut = p.cut;
  mark.put(p.m);
  settle(p);
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

WorkerId Pipeline::owner_of(const ExternalKey& external) {
  // A flood mostly stays in one pool.
  if (usual_pool_ == nullptr || usual_pool_->index_of(external.address) >= usual_pool_->addresses()) {
    usual_pool_ = t_.pool_of(external.address);
    if (usual_pool_ == nullptr) return kNoWorker;
  }
  return usual_pool_->owner(external.address, external.port.value());
}

void Pipeline::miss_inbound(Packet& p) {
  const WorkerId owner = owner_of(p.external);
  if (owner == w_.self_) [[likely]] {
    hold_if_syn(p);
    return drop(p, DropReason::no_mapping);
  }
  if (owner == kNoWorker)
    return t_.is_own(p.external.address) ? punt(p, false) : drop(p, DropReason::not_for_us);
  hand_over(p, owner, p.hairpin ? Form::hairpin : Form::from_outside);
}

/// RFC 5382 REQ-4.
void Pipeline::hold_if_syn(const Packet& p) {
  using Tcp = net::TcpHeader;
  if (p.external.protocol != Protocol::tcp ||
      (p.tcp_flags & (Tcp::kSyn | Tcp::kAck | Tcp::kRst | Tcp::kFin)) != Tcp::kSyn)
    return;
  if (owner_of(p.external) != w_.self_) return;
  const net::Ipv4Address source = p.remote.address;  // one of ours: hairpinned, or forged
  if (t_.is_local(source)) return;
  const config::PortAllocation& ports = usual_pool_->ports();
  const uint16_t port = p.external.port.value();
  if (port < ports.first_port || port > ports.last_port) return;
  const InstanceView& policy = t_.instances[usual_pool_->instance()];
  w_.held_syns_.hold(*p.ip4, p.interface, policy.tcp_in_syn, t_.icmp_error_rate, now_);
}

void Pipeline::answer_held_syn() {
  const HeldSyn& syn = *w_.held_syns_.due(now_);
  // A SYN may have gone out from another worker too, if the port's block was dealt to it since.
  const bool answer =
      owner_of(syn.external()) == w_.self_ && !w_.binding_.has_session(syn.external(), syn.remote());
  if (answer) answer_syn(syn);
  w_.held_syns_.pop(answer, t_.icmp_error_rate, now_);
}

void Pipeline::answer_syn(const HeldSyn& syn) {
  const InterfaceView& interface = t_.interfaces[syn.interface];
  const uint64_t source = net::hash(w_.binding_.mappings().hash_key(), syn.remote().address.value(), 0);
  rte_mbuf* fresh = nullptr;
  const auto purse = interface.faces_inside() ? IcmpBudget::Purse::inside : IcmpBudget::Purse::outside;
  if (w_.icmp_budget_.take(purse, source, t_.icmp_error_rate, now_))
    fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return w_.counters_.icmp_errors_limited.add();
  Packet out(fresh);
  write_error(out,
              {own_address(interface), syn.remote().address, net::kIcmpUnreachable, net::kPortUnreachable},
              syn.bytes.data(), syn.size());
  w_.counters_.icmp_errors_sent.add();
  send(syn.interface, out, false);
}

}  // namespace culvert::dataplane
