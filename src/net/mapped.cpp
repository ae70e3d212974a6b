#include "net/mapped.h"

#include <fmt/format.h>

namespace culvert::net {

Ipv6Address mapped(Ipv4Address a) { return Ipv6Address::from_halves(0, uint64_t{0xffff} << 32 | a.value()); }

std::optional<Ipv4Address> mapped_ipv4(const Ipv6Address& a) {
  if (a.high() != 0 || a.low() >> 32 != 0xffff) return std::nullopt;
  return Ipv4Address(static_cast<uint32_t>(a.low()));
}

std::string subscriber_text(const Ipv6Address& prefix, unsigned length) {
  const auto ipv4 = length >= kMappedBits ? mapped_ipv4(prefix) : std::nullopt;
  std::string out = ipv4 ? ipv4->text() : prefix.text();
  if (length < 128) out += fmt::format("/{}", ipv4 ? length - kMappedBits : length);
  return out;
}

std::optional<Ipv6Prefix> parse_subscriber(std::string_view text) {
  if (const auto v4 = Ipv4Address::parse(text)) return Ipv6Prefix{mapped(*v4), 128};
  if (const auto v6 = Ipv6Address::parse(text)) return Ipv6Prefix{*v6, 128};
  if (const auto v4 = Ipv4Prefix::parse(text))
    return Ipv6Prefix{mapped(v4->address), static_cast<uint8_t>(kMappedBits + v4->length)};
  return Ipv6Prefix::parse(text);
}

}  // namespace culvert::net
