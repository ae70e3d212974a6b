#include "config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <regex>

namespace culvert::config {
namespace {

using Result = std::variant<Value, Complaint>;

std::string example_of(const Key& key) {
  auto example = !key.example.empty()        ? key.example
                 : !key.default_text.empty() ? key.default_text
                                             : kind_info(key.kind).example;
  return fmt::format("{}: {}", key.name, example);
}

Complaint wrong_kind(const Key& key, std::string_view text) {
  return {fmt::format("{} is {}", key.name, text.empty() ? "empty" : quoted(text)),
          fmt::format("it takes {}", kind_info(key.kind).words),
          fmt::format("write for example {}", example_of(key))};
}

std::optional<uint64_t> decimal(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result in_range(const Key& key, uint64_t value, std::string_view text) {
  if (value >= key.min && value <= key.max) return value;
  std::string_view unit = key.kind == Kind::duration ? " seconds" : "";
  std::string reference = key.reference.empty() ? "" : fmt::format(" [{}]", key.reference);
  return Complaint{fmt::format("{} {} is out of range", key.name, text),
                   fmt::format("it lies between {} and {}{}{}", key.min, key.max, unit, reference),
                   fmt::format("use {}", value < key.min ? fmt::format("{} or more", key.min)
                                                         : fmt::format("{} or less", key.max))};
}

/// Digits too many for 64 bits are still a number, and out of every range.
std::optional<uint64_t> saturated(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return decimal(text).value_or(UINT64_MAX);
}

Result integer(const Key& key, std::string_view text, bool in_quotes) {
  if (in_quotes) {
    auto c = wrong_kind(key, text);
    c.why += ", and quotes make it text";
    return c;
  }
  if (text.size() > 1 && text[0] == '-' && saturated(text.substr(1))) {
    Complaint c = std::get<Complaint>(in_range(key, key.max + 1, text));
    c.fix = fmt::format("use {} or more", key.min);
    return c;
  }
  auto value = saturated(text);
  if (!value) return wrong_kind(key, text);
  if (text.size() > 1 && text[0] == '0')
    return Complaint{fmt::format("{} {} begins with a zero", key.name, quoted(text)),
                     "some read that as an octal number", fmt::format("write {}", *value)};
  return in_range(key, *value, text.size() > 30 ? std::string_view("(a very long number)") : text);
}

Result duration(const Key& key, std::string_view text, bool in_quotes) {
  uint64_t unit = 0;
  switch (text.empty() ? 0 : text.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86'400;
      break;
    default:
      return integer(key, text, in_quotes);
  }
  auto number = saturated(text.substr(0, text.size() - 1));
  if (!number) return wrong_kind(key, text);
  return in_range(key, *number > UINT64_MAX / unit ? UINT64_MAX : *number * unit,
                  text.size() > 30 ? std::string_view("(a very long time)") : text);
}

Result choice(const Key& key, std::string_view text) {
  std::vector<std::string> words;
  std::vector<std::string_view> candidates;
  for (const Choice& c : key.choices) {
    if (c.word == text) return std::string(text);
    words.emplace_back(c.word);
    candidates.push_back(c.word);
  }
  auto near = closest(text, candidates);
  return Complaint{fmt::format("{} is {}", key.name, text.empty() ? "empty" : quoted(text)),
                   fmt::format("it is one of {}", alternatives(words)),
                   near.empty() ? fmt::format("write for example {}: {}", key.name, key.choices[0].word)
                                : fmt::format("did you mean {}?", near)};
}

/// Names and devices: the schema's pattern is the rule. Compiled once; there are three such kinds.
bool matches_pattern(Kind kind, std::string_view text) {
  static const std::map<Kind, std::regex> patterns = [] {
    std::map<Kind, std::regex> out;
    for (Kind k : {Kind::instance_name, Kind::interface_name, Kind::device})
      out.emplace(k, std::string(kind_info(k).pattern));
    return out;
  }();
  return std::regex_match(text.begin(), text.end(), patterns.at(kind));
}

Result matching(const Key& key, std::string_view text) {
  // std::regex recurses by length, so the length comes first.
  bool printable_ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (text.size() <= 512 && printable_ascii && matches_pattern(key.kind, text)) return std::string(text);
  return wrong_kind(key, text);
}

Result path(const Key& key, std::string_view text) {
  bool printable =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (printable && text.size() >= 2 && text.size() <= 100 && text[0] == '/') return std::string(text);
  return wrong_kind(key, text);
}

Result line(const Key& key, std::string_view text) {
  const bool one = std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  if (one && !text.empty() && text.size() <= 1024) return std::string(text);
  return wrong_kind(key, text);
}

Result socket_address(const Key& key, std::string_view text) {
  if (text.empty()) return std::string();
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong_kind(key, text);
  auto host = text.substr(0, colon);
  auto port = decimal(text.substr(colon + 1));
  bool v6 = host.size() > 2 && host.front() == '[' && host.back() == ']' &&
            net::Ipv6Address::parse(host.substr(1, host.size() - 2));
  if ((!v6 && !net::Ipv4Address::parse(host)) || !port || *port > 65'535) return wrong_kind(key, text);
  return std::string(text);
}

Result port_range(const Key& key, std::string_view text) {
  auto dash = text.find('-');
  if (dash == std::string_view::npos) return wrong_kind(key, text);
  auto first = saturated(text.substr(0, dash)), last = saturated(text.substr(dash + 1));
  if (!first || !last) return wrong_kind(key, text);
  if (*first > 65'535 || *last > 65'535 || *first == 0)
    return Complaint{fmt::format("{} {} has a port outside 1-65535", key.name, quoted(text)),
                     "ports have 16 bits, and port 0 is reserved (RFC 6335 §6)", "use ports from 1 to 65535"};
  if (*first > *last)
    return Complaint{fmt::format("{} {} ends before it begins", key.name, quoted(text)),
                     "a range is FIRST-LAST", fmt::format("write {}-{}", *last, *first)};
  return PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

/// A prefix of either family with host bits set is read anyway, to say which prefix is meant.
Complaint host_bits_or_wrong(const Key& key, std::string_view text) {
  auto complain = [&](const std::string& meant, unsigned full) {
    return Complaint{fmt::format("{} {} has bits set past its prefix length", key.name, text),
                     "a prefix ends in zero bits, so either the address or the length is wrong",
                     fmt::format("write {}, or /{} for the one address", meant, full)};
  };
  if (auto a = net::parse_interface_ipv4(text)) {
    uint32_t mask = a->prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - a->prefix_length);
    return complain(net::Ipv4Prefix{net::Ipv4Address(a->address.value() & mask), a->prefix_length}.text(),
                    32);
  }
  if (auto a = net::parse_interface_ipv6(text))
    return complain(net::Ipv6Prefix{a->address.masked(a->prefix_length), a->prefix_length}.text(), 128);
  Complaint c = wrong_kind(key, text);
  if (net::Ipv4Address::parse(text)) c.fix = fmt::format("write {}/32 for this one address", text);
  if (net::Ipv6Address::parse(text)) c.fix = fmt::format("write {}/128 for this one address", text);
  return c;
}

Result ip_prefix(const Key& key, std::string_view text, bool ipv4_too) {
  if (auto p = net::Ipv6Prefix::parse(text)) return *p;
  auto p4 = net::Ipv4Prefix::parse(text);
  if (p4 && ipv4_too) return *p4;
  if (p4 || (!ipv4_too && net::parse_interface_ipv4(text))) return wrong_kind(key, text);
  return host_bits_or_wrong(key, text);
}

template <typename Address>
Result interface_address(const Key& key, std::string_view text,
                         std::optional<net::InterfaceAddress<Address>> parsed) {
  if (parsed) return *parsed;
  Complaint c = wrong_kind(key, text);
  if (Address::parse(text))
    c.fix = fmt::format("add the length of its subnet, such as {}/{}", text, sizeof(Address) == 4 ? 24 : 64);
  return c;
}

template <typename Address>
Result next_hop(const Key& key, std::string_view text) {
  if (auto mac = net::MacAddress::parse(text)) {
    if (!mac->is_multicast() && *mac != net::MacAddress{}) return *mac;
    return Complaint{fmt::format("{} {} is no station's MAC", key.name, text),
                     "a next hop is one neighbour, not a group or nobody", "write the neighbour's own MAC"};
  }
  if (auto address = Address::parse(text)) return *address;
  return wrong_kind(key, text);
}

template <typename T>
Result value_or_wrong(const Key& key, std::string_view text, const std::optional<T>& parsed) {
  if (parsed) return *parsed;
  return wrong_kind(key, text);
}

}  // namespace

std::string PortRange::text() const { return fmt::format("{}-{}", first, last); }

std::variant<Value, Complaint> parse_value(const Key& key, std::string_view text, bool in_quotes) {
  switch (key.kind) {
    case Kind::boolean:
      if (in_quotes || (text != "true" && text != "false")) return wrong_kind(key, text);
      return text == "true";
    case Kind::integer:
      return integer(key, text, in_quotes);
    case Kind::duration:
      return duration(key, text, in_quotes);
    case Kind::choice:
      return choice(key, text);
    case Kind::instance_name:
    case Kind::interface_name:
    case Kind::device:
      return matching(key, text);
    case Kind::text:
      return line(key, text);
    case Kind::path:
      return path(key, text);
    case Kind::socket_address:
      return socket_address(key, text);
    case Kind::ipv4_address:
      return value_or_wrong(key, text, net::Ipv4Address::parse(text));
    case Kind::ipv6_address:
      return value_or_wrong(key, text, net::Ipv6Address::parse(text));
    case Kind::ip_address:
      if (auto a = net::Ipv4Address::parse(text)) return *a;
      return value_or_wrong(key, text, net::Ipv6Address::parse(text));
    case Kind::ip_prefix:
      return ip_prefix(key, text, true);
    case Kind::ipv6_prefix:
      return ip_prefix(key, text, false);
    case Kind::ipv4_interface:
      return interface_address(key, text, net::parse_interface_ipv4(text));
    case Kind::ipv6_interface:
      return interface_address(key, text, net::parse_interface_ipv6(text));
    case Kind::ipv4_next_hop:
      return next_hop<net::Ipv4Address>(key, text);
    case Kind::ipv6_next_hop:
      return next_hop<net::Ipv6Address>(key, text);
    case Kind::port_range:
      return port_range(key, text);
    case Kind::section:
      break;
  }
  return wrong_kind(key, text);
}

}  // namespace culvert::config
