#include "frames.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace culvert::fuzz {
namespace {

/// Walks to the transport header; `repairing`: lengths are put right on the way instead of believed.
template <typename Span>
std::optional<Layout> walk(Span b, bool repairing) {
  Layout l;
  l.end = b.size();
  if (b.empty()) return {};
  if (b[0] >> 4 == 6) {
    if (b.size() < 40) return {};
    if constexpr (!std::is_const_v<typename Span::element_type>) put16(b, 4, b.size() - 40);
    if (!repairing) l.end = std::min(l.end, size_t{40} + get16(b, 4));
    size_t at = 40;
    uint8_t next = b[6];
    while (next == 0 || next == 43 || next == 60) {
      if (at + 8 > l.end) return {};
      next = b[at];
      at += 8 + size_t{8} * b[at + 1];
      if (at > l.end) return {};
    }
    if (next != 4) {
      l.version = 6;
      l.l4 = at;
      l.protocol = next;
      l.fragment = next == 44;
      return l;
    }
    l.ip = at;
    l.softwire = true;
  }
  const size_t ip = l.ip;
  if (ip + 20 > l.end || b[ip] >> 4 != 4) return {};
  const size_t header = size_t{4} * (b[ip] & 15);
  if (header < 20 || ip + header > l.end) return {};
  if constexpr (!std::is_const_v<typename Span::element_type>) {
    put16(b, ip + 2, l.end - ip);
    put16(b, ip + 10, 0);
    put16(b, ip + 10, static_cast<uint16_t>(~internet_sum(b.subspan(ip, header))));
  }
  if (!repairing) l.end = std::min(l.end, ip + get16(b, ip + 2));
  if (ip + header > l.end) return {};
  l.version = 4;
  l.l4 = ip + header;
  l.protocol = b[ip + 9];
  l.fragment = (get16(b, ip + 6) & 0x3fff) != 0;
  return l;
}

/// Offset of the checksum in the transport header, and whether a pseudo header counts.
std::optional<std::pair<size_t, bool>> checksum_of(const Layout& l) {
  switch (l.protocol) {
    case kTcp:
      return std::pair{size_t{16}, true};
    case kUdp:
      return std::pair{size_t{6}, true};
    case kIcmp:
      return std::pair{size_t{2}, false};
    case kIcmp6:
      return std::pair{size_t{2}, true};
    default:
      return {};
  }
}

uint32_t pseudo_header(std::span<const uint8_t> b, const Layout& l, size_t length) {
  const uint32_t tail = static_cast<uint32_t>(length) + l.protocol;
  return l.version == 4 ? internet_sum(b.subspan(l.ip + 12, 8), tail) : internet_sum(b.subspan(8, 32), tail);
}

}  // namespace

uint32_t internet_sum(std::span<const uint8_t> b, uint32_t start) {
  uint32_t s = start;
  for (size_t i = 0; i < b.size(); i += 2) {
    s += i + 1 < b.size() ? get16(b, i) : static_cast<uint32_t>(b[i] << 8);
    s = (s & 0xffff) + (s >> 16);
  }
  return s;
}

std::optional<Layout> layout_of(std::span<const uint8_t> packet) { return walk(packet, false); }

Bytes udp(uint16_t source, uint16_t destination, size_t payload) {
  Bytes b(8 + payload, 0x5a);
  put16(b, 0, source);
  put16(b, 2, destination);
  put16(b, 4, b.size());
  put16(b, 6, 0);
  return b;
}

Bytes tcp(uint16_t source, uint16_t destination, uint8_t flags, size_t payload) {
  Bytes b(20 + payload, 0);
  put16(b, 0, source);
  put16(b, 2, destination);
  b[12] = 5 << 4;
  b[13] = flags;
  put16(b, 14, 0xffff);
  return b;
}

Bytes echo(uint8_t type, uint16_t id, size_t payload) {
  Bytes b(8, 0);
  b[0] = type;
  put16(b, 4, id);
  append(b, Bytes(payload, 0x61));
  return b;
}

Bytes error(uint8_t type, uint8_t code, uint32_t word, std::span<const uint8_t> about) {
  Bytes b(8, 0);
  b[0] = type;
  b[1] = code;
  put32(b, 4, word);
  append(b, about);
  return b;
}

Bytes ipv4(const std::string& source, const std::string& destination, uint8_t protocol,
           const Bytes& payload) {
  Bytes b(20, 0);
  b[0] = 0x45;
  b[8] = 64;
  b[9] = protocol;
  put32(b, 12, net::Ipv4Address::parse(source)->value());
  put32(b, 16, net::Ipv4Address::parse(destination)->value());
  append(b, payload);
  repair(b);
  return b;
}

Bytes ipv6(const std::string& source, const std::string& destination, uint8_t next_header,
           const Bytes& payload) {
  Bytes b(40, 0);
  b[0] = 0x60;
  b[6] = next_header;
  b[7] = 64;
  std::memcpy(&b[8], net::Ipv6Address::parse(source)->bytes.data(), 16);
  std::memcpy(&b[24], net::Ipv6Address::parse(destination)->bytes.data(), 16);
  append(b, payload);
  repair(b);
  return b;
}

Bytes frame(const Bytes& packet) {
  Bytes b = {0x02, 0xc0, 0, 0, 0, 1, 0x02, 0, 0, 0, 1, 0xfe, 0x08, 0x00};
  if (!packet.empty() && packet[0] >> 4 == 6) put16(b, 12, 0x86dd);
  append(b, packet);
  return b;
}

Bytes packet_of(const Bytes& frame) {
  return frame.size() < 14 ? Bytes{} : Bytes(frame.begin() + 14, frame.end());
}

Bytes reply_to(const Bytes& packet) {
  Bytes b = packet;
  const auto l = walk(std::span<const uint8_t>(b), false);
  if (!l) return b;
  if (b[0] >> 4 == 6) std::swap_ranges(b.begin() + 8, b.begin() + 24, b.begin() + 24);
  if (l->version == 4) {
    const auto at = b.begin() + static_cast<long>(l->ip);
    std::swap_ranges(at + 12, at + 16, at + 16);
  }
  if ((l->protocol == kTcp || l->protocol == kUdp) && l->end >= l->l4 + 4) {
    const auto at = b.begin() + static_cast<long>(l->l4);
    std::swap_ranges(at, at + 2, at + 2);
  }
  if (l->end > l->l4 && l->protocol == kIcmp && b[l->l4] == 8) b[l->l4] = 0;
  if (l->end > l->l4 && l->protocol == kIcmp6 && b[l->l4] == 128) b[l->l4] = 129;
  repair(b);
  return b;
}

void repair(std::span<uint8_t> b) {
  const auto l = walk(b, true);
  if (!l || l->fragment) return;
  const auto field = checksum_of(*l);
  const size_t length = l->end - l->l4;
  if (!field || length < field->first + 2) return;
  if (l->protocol == kUdp) put16(b, l->l4 + 4, length);
  put16(b, l->l4 + field->first, 0);
  const uint32_t start = field->second ? pseudo_header(b, *l, length) : 0;
  uint16_t value = static_cast<uint16_t>(~internet_sum(b.subspan(l->l4, length), start));
  if (value == 0 && l->protocol == kUdp) value = 0xffff;
  put16(b, l->l4 + field->first, value);
}

std::optional<bool> transport_checksum_holds(std::span<const uint8_t> b) {
  const auto l = walk(b, false);
  if (!l || l->fragment) return {};
  const auto field = checksum_of(*l);
  size_t length = l->end - l->l4;
  if (!field || length < field->first + 2) return {};
  if (l->protocol == kUdp) {
    if (get16(b, l->l4 + 6) == 0) return l->version == 4 ? std::optional<bool>() : false;
    if (get16(b, l->l4 + 4) > length) return {};
    length = get16(b, l->l4 + 4);
    if (length < 8) return {};
  }
  const uint32_t start = field->second ? pseudo_header(b, *l, length) : 0;
  return internet_sum(b.subspan(l->l4, length), start) == 0xffff;
}

}  // namespace culvert::fuzz
