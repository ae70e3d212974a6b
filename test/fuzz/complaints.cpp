#include "complaints.h"

#include <fmt/format.h>

namespace culvert::fuzz {
namespace {

constexpr size_t kIpv6 = 40;

/// An interface name extension object (RFC 5837) in an extension structure, its checksum right.
Bytes extensions() {
  Bytes b(16, 0);
  b[0] = 2 << 4;
  put16(b, 4, 12);
  b[6] = 2;
  b[7] = 0x0a;
  std::copy_n("\10et-0/0/", 8, b.begin() + 8);
  put16(b, 2, static_cast<uint16_t>(~internet_sum(b)));
  return b;
}

Bytes message(const Trouble& t, std::span<const uint8_t> about, bool v6) {
  Bytes datagram(about.begin(), about.end());
  uint32_t word = t.word;
  if (t.extended) {
    datagram.resize(128);
    const Bytes more = extensions();
    append(datagram, more);
    word = v6 ? (word & 0x00ffffff) | 16u << 24 : (word & 0xff00ffff) | 32u << 16;
  }
  return error(t.type, t.code, word, datagram);
}

/// Source and destination of `of` at `from`, `size` bytes each, the other way round to `to` at `at`.
void answer_addresses(Bytes& to, size_t at, const Bytes& of, size_t from, size_t size) {
  const auto there = of.begin() + static_cast<long>(from);
  std::copy_n(there + static_cast<long>(size), size, to.begin() + static_cast<long>(at));
  std::copy_n(there, size, to.begin() + static_cast<long>(at + size));
}

}  // namespace

Bytes error_about(const Bytes& about, Side side, const Trouble& t) {
  if (side == Side::outside) {
    if (about.size() < 20 || about[0] >> 4 != 4) return {};
    const std::string to = fmt::format("{}.{}.{}.{}", about[12], about[13], about[14], about[15]);
    return ipv4("198.51.100.99", to, kIcmp, message(t, about, false));
  }
  const bool v6 = about.size() >= kIpv6 && about[0] >> 4 == 6;
  if (v6 && about[6] != 4) {
    Bytes p = ipv6("::", "::", kIcmp6, message(t, about, true));
    answer_addresses(p, 8, about, 8, 16);
    repair(p);
    return p;
  }
  const size_t inner = v6 ? kIpv6 : 0;
  if (about.size() < inner + 20 || about[inner] >> 4 != 4) return {};
  Bytes p = ipv4("0.0.0.0", "0.0.0.0", kIcmp, message(t, std::span(about).subspan(inner), false));
  answer_addresses(p, 12, about, inner + 12, 4);
  if (v6) {
    p = ipv6("::", "::", 4, p);
    answer_addresses(p, 8, about, 8, 16);
  }
  repair(p);
  return p;
}

Bytes router_error_about(const Bytes& about, const Trouble& t) {
  if (about.size() < kIpv6 || about[0] >> 4 != 6) return {};
  Bytes p = ipv6("2001:db8:1::99", "::", kIcmp6, message(t, about, true));
  std::copy_n(about.begin() + 8, 16, p.begin() + 24);
  repair(p);
  return p;
}

}  // namespace culvert::fuzz
