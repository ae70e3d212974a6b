#include <algorithm>
#include <optional>

#include "dataplane/carriage/rewrite.h"
#include "dataplane/pipeline.h"

namespace culvert::dataplane {
namespace {

/// RFC 6333 §5.7: the AFTR's address inside a softwire.
constexpr net::Ipv4Address kAftrInner(0xc0000001);

struct Told {
  uint8_t type, code;
};

/// ICMPv4's type and code as ICMPv6 says it to a NAT64 host.
Told to_icmp6(Told v4) {
  if (v4.type == net::kIcmpTimeExceeded) return {net::kIcmp6TimeExceeded, 0};
  if (v4.type == net::kIcmpParameterProblem) return {net::kIcmp6ParameterProblem, 0};
  switch (v4.code) {
    case net::kHostUnreachable:
      return {net::kIcmp6Unreachable, 3};  // RFC 6146 §3.5.1.1: address unreachable
    case net::kProtocolUnreachable:
      return {net::kIcmp6Unreachable, 4};  // RFC 6146 §3.4: port unreachable
    case net::kFragmentationNeeded:
      return {net::kIcmp6PacketTooBig, 0};
    default:
      return {net::kIcmp6Unreachable, 1};  // RFC 7915 §5.4: administratively prohibited
  }
}

/// What the sender of a packet that is refused is told. Most who send what cannot be are not.
std::optional<Told> told_of(DropReason why) {
  switch (why) {
    case DropReason::unknown_protocol:
      return Told{net::kIcmpUnreachable, net::kProtocolUnreachable};  // RFC 1122 §3.2.2.1, RFC 6146 §3.4
    case DropReason::ipv4_source_route:
      return Told{net::kIcmpUnreachable, net::kSourceRouteFailed};  // RFC 7915 §4.1
    case DropReason::ipv6_routing_header:
      return Told{net::kIcmpParameterProblem, 0};  // RFC 7915 §5.1
    case DropReason::martian:
    case DropReason::udp_zero_checksum:
      return Told{net::kIcmpUnreachable, net::kAdministrativelyProhibited};  // RFC 7915 §4.4, §5.4
    default:
      return std::nullopt;
  }
}

/// RFC 1122 §3.2.2, RFC 1812 §4.3.2.7: of what nobody is told. Such packets were not looked at closely yet.
bool is_untold(const Packet& p) {
  if (p.ip4 != nullptr && (p.ip4->offset() != 0 || net::is_martian(p.ip4->destination))) return true;
  return is_icmp_error(p);
}

}  // namespace

void Pipeline::answer_error(const Packet& p, uint8_t type, uint8_t code, uint32_t mtu, bool refused) {
  const bool nat64 = p.ip4 == nullptr;
  if (!nat64 && net::is_martian(p.ip4->source)) return;  // RFC 1122 §3.2.2
  if (nat64 && p.ip6->source.bytes[0] == 0xff) return;
  // What hairpinned comes from outside, as far as its second half is concerned (RFC 5508 REQ-7).
  const bool from_inside =
      nat64 || p.ip6 != nullptr || (!p.hairpin && t_.interfaces[p.interface].faces_inside());
  const uint64_t source =
      net::hash(w_.binding_.mappings().hash_key(), nat64 ? p.ip6->source.high() : p.ip4->source.value(),
                p.ip6 != nullptr ? p.ip6->source.low() : 0);
  using Purse = IcmpBudget::Purse;
  const Purse purse = refused ? Purse::refused : from_inside ? Purse::inside : Purse::outside;
  if (!w_.icmp_budget_.take(purse, source, t_.icmp_error_rate, now_))
    return w_.counters_.icmp_errors_limited.add();
  if (nat64) return answer_error_ipv6(p, type, code, mtu);

  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return w_.counters_.icmp_errors_limited.add();
  const bool softwire = p.ip6 != nullptr;
  const auto quoted = std::min<unsigned>(p.ip4->total_length.value(), kMaxIpv4Error - kIcmp4ErrorHeaders);
  Packet out(fresh);
  const InterfaceView& side = t_.interfaces[p.hairpin ? t_.outside : p.interface];
  write_error(out,
              {softwire ? kAftrInner : own_address(side), p.ip4->source, type, code, std::min(mtu, 65535u)},
              p.ip4, quoted);
  w_.counters_.icmp_errors_sent.add();
  if (p.hairpin) return turn_back(out);
  if (softwire) {
    // A fresh mbuf has DPDK's whole headroom: there is room for the outer header.
    if (!carriage::encapsulate(out, p.ip6->destination, p.ip6->source))
      return drop(out, DropReason::no_buffer);
  }
  send(p.interface, out, softwire);
}

void Pipeline::answer_error_ipv6(const Packet& p, uint8_t type, uint8_t code, uint32_t word) {
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return w_.counters_.icmp_errors_limited.add();
  const Told told = to_icmp6({type, code});
  const unsigned size = static_cast<unsigned>(sizeof(net::Ipv6Header)) + p.ip6->payload_length.value();
  const unsigned quoted = std::min(size, kMaxIpv6Error - 48);
  trim_to(fresh, 48 + quoted);
  Packet out(fresh);
  auto* ip = reinterpret_cast<net::Ipv6Header*>(out.data);
  *ip = net::Ipv6Header{};
  ip->version_class_label = net::Be32(6u << 28 | 0xc0u << 20);  // as RFC 1812 §4.3.2.5 says for IPv4
  ip->payload_length = net::Be16(static_cast<uint16_t>(8 + quoted));
  ip->next_header = net::kIpIcmpv6;
  ip->hop_limit = 64;
  const ContextView& prefix = t_.contexts[p.internal.context];
  const net::Ipv6Address own = t_.interfaces[p.interface].ipv6;
  ip->source = own == net::Ipv6Address{} ? net::embed(prefix.address, prefix.length, kDummyIpv4) : own;
  ip->destination = p.ip6->source;
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(ip + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = told.type;
  icmp->code = told.code;
  icmp->set_word(word);
  std::memcpy(icmp->payload(), p.ip6, quoted);
  seal_icmp6(*ip, icmp);
  w_.counters_.icmp_errors_sent.add();
  send(p.interface, out, true);
}

void Pipeline::refuse_from_inside(Packet& p, DropReason why, Context context, unsigned pointer) {
  const auto told = told_of(why);
  if (told && !is_untold(p)) {
    p.internal.set_host(context == kNativeContext ? net::Ipv6Words{} : net::Ipv6Words(p.ip6->source),
                        p.ip4 == nullptr ? net::Ipv4Address{} : p.ip4->source, context);
    if (rule_for(p)) answer_error(p, told->type, told->code, pointer, true);
  }
  drop(p, why);
}

void Pipeline::refuse_from_outside(Packet& p, DropReason why) {
  const auto told = told_of(why);
  if (told && !is_untold(p) && t_.pool_of(p.ip4->destination) != nullptr) {
    // A source of ours is forged, unless this is hairpinned.
    const net::Ipv4Address source = p.ip4->source;
    if (p.hairpin || !(t_.is_local(source) || t_.rule_for(source) != nullptr))
      answer_error(p, told->type, told->code, 0, true);
  }
  drop(p, why);
}

}  // namespace culvert::dataplane
