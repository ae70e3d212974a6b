#include "dataplane/pipeline.h"

#include <utility>

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

/// Why NAT64 does not translate a packet that comes in for a mapping.
inline Refusal refusal_of_nat64(const Packet& p, const Mapping& m, const InstanceView& policy,
                                const ContextView& prefix) {
  // RFC 6052 §3.1: the well-known prefix stands for global addresses only.
  if (prefix.well_known && !net::is_global(p.remote.address)) [[unlikely]]
    return DropReason::martian;
  // RFC 7915 §4.5: the operator may prefer this to a checksum of our own.
  if (policy.drops_unchecked_udp && m.internal.protocol == Protocol::udp && p.udp()->checksum.raw() == 0)
      [[unlikely]]
    return DropReason::udp_zero_checksum;
  return {};
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

/// What hairpinned comes in from outside. Its source is external now, so it can't come round again; errors
/// about it may, and nothing answers those.
void Pipeline::hairpin() {
  while (hairpins_ != 0) {
    taken_ = 0;
    const auto turned = hairpin_;
    const unsigned count = std::exchange(hairpins_, 0);
    for (unsigned i = 0; i < count; i++) {
      Packet& p = next_packet(turned[i], 0, t_.inside);
      p.cut = Mark::of(p.m).cut;
      fence(p);
      p.hairpin = true;
      from_outside(p);
    }
    if (inbound_.count != 0) inbound();
  }
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
      if (is_refusal(*why)) refuse(p, *why);
      drop(p, *why);
      continue;
    }
    taken.add(p.length);
    const Mapping& m = table[p.mapping];
    clamp_mss(p, m);
    if constexpr (kCarriage == Carriage::nat64) {
      carriage::nat64_out(p, m, w_.identifications_);
    } else {
      if constexpr (kCarriage == Carriage::ds_lite) carriage::decapsulate(p);
      carriage::ipv4_out(p, m, w_.identifications_);
    }
    deliver_outside(p, exit, sent);
  }
  taken.add_to(w_.counters_.outbound[static_cast<size_t>(kCarriage)]);
  sent_[t_.outside].add(sent);
  lane.count = 0;
}

/// RFC 1191 §4, RFC 7915 §5.
bool Pipeline::fits_outside(Packet& p) {
  const unsigned mtu = t_.interfaces[t_.outside].mtu;
  if (p.carriage != Carriage::nat64) return p.ip4->total_length.value() <= mtu || may_be_cut(p, mtu);
  if (p.l4_length + 20u > kAnySize) return false;  // no IPv4 packet is so long
  // What came in fragments has no DF as IPv4 (RFC 7915 §5.1.1).
  if (p.l4_length + 20u <= mtu || p.cut != 0) return true;
  answer_error(p, net::kIcmpUnreachable, net::kFragmentationNeeded, mtu + 20);
  return false;
}

/// RFC 791 §3.2, RFC 1191 §3: a packet may be cut where its sender has not forbidden it; fragments that were
/// forbidden to be cut further pass if each of them does.
bool Pipeline::may_be_cut(Packet& p, unsigned limit) {
  const bool df = p.ip4->dont_fragment();
  if (df && (p.cut == 0 || p.cut > limit)) {
    answer_error(p, net::kIcmpUnreachable, net::kFragmentationNeeded, limit);
    return false;
  }
  if (p.cut == 0) p.cut = kAnySize;
  return true;
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
  for (unsigned i = 0; i < lane.count; i++) {
    Packet& p = *lane.member[i];
    const Mapping& m = table[p.mapping];
    const InstanceView& policy = t_.instances[m.instance];
    const Carriage carriage = policy.carriage;
    const bool expired = p.ip4->ttl <= 1;
    if (expired || p.length > policy.inbound_mtu) [[unlikely]] {
      // Whom the filter keeps out is not told by an error that the mapping exists.
      if (!binding.lets_in(t_, p.mapping, p.remote)) {
        drop_filtered(p);
        continue;
      }
      if (expired) {
        answer_error(p, net::kIcmpTimeExceeded, 0);
        drop(p, DropReason::ttl_expired);
        continue;
      }
      // An IPv6 fragment has a fragment header more.
      const bool fragments = p.cut != 0 && carriage == Carriage::nat64;
      const unsigned more = fragments ? unsigned{sizeof(net::FragmentHeader)} : 0;
      if (!may_be_cut(p, policy.inbound_mtu - more)) {
        drop(p, DropReason::too_big);
        continue;
      }
    }
    if (carriage == Carriage::nat64) {
      if (Refusal why = refusal_of_nat64(p, m, policy, t_.contexts[m.internal.context])) [[unlikely]] {
        refuse_from_outside(p, *why);
        continue;
      }
    }
    auto verdict = binding.track<Direction::inbound>(t_, p.mapping, p.remote, p.tcp_flags, now_);
    if (const auto* why = std::get_if<DropReason>(&verdict)) [[unlikely]] {
      *why == DropReason::filtered ? drop_filtered(p) : drop(p, *why);
      continue;
    }
    clamp_mss(p, m);
    deliver_inside(p, m, policy, sent[static_cast<size_t>(carriage)]);
  }
  for (size_t c = 0; c < kCarriageCount; c++) {
    sent[c].add_to(w_.counters_.inbound[c]);
    sent_[t_.inside].add(sent[c]);
  }
  lane.count = 0;
}

inline void Pipeline::deliver_inside(Packet& p, const Mapping& m, const InstanceView& policy, Sums& sent) {
  const Carriage carriage = policy.carriage;
  bool room = true;
  if (carriage == Carriage::nat64) {
    room = carriage::nat64_in(p, m, t_.contexts[m.internal.context], policy.minimum_ipv6_mtu,
                              w_.counters_.checksums_computed);
  } else {
    carriage::ipv4_in(p, m);
    if (carriage == Carriage::ds_lite) {
      if (p.cut != 0) [[unlikely]]
        return deliver_pieces(p, m, sent);
      room = carriage::encapsulate(p, t_.contexts[m.internal.context].address, m.internal.ipv6);
    }
  }
  if (!room) [[unlikely]]
    return drop(p, DropReason::no_buffer);
  transmit(exit_of(t_.inside, carriage != Carriage::nat44), p, sent);
}

void Pipeline::deliver_pieces(Packet& p, const Mapping& m, Sums& sent) {
  const InstanceView& policy = t_.instances[m.instance];
  const net::Ipv6Address& aftr = t_.contexts[m.internal.context].address;
  const Exit& exit = exit_of(t_.inside, true);
  // RFC 6333 §6.3: the packet is encapsulated, then cut; so are the fragments that it came in.
  const bool cut_inner = policy.cut_inner_packet;
  const auto outer_size = static_cast<uint16_t>(policy.inbound_mtu + sizeof(net::Ipv6Header));
  if (p.cut == kAnySize && !cut_inner) {
    if (!carriage::encapsulate(p, aftr, m.internal.ipv6)) return drop(p, DropReason::no_buffer);
    p.cut = outer_size;
    return transmit(exit, p, sent);
  }
  const net::Ipv4Header& whole = *p.ip4;
  const CutPlan plan = plan_ipv4(whole, piece_limit(p.cut, cut_inner ? policy.inbound_mtu : kAnySize));
  std::array<rte_mbuf*, CutPlan::kMostPieces> pieces;
  if (!take_buffers(p, plan, pieces.data())) return;
  for (unsigned i = 0; i < plan.pieces; i++) {
    write_piece(pieces[i], whole, plan, i);
    Packet piece(pieces[i]);
    if (!carriage::encapsulate(piece, aftr, m.internal.ipv6)) {
      drop(piece, DropReason::no_buffer);
      continue;
    }
    if (piece.length > outer_size) piece.cut = outer_size;
    transmit(exit, piece, sent);
  }
  free_packet(p.m);
}

}  // namespace culvert::dataplane
