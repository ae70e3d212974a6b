// Rewriting moves checksums by differences; here every result is compared with a sum over all its bytes,
// above all where the result is 0x0000 or 0xffff (RFC 1624 section 3, RFC 768).
#include "dataplane/carriage/rewrite.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <utility>

#include "dataplane/carriage/deltas.h"
#include "fragment_bench.h"

using namespace culvert::dataplane;
namespace net = culvert::net;

namespace {

enum class Way : uint8_t { ipv4_out, ipv4_in, nat64_out, nat64_in };

net::Sum pseudo_header(const Packet& p, uint8_t number) {
  net::Sum sum;
  if (p.ip6 != nullptr)
    sum.add(p.ip6->source).add(p.ip6->destination);
  else if (number != net::kIpIcmp)
    sum.add(p.ip4->source).add(p.ip4->destination);
  if (number != net::kIpIcmp) sum.add(net::Be16(p.l4_length)).add(net::Be16(number));
  return sum;
}

unsigned checksum_at(Protocol protocol) {
  return protocol == Protocol::tcp ? 16 : protocol == Protocol::udp ? 6 : 2;
}

net::Be16& field(const Packet& p, Protocol protocol) {
  return *reinterpret_cast<net::Be16*>(p.l4 + checksum_at(protocol));
}

uint8_t number_of(const Packet& p, Protocol protocol) {
  return p.ip6 != nullptr && protocol == Protocol::icmp ? uint8_t{net::kIpIcmpv6}
                                                        : static_cast<uint8_t>(protocol);
}

/// The transport checksum over all bytes.
net::Be16 computed(const Packet& p, Protocol protocol) {
  net::Be16& there = field(p, protocol);
  const net::Be16 kept = std::exchange(there, net::Be16());
  const net::Be16 checksum = pseudo_header(p, number_of(p, protocol)).add_bytes(p.l4, p.l4_length).checksum();
  there = kept;
  return protocol == Protocol::udp ? net::udp_nonzero(checksum) : checksum;
}

struct Case {
  Way way;
  Protocol protocol;
  Mapping mapping;
  net::Ipv4Address remote;
  unsigned payload;
  uint16_t target;    ///< what the checksum is to be behind the rewriting
  bool none = false;  ///< UDP without a checksum
};

const net::Ipv6Address kPrefix = *net::Ipv6Address::parse("2001:db8:64::");

Case any_case() {
  Case c;
  c.way = static_cast<Way>(*rc::gen::inRange(0, 4));
  c.protocol = *rc::gen::element(Protocol::tcp, Protocol::udp, Protocol::icmp);
  const auto address = [] { return net::Ipv4Address(*rc::gen::arbitrary<uint32_t>()); };
  const auto word = [] {
    return *rc::gen::oneOf(rc::gen::arbitrary<uint16_t>(), rc::gen::element<uint16_t>(0, 1, 0xffff));
  };
  c.mapping.internal.protocol = c.protocol;
  c.mapping.internal.port = net::Be16(word());
  c.mapping.external_port = net::Be16(word());
  c.mapping.external_address = address();
  c.remote = address();
  const bool nat64 = c.way == Way::nat64_out || c.way == Way::nat64_in;
  if (nat64)
    for (uint8_t& byte : c.mapping.internal.ipv6.bytes) byte = *rc::gen::arbitrary<uint8_t>();
  else
    c.mapping.internal.ipv4 = address();
  carriage::set_deltas(c.mapping,
                       nat64 ? culvert::config::Carriage::nat64 : culvert::config::Carriage::nat44);
  c.payload = *rc::gen::inRange(2u, 60u);
  c.target =
      *rc::gen::oneOf(rc::gen::element<uint16_t>(0, 0xffff), rc::gen::element<uint16_t>(0, 0xffff, 1, 0xfffe),
                      rc::gen::arbitrary<uint16_t>());
  c.none = c.protocol == Protocol::udp && c.way != Way::nat64_out && *rc::gen::inRange(0, 4) == 0;
  return c;
}

unsigned header_of(Protocol protocol) { return protocol == Protocol::tcp ? 20 : 8; }

/// The packet before it is rewritten.
Packet packet_of(rte_mbuf* m, const Case& c) {
  const bool out = c.way == Way::ipv4_out || c.way == Way::nat64_out, ipv6 = c.way == Way::nat64_out;
  const unsigned l4 = header_of(c.protocol) + c.payload, header = ipv6 ? 40 : 20;
  trim_to(m, header + l4);
  std::memset(bytes_of(m), 0, header + l4);
  Packet p(m);
  p.l4 = p.data + header;
  p.l4_length = static_cast<uint16_t>(l4);
  p.remote = {c.remote, net::Be16(53)};
  if (ipv6) {
    p.ip6 = reinterpret_cast<net::Ipv6Header*>(p.data);
    p.ip6->version_class_label = net::Be32(6u << 28);
    p.ip6->payload_length = net::Be16(p.l4_length);
    p.ip6->next_header = number_of(p, c.protocol);
    p.ip6->hop_limit = 64;
    p.ip6->source = c.mapping.internal.ipv6;
    p.ip6->destination = net::embed(kPrefix, 96, c.remote);
  } else {
    p.ip4 = reinterpret_cast<net::Ipv4Header*>(p.data);
    p.ip4->version_ihl = 0x45;
    p.ip4->total_length = net::Be16(static_cast<uint16_t>(header + l4));
    p.ip4->id = net::Be16(*rc::gen::arbitrary<uint16_t>());
    p.ip4->fragment = net::Be16(*rc::gen::element<uint16_t>(0, net::Ipv4Header::kDontFragment));
    p.ip4->ttl = *rc::gen::inRange<uint8_t>(2, 255);
    p.ip4->protocol = number_of(p, c.protocol);
    p.ip4->source = out ? c.mapping.internal.ipv4 : c.remote;
    p.ip4->destination = out ? c.remote : c.mapping.external_address;
    p.ip4->checksum = net::Sum().add_bytes(p.ip4, 20).checksum();
  }
  const net::Be16 ours = out ? c.mapping.internal.port : c.mapping.external_port, theirs(53);
  auto* ports = reinterpret_cast<net::Be16*>(p.l4);
  if (c.protocol == Protocol::icmp) {
    p.icmp()->type = ipv6  ? uint8_t{net::kIcmp6Echo}
                     : out ? uint8_t{net::kIcmpEcho}
                           : uint8_t{net::kIcmpEchoReply};
    p.icmp()->id = ours;
  } else {
    ports[0] = out ? ours : theirs;
    ports[1] = out ? theirs : ours;
  }
  if (c.protocol == Protocol::udp) p.udp()->length = net::Be16(p.l4_length);
  return p;
}

void rewrite(Packet& p, const Case& c, Identifications& ids, Counter& none) {
  switch (c.way) {
    case Way::ipv4_out:
      return carriage::ipv4_out(p, c.mapping, ids);
    case Way::ipv4_in:
      return carriage::ipv4_in(p, c.mapping);
    case Way::nat64_out:
      return carriage::nat64_out(p, c.mapping, ids);
    case Way::nat64_in: {
      const ContextView prefix = ContextView::of_prefix({kPrefix, 96});
      RC_ASSERT(carriage::nat64_in(p, c.mapping, prefix, 1280, none));
      p.l4 = p.data + sizeof(net::Ipv6Header);
    }
  }
}

/// A copy of the case's packet with this word at the beginning of its payload, rewritten.
Packet rewritten(rte_mbuf* m, const Case& c, net::Be16 word) {
  Packet p = packet_of(m, c);
  std::memcpy(p.l4 + header_of(c.protocol), &word, sizeof word);
  field(p, c.protocol) = c.none ? net::Be16() : computed(p, c.protocol);
  net::Random random(1);
  Identifications ids(0, 1, random);
  Counter none;
  rewrite(p, c, ids, none);
  RC_ASSERT(none.get() == (c.none && c.way == Way::nat64_in ? 1u : 0u));
  return p;
}

}  // namespace

TEST_CASE("RFC 1624 3, RFC 768: what rewriting makes of checksums is what a sum over all bytes gives",
          "[dataplane][rewrite]") {
  const BufferPool pool = culvert::test::test_buffers(4, 512);
  unsigned zeros = 0, ones = 0;
  CHECK(rc::check("checksums of rewritten packets", [&] {
    const Case c = any_case();
    rte_mbuf* m = rte_pktmbuf_alloc(pool.get());
    const struct Free {
      rte_mbuf* m;
      ~Free() { free_packet(m); }
    } free{m};
    // The payload's first word decides what comes out: once with zero, then with what is missing to the
    // target.
    const Packet first = rewritten(m, c, net::Be16());
    const uint16_t missing =
        net::Sum().subtract(net::Be16(c.target)).add(computed(first, c.protocol)).folded();
    rte_pktmbuf_reset(m);
    const Packet p = rewritten(m, c, net::Be16::from_raw(missing));
    const net::Be16 result = field(p, c.protocol);
    if (c.none && c.way != Way::nat64_in)
      RC_ASSERT(result.raw() == 0);
    else
      RC_ASSERT(result == computed(p, c.protocol));
    zeros += result.raw() == 0;
    ones += result.raw() == 0xffff;
    if (p.ip4 != nullptr) {
      const net::Be16 is = p.ip4->checksum;
      net::Ipv4Header copy = *p.ip4;
      copy.checksum = net::Be16();
      RC_ASSERT(is == net::Sum().add_bytes(&copy, sizeof copy).checksum());
    }
  }));
  CHECK(zeros != 0);
  CHECK(ones != 0);
}
