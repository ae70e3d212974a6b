#include <algorithm>

#include "dataplane/carriage/rewrite.h"
#include "dataplane/icmp_message.h"
#include "dataplane/pipeline.h"

namespace culvert::dataplane {
namespace {

/// RFC 6333 §5.7: the AFTR's address inside a softwire.
constexpr net::Ipv4Address kAftrInner(0xc0000001);

bool may_answer(net::Ipv4Address source) {
  const uint32_t first = source.value() >> 24;
  return first != 0 && first != 127 && first < 224;  // RFC 1122 §3.2.2
}

/// ICMPv4's type and code as ICMPv6 says it to a NAT64 host (RFC 6146 §3.5.1: address unreachable).
void to_icmp6(uint8_t* type, uint8_t* code) {
  if (*type == net::kIcmpTimeExceeded) {
    *type = net::kIcmp6TimeExceeded;
  } else if (*code == 4) {
    *type = net::kIcmp6PacketTooBig;
    *code = 0;
  } else {
    *type = net::kIcmp6Unreachable;
    *code = *code == 1 ? 3 : 1;
  }
}

}  // namespace

void Pipeline::answer_error(const Packet& p, uint8_t type, uint8_t code, uint32_t mtu) {
  const bool nat64 = p.ip4 == nullptr;
  if (!nat64 && !may_answer(p.ip4->source)) return;
  if (nat64 && p.ip6->source.bytes[0] == 0xff) return;
  // What hairpinned comes from outside, as far as its second half is concerned (RFC 5508 REQ-7).
  const bool from_inside =
      nat64 || p.ip6 != nullptr || (!p.hairpin && t_.interfaces[p.interface].faces_inside());
  const uint64_t source = net::hash(net::HashKey{}, nat64 ? p.ip6->source.high() : p.ip4->source.value(),
                                    p.ip6 != nullptr ? p.ip6->source.low() : 0);
  if (!w_.icmp_budget_.take(from_inside, source, t_.icmp_error_rate, now_))
    return w_.counters_.icmp_errors_limited.add();
  if (nat64) return answer_error_ipv6(p, type, code, mtu);

  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return w_.counters_.icmp_errors_limited.add();
  const bool softwire = p.ip6 != nullptr;
  const auto quoted = std::min<unsigned>(p.ip4->total_length.value(), kMaxIpv4Error - kIcmp4ErrorHeaders);
  Packet out(fresh);
  const InterfaceView& side = t_.interfaces[p.hairpin ? t_.outside : p.interface];
  write_icmp4_error(
      out, {softwire ? kAftrInner : own_address(side), p.ip4->source, type, code, std::min(mtu, 65535u)},
      w_.next_id_++, p.ip4, quoted);
  w_.counters_.icmp_errors_sent.add();
  if (p.hairpin) return turn_back(out);
  if (softwire) {
    // A fresh mbuf has DPDK's whole headroom: there is room for the outer header.
    if (!carriage::encapsulate(out, p.ip6->destination, p.ip6->source))
      return drop(out, DropReason::no_buffer);
  }
  send(p.interface, out, softwire);
}

void Pipeline::answer_error_ipv6(const Packet& p, uint8_t type, uint8_t code, uint32_t mtu) {
  rte_mbuf* fresh = rte_pktmbuf_alloc(w_.fabric_.buffers);
  if (fresh == nullptr) return w_.counters_.icmp_errors_limited.add();
  to_icmp6(&type, &code);
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
  icmp->type = type;
  icmp->code = code;
  icmp->set_word(mtu);
  std::memcpy(icmp->payload(), p.ip6, quoted);
  seal_icmp6(*ip, icmp);
  w_.counters_.icmp_errors_sent.add();
  send(p.interface, out, true);
}

}  // namespace culvert::dataplane
