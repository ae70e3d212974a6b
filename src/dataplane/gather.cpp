/// Fragments on their way to becoming a datagram: whose are they, and what begins when one is whole?
#include <algorithm>
#include <utility>

#include "dataplane/fragments/join.h"
#include "dataplane/pipeline.h"

namespace culvert::dataplane {
namespace {

/// Every IPv4 fragment tells its protocol: what no binding carries need not wait.
bool is_carried(uint8_t protocol) {
  return protocol == net::kIpUdp || protocol == net::kIpTcp || protocol == net::kIpIcmp;
}

}  // namespace

void Pipeline::gather_from_outside(Packet& p) {
  const net::Ipv4Address to = p.ip4->destination;
  const Pool* pool = t_.pool_of(to);
  if (pool == nullptr) return t_.is_own(to) ? punt(p, false) : drop(p, DropReason::not_for_us);
  if (!is_carried(p.ip4->protocol)) return refuse_from_outside(p, DropReason::unknown_protocol);
  // Only the first fragment has ports: all of them meet where the address belongs, also when its ports are
  // dealt to several workers.
  const WorkerId owner = pool->address_owner(pool->index_of(to));
  if (owner != w_.self_) return hand_over(p, owner, Form::from_outside);
  // Strangers invent their addresses: shares are those of the addresses they send to.
  const uint64_t share = net::hash(w_.binding_.mappings().hash_key(), to.value());
  gather(p, w_.outside_fragments_, DatagramKey::ipv4(*p.ip4), share, fragment_of(p),
         t_.instances[pool->instance()].fragment_min);
}

void Pipeline::gather_from_inside(Packet& p, const DatagramKey& key, const Source& source,
                                  const Fragment& fragment) {
  if (key.kind() != DatagramKey::Kind::ipv6 && !is_carried(p.ip4->protocol))
    return refuse_from_inside(p, DropReason::unknown_protocol, key.context());
  p.internal.set_host(source.ipv6, source.ipv4, source.context);
  const auto rule = rule_for(p);
  if (!rule) return drop(p, DropReason::no_subscriber);
  const SubscriberKey who = rule->subscriber_of(p.carriage, p.internal);
  const WorkerId owner = t_.steering.worker_of(who);
  if (owner != w_.self_) return hand_over(p, owner, Form::from_inside);
  gather(p, w_.inside_fragments_, key, who.hash(w_.binding_.mappings().hash_key()), fragment,
         t_.instances[rule->instance].fragment_min);
}

void Pipeline::gather(Packet& p, Reassembly& waiting, const DatagramKey& key, uint64_t owner,
                      const Fragment& fragment, uint32_t timeout) {
  const DatagramKey::Kind kind = key.kind();
  const uint8_t interface = p.interface;
  Reassembly::Whole whole;
  if (was_joined(p)) {
    whole = hold_copies(p, waiting, key, owner, fragment, timeout);
  } else {
    settle(p);
    whole = waiting.add(key, owner, fragment, now_, timeout);
  }
  if (whole.first == nullptr) return;
  rte_mbuf* m = join_up(whole, kind);
  if (m == nullptr) return;
  // From here on p is the datagram: the next packet has the same room.
  Packet& datagram = next_packet(m, 0, interface);
  datagram.length = m->pkt_len;
  const bool softwire =
      kind == DatagramKey::Kind::ipv6 && t_.contexts[key.context()].carriage == Carriage::ds_lite;
  datagram.cut = softwire ? kAnySize : whole.largest;
  fence(datagram);
  if (&waiting == &w_.outside_fragments_) return from_outside(datagram);
  from_inside(datagram);
}

/// A fragment in a softwire whose packet itself came in fragments: what waits is copies in buffers of the
/// ports, as many as it takes, so that the few large ones stay free. Each has the two IP headers and nothing
/// between them.
Reassembly::Whole Pipeline::hold_copies(Packet& p, Reassembly& waiting, const DatagramKey& key,
                                        uint64_t owner, const Fragment& fragment, uint32_t timeout) {
  constexpr unsigned kOuter = sizeof(net::Ipv6Header);
  const unsigned inner = fragment.headers - fragment.header;
  const unsigned room = rte_pktmbuf_data_room_size(w_.fabric_.buffers) - RTE_PKTMBUF_HEADROOM;
  const unsigned chunk = (room - kOuter - inner) & ~7u;
  Reassembly::Whole whole;
  unsigned at = 0, copies = 0;
  do {
    Fragment part = fragment;
    part.header = kOuter;
    part.headers = kOuter + inner;
    part.length = std::min(chunk, fragment.length - at);
    part.offset = fragment.offset + at;
    part.more = fragment.more || at + part.length < fragment.length;
    part.m = rte_pktmbuf_alloc(w_.fabric_.buffers);
    copies++;
    if (part.m == nullptr) {
      w_.counters_.drop(DropReason::no_buffer);
      break;
    }
    trim_to(part.m, part.headers + part.length);
    uint8_t* to = bytes_of(part.m);
    std::memcpy(to, p.data, kOuter);
    std::memcpy(to + kOuter, p.data + fragment.header, inner);
    std::memcpy(to + part.headers, p.data + fragment.headers + at, part.length);
    whole = waiting.add(key, owner, part, now_, timeout);
    at += part.length;
  } while (whole.first == nullptr && at < fragment.length);
  w_.counters_.fragments_cut.add(copies - 1);
  free_packet(p.m);
  // The rest of the fragment lies behind the end of the datagram.
  if (whole.first != nullptr && at < fragment.length) {
    drop_all(whole.first, DropReason::fragment_overlap);
    whole.first = nullptr;
  }
  return whole;
}

void Pipeline::drop_all(rte_mbuf* first, DropReason reason) {
  for (rte_mbuf *f = first, *next; f != nullptr; f = next) {
    next = std::exchange(f->next, nullptr);
    drop(f, reason);
  }
}

rte_mbuf* Pipeline::join_up(const Reassembly::Whole& whole, DatagramKey::Kind kind) {
  const unsigned length = joined_length(whole, kind);
  rte_mbuf* m = length == 0 ? nullptr : rte_pktmbuf_alloc(w_.fabric_.datagrams.get());
  if (m == nullptr) {
    drop_all(whole.first, length == 0 ? DropReason::fragment_malformed : DropReason::no_buffer);
    return nullptr;
  }
  unfence(m);
  m->pkt_len = length;
  join_fragments(bytes_of(m), whole, kind);
  w_.counters_.fragments_merged.add(whole.fragments - 1u);
  for (rte_mbuf *f = whole.first, *next; f != nullptr; f = next) {
    next = std::exchange(f->next, nullptr);
    free_packet(f);
  }
  return m;
}

}  // namespace culvert::dataplane
