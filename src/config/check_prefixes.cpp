#include <fmt/format.h>

#include <algorithm>

#include "config/checks.h"

namespace culvert::config {
namespace {

using net::Ipv4Address;
using net::Ipv4Prefix;
using net::Ipv6Address;
using net::Ipv6Prefix;

constexpr uint8_t rfc6052_lengths[] = {32, 40, 48, 56, 64, 96};

struct Special {
  Ipv4Prefix prefix;
  std::string_view what;
};
constexpr Special never_public[] = {
    {{Ipv4Address(0x00000000), 8}, "\"this network\", RFC 1122 §3.2.1.3"},
    {{Ipv4Address(0x7f000000), 8}, "loopback, RFC 1122 §3.2.1.3"},
    {{Ipv4Address(0xa9fe0000), 16}, "link-local, RFC 3927"},
    {{Ipv4Address(0xc0000000), 29}, "the softwires' own, RFC 7335"},
    {{Ipv4Address(0xe0000000), 4}, "multicast, RFC 5771"},
    {{Ipv4Address(0xf0000000), 4}, "reserved, RFC 1112 §4"},
};
constexpr Special private_use[] = {
    {{Ipv4Address(0x0a000000), 8}, "private, RFC 1918 §3"},
    {{Ipv4Address(0xac100000), 12}, "private, RFC 1918 §3"},
    {{Ipv4Address(0xc0a80000), 16}, "private, RFC 1918 §3"},
    {{Ipv4Address(0x64400000), 10}, "shared between providers' subscribers, RFC 6598 §4"},
};

template <size_t n>
const Special* special(const Special (&list)[n], const Ipv4Prefix& prefix) {
  for (const Special& s : list)
    if (s.prefix.overlaps(prefix)) return &s;
  return nullptr;
}

/// The IPv4 prefix that an IPv6 prefix stands for behind a nat64-prefix (RFC 6052 §2.2), if it does.
std::optional<Ipv4Prefix> embedded(const Ipv6Prefix& nat64, const Ipv6Prefix& p) {
  if (p.length < nat64.length || !nat64.contains(p.address)) return std::nullopt;
  unsigned position = nat64.length / 8u, bits = p.length - nat64.length;
  uint32_t value = 0;
  for (unsigned i = 0; i < 4; i++, position++) {
    if (position == 8) position++;  // the u-octet is skipped
    value = value << 8 | p.address.bytes[position];
  }
  if (nat64.length < 96 && p.length > 72) bits -= 8;
  uint8_t length = static_cast<uint8_t>(std::min(32u, bits));
  if (length < 32) value &= length == 0 ? 0 : ~uint32_t{0} << (32 - length);
  return Ipv4Prefix{Ipv4Address(value), length};
}

bool rfc6052_length(uint8_t length) {
  return std::find(std::begin(rfc6052_lengths), std::end(rfc6052_lengths), length) !=
         std::end(rfc6052_lengths);
}

/// A pool written as IPv6: most likely the NAT64 form of an IPv4 pool.
void ipv6_pool(const Record& instance, const Leaf& leaf, Report& report) {
  const auto& prefix = std::get<Ipv6Prefix>(leaf.value);
  for (const Leaf& l : instance.list("nat64-prefix")) {
    const auto& nat64 = std::get<Ipv6Prefix>(l.value);
    if (!rfc6052_length(nat64.length)) continue;
    if (auto meant = embedded(nat64, prefix))
      return report.add(
          leaf.place,
          {fmt::format("external-ip-pool {} lies inside the nat64-prefix {} ({})", prefix.text(),
                       nat64.text(), line_of(l.place)),
           "a pool has the IPv4 addresses that the internet sees, not what stands for IPv4 inside "
           "(RFC 6146 §2)",
           fmt::format("write {} if these addresses are meant", meant->text())});
  }
  report.add(leaf.place, {fmt::format("external-ip-pool {} is IPv6", prefix.text()),
                          "subscribers share IPv4 addresses", "write an IPv4 prefix such as 203.0.113.0/24"});
}

void check_pool(const Record& instance, const Leaf& leaf, Report& report) {
  if (std::holds_alternative<Ipv6Prefix>(leaf.value)) return ipv6_pool(instance, leaf, report);
  const auto& pool = std::get<Ipv4Prefix>(leaf.value);
  if (const Special* s = special(never_public, pool))
    return report.add(leaf.place,
                      {fmt::format("external-ip-pool {} has addresses of {}", pool.text(), s->prefix.text()),
                       fmt::format("they are {}", s->what), "use addresses that are routed to this box"});
  const Special* s = special(private_use, pool);
  if (s != nullptr && !instance.get<bool>("allow-private-pools").value_or(true))
    report.add(leaf.place,
               {fmt::format("external-ip-pool {} has addresses of {}", pool.text(), s->prefix.text()),
                fmt::format("they are {}, and the internet does not route them", s->what),
                "use public addresses, or set allow-private-pools: true"});
}

void check_nat64_prefix(const Leaf& leaf, Report& report) {
  static const auto well_known = *Ipv6Prefix::parse("64:ff9b::/96");
  const auto& prefix = std::get<Ipv6Prefix>(leaf.value);
  if (!rfc6052_length(prefix.length)) {
    std::string longer, shorter;
    for (uint8_t length : rfc6052_lengths) {
      if (length < prefix.length) shorter = fmt::format("/{}", length);
      if (length > prefix.length && longer.empty()) longer = fmt::format("/{}", length);
    }
    std::vector<std::string> near;
    for (auto& text : {shorter, longer})
      if (!text.empty()) near.push_back(text);
    return report.add(
        leaf.place,
        {fmt::format("nat64-prefix {} has the length {}", prefix.text(), prefix.length),
         "it must be 32, 40, 48, 56, 64 or 96 (RFC 6052 §2.2)", fmt::format("use {}", alternatives(near))});
  }
  if (prefix.length == 96 && prefix.address.bytes[8] != 0) {
    Ipv6Prefix zeroed = prefix;
    zeroed.address.bytes[8] = 0;
    return report.add(leaf.place,
                      {fmt::format("nat64-prefix {} has bits set between 64 and 71", prefix.text()),
                       "these bits must be zero (RFC 6052 §2.2)", fmt::format("use {}", zeroed.text())});
  }
  if (prefix.overlaps(well_known) && prefix != well_known)
    return report.add(leaf.place,
                      {fmt::format("nat64-prefix {} contains the well-known prefix", prefix.text()),
                       "64:ff9b::/96 has this length only (RFC 6052 §2.1)",
                       "use 64:ff9b::/96, a part of 64:ff9b:1::/48 (RFC 8215) or a prefix of your own"});
  uint8_t top = prefix.address.bytes[0];
  if (top == 0xff || (top == 0xfe && (prefix.address.bytes[1] & 0x80) != 0) || (prefix.address.high() == 0))
    report.add(leaf.place, {fmt::format("nat64-prefix {} is a special-purpose prefix", prefix.text()),
                            "multicast, link-local and ::/32 addresses are not routed (RFC 4291 §2.4)",
                            "use 64:ff9b::/96 or a prefix of your own"});
}

void check_aftr(const Leaf& leaf, Report& report) {
  const auto& a = std::get<Ipv6Address>(leaf.value);
  bool link_local = a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
  if (a.bytes[0] == 0xff || link_local || a.high() == 0)
    report.add(leaf.place,
               {fmt::format("aftr-ipv6-addr {} is not a global address", a.text()),
                "B4s reach the AFTR through routers (RFC 6333 §6)", "use a routed unicast address"});
}

template <typename Prefix>
void check_mask(const Record& match, const Prefix& prefix, std::string_view key, Report& report) {
  if (prefix.length == 0)
    report.add(match.value_place("subnet"),
               {fmt::format("subnet {} is everybody", prefix.text()), "the box would be an open relay",
                "write the prefixes that your subscribers have"});
  auto mask = match.get<uint64_t>(key);
  if (mask && *mask < prefix.length)
    report.add(match.value_place(key),
               {fmt::format("{} {} is shorter than the subnet {}", key, *mask, prefix.text()),
                "one subscriber would reach beyond the subnet",
                fmt::format("use {} or more, or a shorter subnet", prefix.length)});
}

void check_match(const Record& match, Carriage carriage, Report& report) {
  const auto& leaves = match.list("subnet");
  if (leaves.empty()) return;
  const Leaf& leaf = leaves.front();
  bool want_v4 = carriage == Carriage::nat44;
  if (std::holds_alternative<Ipv4Prefix>(leaf.value) != want_v4) {
    report.add(leaf.place, {fmt::format("subnet {} is {}",
                                        std::visit(
                                            [](const auto& v) -> std::string {
                                              if constexpr (requires { v.text(); }) return v.text();
                                              return {};
                                            },
                                            leaf.value),
                                        want_v4 ? "IPv6" : "IPv4"),
                            want_v4 ? "subscribers of nat44 have IPv4 addresses"
                                    : "subscribers of ds-lite and nat64 are known by their IPv6 addresses",
                            want_v4 ? "write an IPv4 prefix such as 100.64.0.0/10"
                                    : "write an IPv6 prefix such as 2001:db8::/32"});
  } else if (want_v4) {
    check_mask(match, std::get<Ipv4Prefix>(leaf.value), "subscriber-mask-v4", report);
  } else {
    check_mask(match, std::get<Ipv6Prefix>(leaf.value), "subscriber-mask-v6", report);
  }
}

void check_pass_through(const Record& entry, Report& report) {
  if (!entry.wrote("prefix") && !entry.wrote("port"))
    report.add(entry.place,
               {"this nat-pass-through entry has neither prefix nor port",
                "it would turn translation off altogether", "add for example prefix: 192.0.2.53/32"});
  if (auto prefix = entry.get<Ipv6Prefix>("prefix"))
    report.add(entry.value_place("prefix"),
               {fmt::format("nat-pass-through {} is IPv6", prefix->text()), "subscribers of nat44 speak IPv4",
                "write an IPv4 prefix such as 192.0.2.53/32"});
}

}  // namespace

std::vector<Ipv4Prefix> pools_of(const Record& instance) {
  std::vector<Ipv4Prefix> pools;
  for (const Record& pool : instance.records("external-ip-address-pool"))
    if (auto prefix = pool.get<Ipv4Prefix>("external-ip-pool")) pools.push_back(*prefix);
  return pools;
}

uint8_t subscriber_mask(const Record& match, Carriage carriage) {
  auto default_mask = [](uint64_t usual, uint8_t length) {
    return static_cast<uint8_t>(std::max<uint64_t>(usual, length));
  };
  if (carriage == Carriage::nat44)
    return static_cast<uint8_t>(match.get<uint64_t>("subscriber-mask-v4").value_or(32));
  if (auto mask = match.get<uint64_t>("subscriber-mask-v6")) return static_cast<uint8_t>(*mask);
  auto subnet = match.get<Ipv6Prefix>("subnet").value_or(Ipv6Prefix{{}, 0});
  return default_mask(carriage == Carriage::ds_lite ? 56 : 64, subnet.length);
}

void check_prefixes(const Record& root, Report& report) {
  for (const Record& instance : root.records("instances")) {
    for (const Record& pool : instance.records("external-ip-address-pool"))
      for (const Leaf& leaf : pool.list("external-ip-pool")) check_pool(instance, leaf, report);
    for (const Record& entry : instance.records("nat-pass-through")) check_pass_through(entry, report);
    for (const Leaf& leaf : instance.list("nat64-prefix")) check_nat64_prefix(leaf, report);
    for (const Leaf& leaf : instance.list("aftr-ipv6-addr")) check_aftr(leaf, report);
    if (auto carriage = carriage_of(instance))
      for (const Record& match : instance.records("subscriber-match")) check_match(match, *carriage, report);
  }
}

}  // namespace culvert::config
