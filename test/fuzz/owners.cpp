#include "owners.h"

#include <fmt/format.h>

#include <algorithm>

#include "input.h"

namespace culvert::fuzz {
namespace {

constexpr std::array<uint8_t, 4> kMagic = {0xc5, 0x1a, 0x9e, 0x77};
constexpr size_t kTag = 8;

/// Where the payload of a transport packet begins; nullopt: it has none that is for the other end.
std::optional<size_t> payload_of(std::span<const uint8_t> p, const Layout& l) {
  if (l.fragment) return {};
  size_t header = 8;
  switch (l.protocol) {
    case kTcp:
      if (l.length() < 20) return {};
      header = std::max<size_t>(20, size_t{4} * (p[l.l4 + 12] >> 4));
      break;
    case kUdp:
      break;
    case kIcmp:
      if (l.length() < 8 || (p[l.l4] != 8 && p[l.l4] != 0)) return {};
      break;
    case kIcmp6:
      if (l.length() < 8 || (p[l.l4] != 128 && p[l.l4] != 129)) return {};
      break;
    default:
      return {};
  }
  if (l.length() < header + kTag) return {};
  if (l.protocol == kUdp && get16(p, l.l4 + 4) != l.length()) return {};
  return l.l4 + header;
}

template <typename P, typename Do>
void for_each_tag(P& p, Do&& act) {
  for (auto at = p.begin();; at += kMagic.size()) {
    at = std::search(at, p.end(), kMagic.begin(), kMagic.end());
    if (at == p.end()) return;
    act(static_cast<size_t>(at - p.begin()));
  }
}

void scrub(Bytes& p) {
  for_each_tag(p, [&](size_t at) { p[at] ^= 0xff; });
}

bool is_echo(uint8_t type) { return type == 8 || type == 0 || type == 128 || type == 129; }
bool is_icmp(uint8_t protocol) { return protocol == kIcmp || protocol == kIcmp6; }

/// The source (or destination) of a transport packet as it stands there. `pool`: an IPv6 address is that of
/// an IPv4 host in the prefix 2001:db8:64::/96.
std::optional<Endpoint> endpoint(std::span<const uint8_t> p, const Layout& l, bool source, bool pool) {
  static constexpr uint8_t kPrefix[] = {0x20, 1, 0x0d, 0xb8, 0, 0x64, 0, 0, 0, 0, 0, 0};
  Endpoint e;
  e.protocol = is_icmp(l.protocol) ? uint8_t{kIcmp} : l.protocol;
  e.port = get16(p, l.l4 + (is_icmp(l.protocol) ? 4u : source ? 0u : 2u));
  const size_t v6 = source ? 8 : 24;
  if (!pool && p[0] >> 4 == 6) std::copy_n(p.begin() + static_cast<long>(v6), 16, e.ipv6.begin());
  if (l.version == 4) {
    e.ipv4 = get32(p, l.ip + (source ? 12 : 16));
  } else if (pool) {
    if (!std::equal(std::begin(kPrefix), std::end(kPrefix), p.begin() + static_cast<long>(v6))) return {};
    e.ipv4 = get32(p, v6 + 12);
  }
  return e;
}

/// The byte `at` behind the front of a tag: no two pieces of a datagram look the same, nor two datagrams.
uint8_t content(uint32_t number, size_t at) {
  return static_cast<uint8_t>(number + at * 7 + at / 251 * 13 + (at >> 11));
}

/// Whether the box only routes what is between these: then nothing of it changes but the hops.
bool is_routed(const Endpoint& subscriber, const Endpoint& remote) {
  if (subscriber.ipv6 != decltype(subscriber.ipv6){}) return false;
  const bool has_port = remote.protocol != kIcmp;
  return Box::passes_through(subscriber.ipv4, remote.ipv4,
                             has_port ? std::optional(remote.port) : std::nullopt);
}

/// Whether this is an IPv4 address of the box's interfaces (box.cpp), which its own messages come from.
bool is_own(uint32_t address) { return address == 0x0aff0001 || address == 0xc0000201; }

/// The same of an ICMP message, by its own addresses or those of the packet that it is about. Its checksum is
/// for its receiver to look at: routed with a wrong one, it keeps that. What the box itself says about such a
/// packet is not routed.
bool is_routed_message(const Bytes& p, const Layout& l, Side side) {
  if (l.version != 4 || l.softwire || is_own(get32(p, l.ip + 12))) return false;
  const bool in = side == Side::inside;
  const auto passes = [in](std::span<const uint8_t> packet, bool forth, std::optional<uint16_t> port) {
    const uint32_t from = get32(packet, 12), to = get32(packet, 16);
    return forth == in ? Box::passes_through(to, from, port) : Box::passes_through(from, to, port);
  };
  if (passes(p, true, {})) return true;
  const auto about = std::span(p).subspan(l.l4 + 8);
  if (about.size() < 20 || about[0] >> 4 != 4) return false;
  const size_t header = (about[0] & 15u) * 4, port = header + (in ? 2 : 0);
  const bool has_ports = (about[9] == kTcp || about[9] == kUdp) && (get16(about, 6) & 0x1fff) == 0;
  return passes(about, false,
                has_ports && port + 2 <= about.size() ? std::optional(get16(about, port)) : std::nullopt);
}

bool is_pool(const Endpoint& e) { return e.ipv4 >> 4 == 0xcb007100 >> 4; }  // 203.0.113.0/28

}  // namespace

std::string text(const Endpoint& e) {
  std::string address;
  if (e.ipv6 != decltype(e.ipv6){})
    for (size_t i = 0; i < 16; i += 2) address += fmt::format("{:x}:", get16(e.ipv6, i));
  return fmt::format("{} {}.{}.{}.{} port {} protocol {}", address, e.ipv4 >> 24, e.ipv4 >> 16 & 255,
                     e.ipv4 >> 8 & 255, e.ipv4 & 255, e.port, e.protocol);
}

void Owners::write(Bytes& p, const Layout& l, Way way) {
  const auto at = payload_of(p, l);
  const auto from = endpoint(p, l, true, way != Way::out), to = endpoint(p, l, false, way != Way::in);
  if (!at || !from) return;
  const bool good = transport_checksum_holds(p) == true;
  const auto number = static_cast<uint32_t>(mixed(next_++));
  std::copy(kMagic.begin(), kMagic.end(), p.begin() + static_cast<long>(*at));
  put32(p, *at + 4, number);
  if (way != Way::quoted)
    for (size_t i = *at + kTag; i < p.size(); i++) p[i] = content(number, i - *at);
  if (good) repair(p);
  claims_[number] = {way, *from, to.value_or(Endpoint{}), p.size() - *at, good, false};
}

void Owners::tag(Bytes& p, Side side) {
  const bool good = transport_checksum_holds(p) == true;
  scrub(p);
  const auto l = layout_of(p);
  if (!l || l->end != p.size() || !payload_of(p, *l)) return;
  if (good) repair(p);
  write(p, *l, side == Side::inside ? Way::out : Way::in);
}

void Owners::tag_quoted(Bytes& p) {
  scrub(p);
  if (const auto l = layout_of(p); l && l->end == p.size() && payload_of(p, *l)) write(p, *l, Way::quoted);
}

const Owners::Claim* Owners::claim_in(std::span<const uint8_t> p, const Layout& l) const {
  const auto at = payload_of(p, l);
  if (!at || !std::equal(kMagic.begin(), kMagic.end(), p.begin() + static_cast<long>(*at))) return nullptr;
  const auto found = claims_.find(get32(p, *at + 4));
  return found == claims_.end() ? nullptr : &found->second;
}

void Owners::alter(const Bytes& p) {
  for_each_tag(p, [&](size_t at) {
    if (at + kTag > p.size()) return;
    if (const auto claim = claims_.find(get32(p, at + 4)); claim != claims_.end())
      claim->second.altered = true;
  });
}

std::string Owners::learn(const Endpoint& external, const Endpoint& who, Millis now) {
  if (!is_pool(external)) return fmt::format("sent as {}, which is in no pool", text(external));
  const auto known = known_.find(external);
  if (known != known_.end() && now - known->second.when < kSure && known->second.who != who)
    return fmt::format("{} has {}, which is {}'s", text(who), text(external), text(known->second.who));
  known_[external] = {who, now};
  return {};
}

std::string Owners::delivered(const Endpoint& external, const Endpoint& who, Millis now) {
  const auto known = known_.find(external);
  if (known == known_.end() || now - known->second.when >= kSure) return {};
  proven_++;
  if (known->second.who == who) return {};
  return fmt::format("a packet to {} was delivered to {} instead of {}", text(external), text(who),
                     text(known->second.who));
}

std::string Owners::judge(const Bytes& p, Side side, Millis now) {
  const auto l = layout_of(p);
  if (!l || l->fragment || l->length() < 8) return {};
  if (is_icmp(l->protocol) && !is_echo(p[l->l4])) return judge_error(p, *l, side, now);
  const Claim* claim = claim_in(p, *l);
  if (claim == nullptr || claim->altered || claim->way == Way::quoted) return {};
  if (claim->good && transport_checksum_holds(p) == false) return "a right transport checksum came out wrong";
  const size_t at = *payload_of(p, *l);
  if (l->end - at != claim->payload)
    return fmt::format("{} bytes of payload came out as {}", claim->payload, l->end - at);
  const uint32_t number = get32(p, at + 4);
  for (size_t i = at + kTag; i < l->end; i++)
    if (p[i] != content(number, i - at))
      return fmt::format("byte {} of the payload came out as another", i - at);
  const bool out = claim->way == Way::out;
  if (out ? is_routed(claim->from, claim->to) : is_routed(claim->to, claim->from)) {
    proven_++;
    const bool same = endpoint(p, *l, true, !out) == claim->from && endpoint(p, *l, false, out) == claim->to;
    if (!same) return "a packet was translated that is only to be routed";
    return (side == Side::outside) == out ? "" : "a packet that is only routed went back";
  }
  if (side == Side::outside) {
    if (!out) return "a packet from outside went back there";
    if (std::string wrong = learn(*endpoint(p, *l, true, true), claim->from, now); !wrong.empty())
      return wrong;
    return {};
  }
  const auto who = endpoint(p, *l, false, false);
  if (!out) {
    if (!is_pool(claim->to))
      return fmt::format("a packet to {}, which is in no pool, was delivered", text(claim->to));
    return delivered(claim->to, *who, now);
  }
  // Hairpinned.
  if (const auto external = endpoint(p, *l, true, true))
    if (std::string wrong = learn(*external, claim->from, now); !wrong.empty()) return wrong;
  if (claim->to == Endpoint{}) return {};
  return is_pool(claim->to) ? delivered(claim->to, *who, now) : "a packet that nobody hairpins came back";
}

std::string Owners::judge_error(const Bytes& p, const Layout& l, Side side, Millis now) {
  if (transport_checksum_holds(p) == false && !is_routed_message(p, l, side))
    return "an ICMP error with a wrong checksum";
  if (side == Side::outside) return {};
  const auto quoted = std::span(p).subspan(l.l4 + 8);
  const auto q = layout_of(quoted);
  if (!q || q->fragment || q->length() < 8) return {};
  const Claim* claim = claim_in(quoted, *q);
  if (claim == nullptr || claim->altered || claim->way != Way::quoted) return {};
  const bool routed = l.version == 4 && !l.softwire && is_routed(claim->from, claim->to);
  if (!routed && !is_pool(claim->from)) return {};
  auto who = endpoint(quoted, *q, true, false);
  if (l.softwire) std::copy_n(p.begin() + 24, 16, who->ipv6.begin());
  // The error goes where the packet came from.
  const size_t to = l.version == 4 ? l.ip + 16 : 24, from = l.version == 4 ? q->ip + 12 : 8;
  const size_t size = l.version == 4 ? 4 : 16;
  if (!std::equal(&p[to], &p[to] + size, &quoted[from]))
    return "an ICMP error for another than its packet is from";
  if (!routed) return delivered(claim->from, *who, now);
  proven_++;
  return *who == claim->from ? "" : "an ICMP error about what is only routed was translated";
}

}  // namespace culvert::fuzz
