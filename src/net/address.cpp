#include "net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace culvert::net {
namespace {

struct Split {
  std::string_view address;
  unsigned length;
};

std::optional<Split> split_prefix(std::string_view text, unsigned max_length) {
  auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto digits = text.substr(slash + 1);
  unsigned length = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size() || length > max_length)
    return std::nullopt;
  return Split{text.substr(0, slash), length};
}

constexpr uint32_t mask4(unsigned length) { return length == 0 ? 0 : ~uint32_t{0} << (32 - length); }

/// inet_pton wants a terminated string; anything longer than the longest address is none.
template <typename Bytes>
bool from_text(int family, std::string_view text, Bytes* out) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer) return false;
  std::copy(text.begin(), text.end(), buffer);
  buffer[text.size()] = 0;
  return inet_pton(family, buffer, out) == 1;
}

}  // namespace

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) {
  uint32_t raw = 0;
  if (!from_text(AF_INET, text, &raw)) return std::nullopt;
  Ipv4Address a;
  a.bits = Be32::from_raw(raw);
  return a;
}

std::string Ipv4Address::text() const {
  uint32_t v = value();
  return fmt::format("{}.{}.{}.{}", v >> 24, (v >> 16) & 255, (v >> 8) & 255, v & 255);
}

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) {
  Ipv6Address a;
  if (!from_text(AF_INET6, text, a.bytes.data())) return std::nullopt;
  return a;
}

std::string Ipv6Address::text() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, bytes.data(), buffer, sizeof buffer);
  return buffer;
}

Ipv6Address Ipv6Address::masked(unsigned length) const {
  constexpr uint64_t kAll = ~uint64_t{0};
  const uint64_t first = length == 0 ? 0 : length >= 64 ? kAll : kAll << (64 - length);
  const uint64_t second = length <= 64 ? 0 : length >= 128 ? kAll : kAll << (128 - length);
  return from_halves(high() & first, low() & second);
}

uint64_t Ipv6Address::high() const {
  uint64_t v;
  std::memcpy(&v, bytes.data(), sizeof v);
  return swap_if_little(v);
}

uint64_t Ipv6Address::low() const {
  uint64_t v;
  std::memcpy(&v, bytes.data() + 8, sizeof v);
  return swap_if_little(v);
}

Ipv6Address Ipv6Address::from_halves(uint64_t high, uint64_t low) {
  const uint64_t raw[2] = {swap_if_little(high), swap_if_little(low)};
  Ipv6Address a;
  std::memcpy(a.bytes.data(), raw, sizeof raw);
  return a;
}

std::optional<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  auto split = split_prefix(text, 32);
  if (!split) return std::nullopt;
  auto address = Ipv4Address::parse(split->address);
  if (!address || (address->value() & ~mask4(split->length)) != 0) return std::nullopt;
  return Ipv4Prefix{*address, static_cast<uint8_t>(split->length)};
}

std::string Ipv4Prefix::text() const { return fmt::format("{}/{}", address.text(), length); }
bool Ipv4Prefix::contains(Ipv4Address a) const { return (a.value() & mask4(length)) == address.value(); }
bool Ipv4Prefix::overlaps(const Ipv4Prefix& o) const { return first() <= o.last() && o.first() <= last(); }

std::optional<Ipv6Prefix> Ipv6Prefix::parse(std::string_view text) {
  auto split = split_prefix(text, 128);
  if (!split) return std::nullopt;
  auto address = Ipv6Address::parse(split->address);
  if (!address || address->masked(split->length) != *address) return std::nullopt;
  return Ipv6Prefix{*address, static_cast<uint8_t>(split->length)};
}

std::string Ipv6Prefix::text() const { return fmt::format("{}/{}", address.text(), length); }

bool Ipv6Prefix::overlaps(const Ipv6Prefix& o) const {
  unsigned shorter = std::min(length, o.length);
  return address.masked(shorter) == o.address.masked(shorter);
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  MacAddress mac;
  for (unsigned i = 0; i < 6; i++) {
    const char* pair = text.data() + 3 * i;
    auto [end, error] = std::from_chars(pair, pair + 2, mac.bytes[i], 16);
    if (error != std::errc{} || end != pair + 2) return std::nullopt;
    if (i < 5 && pair[2] != ':' && pair[2] != '-') return std::nullopt;
  }
  return mac;
}

std::string MacAddress::text() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3],
                     bytes[4], bytes[5]);
}

std::optional<InterfaceAddress<Ipv4Address>> parse_interface_ipv4(std::string_view text) {
  auto split = split_prefix(text, 32);
  if (!split) return std::nullopt;
  auto address = Ipv4Address::parse(split->address);
  if (!address) return std::nullopt;
  return InterfaceAddress<Ipv4Address>{*address, static_cast<uint8_t>(split->length)};
}

std::optional<InterfaceAddress<Ipv6Address>> parse_interface_ipv6(std::string_view text) {
  auto split = split_prefix(text, 128);
  if (!split) return std::nullopt;
  auto address = Ipv6Address::parse(split->address);
  if (!address) return std::nullopt;
  return InterfaceAddress<Ipv6Address>{*address, static_cast<uint8_t>(split->length)};
}

}  // namespace culvert::net
