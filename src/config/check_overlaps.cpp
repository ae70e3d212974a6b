#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "config/checks.h"

namespace culvert::config {
namespace {

using net::Ipv4Address;
using net::Ipv4Prefix;
using net::Ipv6Address;
using net::Ipv6Prefix;

enum class Use : uint8_t {
  pool,
  own_address,
  next_hop,
  subscriber_nat44,
  subscriber_ds_lite,
  subscriber_nat64,
  nat64,
  aftr,
  pass_through
};

/// Somebody uses these addresses. IPv4 stands as ::a.b.c.d with its length plus 96; the families never share
/// a sweep.
struct Claim {
  Use use;
  Ipv6Prefix span;
  std::string text;  ///< as an operator writes it
  Place place;
};

constexpr std::string_view use_names[] = {"external-ip-pool", "interface address", "next hop",
                                          "subscriber-match", "subscriber-match",  "subscriber-match",
                                          "nat64-prefix",     "aftr-ipv6-addr",    "nat-pass-through"};

bool is_subscriber(Use u) {
  return u == Use::subscriber_nat44 || u == Use::subscriber_ds_lite || u == Use::subscriber_nat64;
}

struct Verdict {
  std::string_view why;
  std::string_view fix;
};

/// Whether two uses of the same addresses contradict each other, and why.
std::optional<Verdict> contradiction(Use a, Use b) {
  if (a > b) std::swap(a, b);
  if (a == Use::pool && b == Use::pool)
    return Verdict{"a port of an address can be given out only once", "remove one, or split the prefixes"};
  if (a == Use::pool && b == Use::own_address)
    return Verdict{"the box would give its own address to subscribers", "take that address out of the pool"};
  if (a == Use::pool && b == Use::next_hop)
    return Verdict{"the box would give its neighbour's address to subscribers",
                   "take that address out of the pool"};
  if (a == Use::pool && b == Use::subscriber_nat44)
    return Verdict{"an address is either a subscriber's or what the internet sees of him",
                   "use other addresses for one of them"};
  if (a == Use::pool && b == Use::pass_through)
    return Verdict{"what goes to a pool goes to another subscriber, and is always translated",
                   "name only addresses outside the pools, or a port alone"};
  if (a == Use::subscriber_nat44 && b == Use::pass_through)
    return Verdict{"subscribers are inside, and what passes untranslated goes outside",
                   "name only addresses outside subscriber-match, or a port alone"};
  if (a == b && is_subscriber(a))
    return Verdict{"a packet has to belong to one subscriber of one instance",
                   "remove one, or split the prefixes"};
  if (a == b && a == Use::nat64)
    return Verdict{"a destination would have two meanings", "give each use a prefix of its own"};
  if (a == b && a == Use::aftr)
    return Verdict{"a softwire has to end in one instance", "give each instance an address of its own"};
  if (b == Use::nat64) {
    if (is_subscriber(a))
      return Verdict{"packets from the NAT64's own prefix are dropped, against loops (RFC 6146 §3.5)",
                     "take the nat64-prefix from outside the subscribers' prefixes"};
    if (a == Use::own_address || a == Use::next_hop)
      return Verdict{"addresses of a nat64-prefix stand for IPv4 hosts (RFC 6052 §2)", "move one of the two"};
  }
  if (a == Use::nat64 && b == Use::aftr)
    return Verdict{"addresses of a nat64-prefix stand for IPv4 hosts (RFC 6052 §2)", "move one of the two"};
  return std::nullopt;
}

void complain(const Claim& a, const Claim& b, const Verdict& verdict, Report& report) {
  const Claim& later = a.place < b.place ? b : a;
  const Claim& earlier = a.place < b.place ? a : b;
  std::string_view relation = later.span == earlier.span                ? "is the same as"
                              : later.span.length > earlier.span.length ? "lies inside"
                                                                        : "contains";
  report.add(later.place, {fmt::format("{} {} {} {} {} ({})", use_names[static_cast<size_t>(later.use)],
                                       later.text, relation, use_names[static_cast<size_t>(earlier.use)],
                                       earlier.text, line_of(earlier.place)),
                           std::string(verdict.why), std::string(verdict.fix)});
}

/// Prefixes either nest or are disjoint: in order of address, whatever contains a claim is still on the
/// stack.
void sweep(std::vector<Claim> claims, Report& report) {
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return std::tie(a.span.address, a.span.length, a.place) <
           std::tie(b.span.address, b.span.length, b.place);
  });
  std::vector<const Claim*> around;
  for (const Claim& claim : claims) {
    while (!around.empty() && !around.back()->span.contains(claim.span.address)) around.pop_back();
    bool known =
        false;  // the same prefix with the same use, so that the stack stays as short as a prefix is long
    for (auto outer = around.rbegin(); outer != around.rend(); ++outer) {
      known |= (*outer)->span == claim.span && (*outer)->use == claim.use;
      if (auto verdict = contradiction((*outer)->use, claim.use)) {
        complain(**outer, claim, *verdict, report);
        break;
      }
    }
    if (!known) around.push_back(&claim);
  }
}

Ipv6Prefix widened(const Ipv4Prefix& p) {
  return {Ipv6Address::from_halves(0, p.address.value()), static_cast<uint8_t>(p.length + 96)};
}

void add_interfaces(const Record& root, std::vector<Claim>& v4, std::vector<Claim>& v6) {
  for (const Record& i : root.records("interfaces")) {
    for (const Leaf& l : i.list("ipv4-address")) {
      auto a = std::get<net::InterfaceAddress<Ipv4Address>>(l.value).address;
      v4.push_back({Use::own_address, widened({a, 32}), a.text(), l.place});
    }
    for (const Leaf& l : i.list("ipv6-address")) {
      auto a = std::get<net::InterfaceAddress<Ipv6Address>>(l.value).address;
      v6.push_back({Use::own_address, {a, 128}, a.text(), l.place});
    }
    if (auto a = i.get<Ipv4Address>("next-hop-ipv4"))
      v4.push_back({Use::next_hop, widened({*a, 32}), a->text(), i.value_place("next-hop-ipv4")});
    if (auto a = i.get<Ipv6Address>("next-hop-ipv6"))
      v6.push_back({Use::next_hop, {*a, 128}, a->text(), i.value_place("next-hop-ipv6")});
  }
}

void add_instance(const Record& instance, std::vector<Claim>& v4, std::vector<Claim>& v6) {
  auto carriage = carriage_of(instance);
  for (const Record& pool : instance.records("external-ip-address-pool"))
    if (auto p = pool.get<Ipv4Prefix>("external-ip-pool"))
      v4.push_back({Use::pool, widened(*p), p->text(), pool.value_place("external-ip-pool")});
  for (const Record& match : instance.records("subscriber-match")) {
    if (!carriage) break;
    auto p4 = match.get<Ipv4Prefix>("subnet");
    auto p6 = match.get<Ipv6Prefix>("subnet");
    if (p4 && *carriage == Carriage::nat44)
      v4.push_back({Use::subscriber_nat44, widened(*p4), p4->text(), match.value_place("subnet")});
    if (p6 && *carriage != Carriage::nat44)
      v6.push_back({*carriage == Carriage::ds_lite ? Use::subscriber_ds_lite : Use::subscriber_nat64, *p6,
                    p6->text(), match.value_place("subnet")});
  }
  for (const Record& entry : instance.records("nat-pass-through"))
    if (auto p = entry.get<Ipv4Prefix>("prefix"))
      v4.push_back({Use::pass_through, widened(*p), p->text(), entry.value_place("prefix")});
  for (const Leaf& l : instance.list("nat64-prefix")) {
    const auto& p = std::get<Ipv6Prefix>(l.value);
    v6.push_back({Use::nat64, p, p.text(), l.place});
  }
  for (const Leaf& l : instance.list("aftr-ipv6-addr")) {
    const auto& a = std::get<Ipv6Address>(l.value);
    v6.push_back({Use::aftr, {a, 128}, a.text(), l.place});
  }
}

}  // namespace

void check_overlaps(const Record& root, Report& report) {
  std::vector<Claim> v4, v6;
  add_interfaces(root, v4, v6);
  for (const Record& instance : root.records("instances")) add_instance(instance, v4, v6);
  sweep(std::move(v4), report);
  sweep(std::move(v6), report);
}

}  // namespace culvert::config
