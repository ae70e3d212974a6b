#include "frames.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "net/headers.h"
#include "net/rfc6052.h"

namespace culvert::bench {
namespace {

constexpr uint64_t kHosts = 0x20010db800000000, kB4s = 0x20010db880000000;
constexpr net::Ipv4Address kBehindB4(0xc0a80102), kFirstInside(0x0a000000);
constexpr uint8_t kTtl = 64;

void put_ipv4(uint8_t* at, net::Ipv4Address from, net::Ipv4Address to, Protocol protocol, unsigned size) {
  net::Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.total_length = net::Be16(static_cast<uint16_t>(size));
  ip.fragment = net::Be16(net::Ipv4Header::kDontFragment);
  ip.ttl = kTtl;
  ip.protocol = static_cast<uint8_t>(protocol);
  ip.source = from;
  ip.destination = to;
  ip.checksum = net::Sum().add_bytes(&ip, sizeof ip).checksum();
  std::memcpy(at, &ip, sizeof ip);
}

void put_ipv6(uint8_t* at, const net::Ipv6Address& from, const net::Ipv6Address& to, uint8_t next,
              unsigned payload) {
  net::Ipv6Header ip{};
  ip.version_class_label = net::Be32(6u << 28);
  ip.payload_length = net::Be16(static_cast<uint16_t>(payload));
  ip.next_header = next;
  ip.hop_limit = kTtl;
  ip.source = from;
  ip.destination = to;
  std::memcpy(at, &ip, sizeof ip);
}

/// Moves a checksum field for words that were zero and have this sum now. Never UDP's zero.
void move(uint8_t* field, const net::Sum& sum) {
  net::Be16 value;
  std::memcpy(&value, field, sizeof value);
  value = net::udp_nonzero(net::apply_delta(value, sum.folded()));
  std::memcpy(field, &value, sizeof value);
}

}  // namespace

std::string_view name_of(Carriage carriage) {
  constexpr std::string_view kNames[] = {"nat44", "ds-lite", "nat64"};
  return kNames[static_cast<size_t>(carriage)];
}

net::Ipv6Address home(Carriage carriage, uint32_t s) {
  return net::Ipv6Address::from_halves((carriage == Carriage::ds_lite ? kB4s : kHosts) + s, 2);
}

net::Ipv6Prefix homes(Carriage carriage) {
  return {net::Ipv6Address::from_halves(carriage == Carriage::ds_lite ? kB4s : kHosts, 0), 33};
}

net::Ipv6Address aftr_address() { return net::Ipv6Address::from_halves(0x3fff000a00000000, 1); }

dataplane::InternalKey internal_key(Carriage carriage, uint32_t s, uint16_t port) {
  dataplane::InternalKey key;
  key.port = net::Be16(port);
  if (carriage == Carriage::nat44) {
    key.ipv4 = net::Ipv4Address(kFirstInside.value() + s);
    return key;
  }
  key.ipv6 = home(carriage, s);
  if (carriage == Carriage::ds_lite) key.ipv4 = kBehindB4;
  key.context = 1;
  return key;
}

uint32_t subscriber_of(Carriage carriage, const dataplane::InternalKey& key) {
  if (carriage == Carriage::nat44) return key.ipv4.value() - kFirstInside.value();
  return static_cast<uint32_t>(key.ipv6.high() - home(carriage, 0).high());
}

FrameMaker::FrameMaker(Carriage carriage, Protocol protocol, unsigned ipv4_bytes, const net::MacAddress& to,
                       const net::MacAddress& from)
    : carriage_(carriage), protocol_(protocol) {
  make(outbound_, true, ipv4_bytes, to, from);
  make(inbound_, false, ipv4_bytes, to, from);
}

void FrameMaker::make(Template& t, bool outbound, unsigned ipv4_bytes, const net::MacAddress& to,
                      const net::MacAddress& from) const {
  const unsigned transport = ipv4_bytes - static_cast<unsigned>(sizeof(net::Ipv4Header));
  const bool ipv6 = outbound && carriage_ != Carriage::nat44;
  const net::Be16 type(ipv6 ? net::kEtherIpv6 : net::kEtherIpv4);
  std::memcpy(t.bytes, &to, 6);
  std::memcpy(t.bytes + 6, &from, 6);
  std::memcpy(t.bytes + 12, &type, 2);
  unsigned at = sizeof(net::EthernetHeader);
  t.ip = at;
  net::Sum sum;  // of the transport header with its pseudo header
  sum.add(net::Be16(static_cast<uint8_t>(protocol_))).add(net::Be16(static_cast<uint16_t>(transport)));
  if (outbound && carriage_ == Carriage::nat64) {
    const auto server = net::embed(net::kWellKnownPrefix.address, 96, kServer);
    put_ipv6(t.bytes + at, {}, server, static_cast<uint8_t>(protocol_), transport);
    sum.add(server);
    at += sizeof(net::Ipv6Header);
  } else {
    const net::Ipv4Address none;
    if (ipv6) {
      put_ipv6(t.bytes + at, {}, aftr_address(), net::kIpIpv4, ipv4_bytes);
      at += sizeof(net::Ipv6Header);
      put_ipv4(t.bytes + at, kBehindB4, kServer, protocol_, ipv4_bytes);
      sum.add(kBehindB4);
    } else {
      put_ipv4(t.bytes + at, outbound ? none : kServer, outbound ? kServer : none, protocol_, ipv4_bytes);
    }
    sum.add(kServer);
    at += sizeof(net::Ipv4Header);
  }
  t.l4 = at;
  const net::Be16 server_port(kServerPort);
  std::memcpy(t.bytes + at + (outbound ? 2 : 0), &server_port, 2);
  sum.add(server_port);
  if (protocol_ == Protocol::udp) {
    const net::Be16 length(static_cast<uint16_t>(transport));
    std::memcpy(t.bytes + at + 4, &length, 2);
    sum.add(length);
    t.checksum = at + 6;
  } else {
    const net::Be16 offset_flags(0x5000u | net::TcpHeader::kAck);
    std::memcpy(t.bytes + at + 12, &offset_flags, 2);
    sum.add(offset_flags);
    t.checksum = at + 16;
  }
  const net::Be16 checksum = sum.checksum();
  std::memcpy(t.bytes + t.checksum, &checksum, 2);
  t.size = std::max(at + transport, 60u);
}

void FrameMaker::set_tcp_flags(uint8_t flags) {
  for (Template* t : {&outbound_, &inbound_}) {
    uint8_t& now = t->bytes[t->l4 + 13];
    move(t->bytes + t->checksum, net::Sum().add(net::Be16(flags)).subtract(net::Be16(now)));
    now = flags;
  }
}

void FrameMaker::clear_dont_fragment() {
  for (Template* t : {&outbound_, &inbound_}) {
    if (t == &outbound_ && carriage_ == Carriage::nat64) continue;
    uint8_t* ip = t->bytes + t->l4 - sizeof(net::Ipv4Header);
    std::memset(ip + 6, 0, 2);
    move(ip + 10, net::Sum().subtract(net::Be16(net::Ipv4Header::kDontFragment)));
  }
}

unsigned FrameMaker::outbound(uint8_t* at, uint32_t s, uint16_t port) const {
  const Template& t = outbound_;
  std::memcpy(at, t.bytes, sizeof t.bytes);
  net::Sum transport;
  const net::Be16 source_port(port);
  transport.add(source_port);
  if (carriage_ == Carriage::nat44) {
    const net::Ipv4Address source(kFirstInside.value() + s);
    std::memcpy(at + t.ip + 12, &source, sizeof source);
    move(at + t.ip + 10, net::Sum().add(source));
    transport.add(source);
  } else {
    const net::Ipv6Address source = home(carriage_, s);
    std::memcpy(at + t.ip + 8, &source, sizeof source);
    if (carriage_ == Carriage::nat64) transport.add(source);
  }
  std::memcpy(at + t.l4, &source_port, 2);
  move(at + t.checksum, transport);
  return t.size;
}

unsigned FrameMaker::inbound(uint8_t* at, net::Ipv4Address external, uint16_t port) const {
  const Template& t = inbound_;
  std::memcpy(at, t.bytes, sizeof t.bytes);
  const net::Be16 destination_port(port);
  std::memcpy(at + t.ip + 16, &external, sizeof external);
  move(at + t.ip + 10, net::Sum().add(external));
  std::memcpy(at + t.l4 + 2, &destination_port, 2);
  move(at + t.checksum, net::Sum().add(external).add(destination_port));
  return t.size;
}

}  // namespace culvert::bench
