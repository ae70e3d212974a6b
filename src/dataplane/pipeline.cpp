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
  if (outbound_[0].count != 0) outbound<Carriage::nat44>();
  if (outbound_[1].count != 0) outbound<Carriage::ds_lite>();
  if (outbound_[2].count != 0) outbound<Carriage::nat64>();
  if (inbound_.count != 0) inbound();
  if (hairpins_ != 0) hairpin();
  hand_over_all();
  free_dropped();
  for (size_t i = 0; i < kMaxInterfaces; i++) {
    received_[i].add_to(w_.counters_.received[i]);
    sent_[i].add_to(w_.counters_.sent[i]);
  }
}

/// What hairpinned comes in from outside, once: its source is external now, so it can't come round again.
void Pipeline::hairpin() {
  taken_ = 0;
  for (unsigned i = 0; i < hairpins_; i++) {
    Packet& p = next_packet(hairpin_[i], 0, t_.inside);
    fence(p);
    p.hairpin = true;
    from_outside(p);
  }
  hairpins_ = 0;
  if (inbound_.count != 0) inbound();
}

template <typename Missed>
inline void Pipeline::find_candidates(Lane& lane, const TaggedIndex& index, Missed&& missed) {
  const MappingTable& table = w_.binding_.mappings();
  std::array<Packet*, kBurst> elsewhere;
  unsigned known = 0, rest = 0;
  const auto take = [&](Packet* p) {
    if (p->mapping == kNoMapping) [[unlikely]]
      return missed(p);
    table.prefetch_record(p->mapping);
    lane.member[known++] = p;
  };
  for (unsigned i = 0; i < lane.count; i++) {
    Packet* p = lane.member[i];
    p->mapping = index.candidate(p->hash);
    if (p->mapping == TaggedIndex::kElsewhere)
      elsewhere[rest++] = p;
    else
      take(p);
  }
  for (unsigned i = 0; i < rest; i++) {
    elsewhere[i]->mapping = index.alternate_candidate(elsewhere[i]->hash);
    take(elsewhere[i]);
  }
  lane.count = known;
}

template <Carriage kCarriage>
void Pipeline::outbound() {
  Lane& lane = outbound_[static_cast<size_t>(kCarriage)];
  StatefulBinding& binding = w_.binding_;
  MappingTable& table = binding.mappings();
  std::array<Packet*, kBurst> unknown;
  unsigned unknowns = 0, known = 0;
  find_candidates(lane, table.outbound(), [&](Packet* p) { unknown[unknowns++] = p; });
  for (unsigned i = 0; i < lane.count; i++) {
    Packet* p = lane.member[i];
    p->mapping = table.confirm(p->internal, p->hash, p->mapping);
    if (p->mapping == kNoMapping || !binding.alive(t_, p->mapping, now_)) [[unlikely]]
      unknown[unknowns++] = p;
    else
      lane.member[known++] = p;
  }
  lane.count = known;
  if (unknowns != 0) [[unlikely]]
    admit(unknown.data(), unknowns, lane);

  Sums taken, sent;
  const Exit& exit = exit_of(t_.outside, false);
  const unsigned mtu = t_.interfaces[t_.outside].mtu;
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = *lane.member[i];
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
    taken.add(p.length);
    const Mapping& m = table[p.mapping];
    if constexpr (kCarriage == Carriage::nat64) {
      carriage::nat64_out(p, m, w_.next_id_++);
    } else {
      if constexpr (kCarriage == Carriage::ds_lite) carriage::decapsulate(p);
      carriage::ipv4_out(p, m);
    }
    deliver_outside(p, exit, sent);
  }
  taken.add_to(w_.counters_.outbound[static_cast<size_t>(kCarriage)]);
  sent_[t_.outside].add(sent);
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

void Pipeline::inbound() {
  Lane& lane = inbound_;
  StatefulBinding& binding = w_.binding_;
  MappingTable& table = binding.mappings();
  find_candidates(lane, table.inbound(), [this](Packet* p) { miss_inbound(*p); });
  unsigned known = 0;
  for (unsigned i = 0; i < lane.count; i++) {
    Packet* p = lane.member[i];
    p->mapping = table.confirm(p->external, p->hash, p->mapping);
    if (p->mapping == kNoMapping || !binding.alive(t_, p->mapping, now_)) [[unlikely]]
      miss_inbound(*p);
    else
      lane.member[known++] = p;
  }
  lane.count = known;

  std::array<Sums, kCarriageCount> sent;
  const unsigned mtu = t_.interfaces[t_.inside].mtu;
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = *lane.member[i];
    if (p.ip4->ttl <= 1) [[unlikely]] {
      answer_error(p, net::kIcmpTimeExceeded, 0);
      drop(p, DropReason::ttl_expired);
      continue;
    }
    const Mapping& m = table[p.mapping];
    const Carriage carriage = t_.instances[m.instance].carriage;
    constexpr unsigned kGrowth[] = {0, 40, 20};  // by carriage
    const unsigned growth = kGrowth[static_cast<size_t>(carriage)];
    if (p.length + growth > mtu) [[unlikely]] {
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
    deliver_inside(p, m, carriage, sent[static_cast<size_t>(carriage)]);
  }
  for (size_t c = 0; c < kCarriageCount; c++) {
    sent[c].add_to(w_.counters_.inbound[c]);
    sent_[t_.inside].add(sent[c]);
  }
  lane.count = 0;
}

inline void Pipeline::deliver_inside(Packet& p, const Mapping& m, Carriage carriage, Sums& sent) {
  bool room = true;
  if (carriage == Carriage::nat64) {
    room = carriage::nat64_in(p, m, t_.contexts[m.internal.context]);
  } else {
    carriage::ipv4_in(p, m);
    if (carriage == Carriage::ds_lite)
      room = carriage::encapsulate(p, t_.contexts[m.internal.context].address, m.internal.ipv6);
  }
  if (!room) [[unlikely]]
    return drop(p, DropReason::no_buffer);
  transmit(exit_of(t_.inside, carriage != Carriage::nat44), p, sent);
}

}  // namespace culvert::dataplane
