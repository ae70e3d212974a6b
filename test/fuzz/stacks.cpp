#include "stacks.h"

#include <fmt/format.h>

#include <utility>

namespace culvert::fuzz {
namespace {

constexpr size_t kMostPacket = 65'535;

std::string dotted(uint32_t a) {
  return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

}  // namespace

Bytes subscribers_packet(Input& in, const std::vector<Bytes>& seen) {
  const uint8_t what = in.byte(), ports = in.byte(), flags = in.byte();
  const uint16_t size = in.word();
  const unsigned carriage = what & 3, host = 1 + (what >> 2 & 3), protocol = what >> 4 & 3;
  const auto source = static_cast<uint16_t>(4000 + (ports & 15));
  uint32_t server = 0xc6336401u + (ports >> 4);
  uint16_t port = protocol == 0 ? 53 : 80;
  if ((what & 128) != 0 && !seen.empty()) {
    const Bytes& other = seen[ports % seen.size()];
    if (other.size() >= 28 && other[0] == 0x45) {
      server = get32(other, 12);
      port = get16(other, other[9] == kIcmp ? 24 : 20);
    }
  }
  Bytes l4;
  uint8_t number = kUdp;
  if (protocol == 0) {
    l4 = udp(source, port);
  } else if (protocol < 3) {
    number = kTcp;
    l4 = tcp(source, port, protocol == 1 ? kSyn : kAck);
  } else {
    number = carriage >= 2 ? kIcmp6 : kIcmp;
    l4 = echo(carriage >= 2 ? 128 : 8, source);
  }
  Bytes packet;
  if (carriage < 2) {
    packet = ipv4(carriage == 0 ? fmt::format("100.64.0.{}", host) : std::string("192.168.1.2"),
                  dotted(server), number, l4);
    if ((flags & 2) != 0) {
      packet[0] = 0x46;
      packet.resize(20);
      append(packet, Bytes{0x94, 4, 0, 0});  // router alert, RFC 2113
      append(packet, l4);
    }
    if ((flags & 1) != 0) packet[6] = 0x40;
    if ((flags & 4) != 0) packet[8] = 2;
    if (carriage == 1) packet = ipv6(fmt::format("2001:db8:100::{}", host), "2001:db8:a::1", 4, packet);
  } else {
    if ((flags & 2) != 0) {
      const Bytes upper = std::exchange(l4, {number, 0, 1, 4, 0, 0, 0, 0});
      append(l4, upper);
    }
    packet = ipv6(fmt::format("2001:db8:200::{}", host),
                  (carriage == 2 ? "2001:db8:64::" : "64:ff9b::") + dotted(server),
                  (flags & 2) != 0 ? uint8_t{60} : number, l4);
    if ((flags & 4) != 0) packet[7] = 2;
  }
  repair(packet);
  resize_payload(packet, size);
  if ((what & 64) != 0 && number == kUdp)
    if (const auto l = layout_of(packet)) put16(packet, l->l4 + 6, 0);
  return packet;
}

void resize_payload(Bytes& packet, size_t size) {
  const auto l = layout_of(packet);
  if (!l || l->fragment || l->end != packet.size()) return;
  const size_t header = l->protocol == kTcp ? 20 : 8;
  const size_t outer = l->softwire ? l->ip : l->version == 6 ? 40 : 0;
  const size_t most = kMostPacket + outer;
  packet.resize(std::min(most, l->l4 + header + size), 0x5a);
  repair(packet);
}

}  // namespace culvert::fuzz
