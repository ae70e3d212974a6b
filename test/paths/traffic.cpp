#include "traffic.h"

#include <fmt/format.h>

namespace culvert::paths {
namespace {

using namespace culvert::fuzz;

constexpr size_t kRemembered = 512;

std::string text(uint32_t address) { return net::Ipv4Address(address).text(); }

}  // namespace

Traffic::Traffic(uint64_t seed, unsigned subscribers, unsigned ports)
    : random_(seed), subscribers_(subscribers), ports_(ports) {}

Bytes Traffic::next(Side side) {
  if (one_in(200)) {  // anything at all
    Bytes noise(below(120));
    for (uint8_t& b : noise) b = static_cast<uint8_t>(below(256));
    return noise;
  }
  Bytes packet;
  if (one_in(16)) packet = error_about(side);
  if (packet.empty() && (side == Side::outside || one_in(6))) packet = answer(side);
  if (packet.empty()) packet = outbound();
  spoil(packet);
  return frame(packet);
}

void Traffic::saw(const Sent& sent) {
  auto& kept = left(sent.side);
  if (kept.size() < kRemembered)
    kept.push_back(packet_of(sent.bytes));
  else
    kept[replace_++ % kRemembered] = packet_of(sent.bytes);
}

/// A server, or (hairpinning) the external address of somebody.
uint32_t Traffic::destination() {
  if (one_in(8)) return 0xcb007100 + below(12);  // 203.0.113.0/30 and the two after it
  return 0xc6336400 + below(6);                  // 198.51.100.0
}

Traffic::Segment Traffic::segment(bool ipv6, uint16_t port) {
  static constexpr uint8_t kFlags[] = {kSyn, kSyn, kSyn, kSyn | kAck, kAck, kAck, kAck | kFin, kRst};
  const size_t payload = one_in(30) ? 1380 + below(120) : below(64);
  const auto to = static_cast<uint16_t>(one_in(8) ? 1024 + below(64512) : 53 + below(4));
  switch (below(5)) {
    case 0:
      return {ipv6 ? kIcmp6 : kIcmp, echo(ipv6 ? 128 : 8, port, payload)};
    case 1:
    case 2:
      return {kTcp, tcp(port, to, kFlags[below(8)], payload)};
    default:
      return {kUdp, udp(port, to, payload)};
  }
}

Bytes Traffic::outbound() {
  const unsigned carriage = below(3);
  const unsigned who = below(subscribers_);
  const uint32_t to = destination();
  const auto [protocol, bytes] = segment(carriage == 2, static_cast<uint16_t>(1025 + below(ports_)));
  if (carriage == 0) return ipv4(text(0x64400001 + who), text(to), protocol, bytes);
  if (carriage == 2)
    return ipv6(fmt::format("2001:db8:200:{:x}::1", who),
                fmt::format("2001:db8:64::{:x}:{:x}", to >> 16, to & 0xffff), protocol, bytes);
  const Bytes inner = ipv4(text(0xc0a80102 + below(2)), text(to), protocol, bytes);
  const std::string b4 = fmt::format("2001:db8:100:{:x}::1", who);
  if (!one_in(6)) return ipv6(b4, "2001:db8:a::1", 4, inner);
  Bytes behind_options = {4, 0, 4, 1, 4, 1, 1, 0};  // a tunnel encapsulation limit, as Linux sends it
  for (uint8_t byte : inner) behind_options.push_back(byte);
  return ipv6(b4, "2001:db8:a::1", 60, behind_options);
}

/// To something that left there; nothing when nothing did.
Bytes Traffic::answer(Side side) {
  const auto& sent = left(side);
  if (sent.empty()) return {};
  Bytes packet = reply_to(sent[below(static_cast<unsigned>(sent.size()))]);
  if (side != Side::outside || packet.size() < 34 || packet[0] != 0x45) return packet;
  if (packet[9] == kTcp) {
    static constexpr uint8_t kFlags[] = {kSyn | kAck, kSyn | kAck, kAck, kAck, kSyn, kFin | kAck, kRst};
    packet[33] = kFlags[below(7)];
  }
  if (one_in(8)) packet[15] = static_cast<uint8_t>(below(8));         // from somebody else
  if (one_in(8)) packet[22] ^= static_cast<uint8_t>(1 + below(255));  // to another port
  return packet;
}

/// An ICMP error about something that left there.
Bytes Traffic::error_about(Side side) {
  const auto& sent = left(side);
  if (sent.empty()) return {};
  Bytes about = sent[below(static_cast<unsigned>(sent.size()))];
  if (about.size() < 28) return {};
  if (one_in(4)) about.resize(28 + below(static_cast<unsigned>(about.size()) - 27));
  if (about[0] >> 4 == 4) {
    const auto at = static_cast<size_t>(side == Side::outside ? 12 : 16);
    const std::string from = fmt::format("{}.{}.{}.{}", about[16], about[17], about[18], about[19]);
    const std::string to = fmt::format("{}.{}.{}.{}", about[at], about[at + 1], about[at + 2], about[at + 3]);
    if (side == Side::inside) return ipv4(from, "198.51.100.1", kIcmp, error(3, 3, 0, about));
    return ipv4("198.51.100.99", to, kIcmp, one_in(3) ? error(3, 4, 1280, about) : error(11, 0, 0, about));
  }
  if (about.size() < 48) return {};
  net::Ipv6Address source, to;
  std::copy(about.begin() + 8, about.begin() + 24, source.bytes.begin());
  std::copy(about.begin() + 24, about.begin() + 40, to.bytes.begin());
  return ipv6(to.text(), source.text(), kIcmp6, error(one_in(2) ? 1 : 3, 0, 0, about));
}

/// Some packets are damaged, cut, fragments or at the end of their time.
void Traffic::spoil(Bytes& packet) {
  if (packet.size() < 40) return repair(packet);
  const bool v4 = packet[0] >> 4 == 4;
  if (one_in(40)) packet[v4 ? 8 : 7] = static_cast<uint8_t>(below(3));
  if (one_in(60) && v4) packet[6] = static_cast<uint8_t>(one_in(2) ? 0x20 : 0x40);  // MF, DF
  if (one_in(60) && v4) packet[7] = static_cast<uint8_t>(below(256));
  repair(packet);
  if (one_in(20)) {
    for (unsigned n = 1 + below(3); n != 0; n--)
      packet[below(static_cast<unsigned>(packet.size()))] ^= static_cast<uint8_t>(1 + below(255));
    if (one_in(2)) repair(packet);
  }
  if (one_in(60)) packet.resize(1 + below(static_cast<unsigned>(packet.size())));
}

}  // namespace culvert::paths
