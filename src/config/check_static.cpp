#include <fmt/format.h>

#include <tuple>

#include "config/checks.h"

namespace culvert::config {
namespace {

using net::Ipv4Address;
using net::Ipv4Prefix;
using net::Ipv6Address;
using net::Ipv6Prefix;

/// Who the subscriber of a static mapping is: the address masked, as text.
struct Subscriber {
  bool known = false;  ///< some subscriber-match has the address
  std::string key;
};

Subscriber subscriber_of(const Record& instance, Carriage carriage, const Value& address) {
  for (const Record& match : instance.records("subscriber-match")) {
    uint8_t mask = subscriber_mask(match, carriage);
    if (const auto* a4 = std::get_if<Ipv4Address>(&address)) {
      auto subnet = match.get<Ipv4Prefix>("subnet");
      if (subnet && subnet->contains(*a4))
        return {true, Ipv4Address(mask == 0 ? 0 : a4->value() & ~uint32_t{0} << (32 - mask)).text()};
    } else if (const auto* a6 = std::get_if<Ipv6Address>(&address)) {
      auto subnet = match.get<Ipv6Prefix>("subnet");
      if (subnet && subnet->contains(*a6)) return {true, a6->masked(mask).text()};
    }
  }
  return {};
}

std::string text_of(const Value& address) {
  if (const auto* a4 = std::get_if<Ipv4Address>(&address)) return a4->text();
  if (const auto* a6 = std::get_if<Ipv6Address>(&address)) return a6->text();
  return {};
}

class Checker {
 public:
  Checker(const Record& instance, Carriage carriage, Report& report)
      : instance_(instance), carriage_(carriage), report_(report), pools_(pools_of(instance)) {
    for (const Record& match : instance.records("subscriber-match"))
      all_matches_right_ &= !match.list("subnet").empty();
  }

  void check(const Record& mapping) {
    external(mapping);
    auto subscriber = internal(mapping);
    auto address = mapping.get<Ipv4Address>("external-src-address");
    if (!subscriber.known || !address) return;
    Place place = mapping.value_place("external-src-address");
    auto [first, fresh] = addresses_.try_emplace(subscriber.key, std::pair(*address, place));
    if (!fresh && first->second.first != *address)
      report_.add(place, {fmt::format("external-src-address {} is a second address of the subscriber {}",
                                      address->text(), subscriber.key),
                          fmt::format("he has {} on {}, and one subscriber has one address (RFC 6888 REQ-2)",
                                      first->second.first.text(), line_of(first->second.second)),
                          fmt::format("use {}", first->second.first.text())});
  }

 private:
  void external(const Record& m) {
    auto address = m.get<Ipv4Address>("external-src-address");
    auto port = m.get<uint64_t>("external-src-port");
    auto protocol = m.get<std::string>("transport-protocol");
    if (address && pools_.size() == instance_.records("external-ip-address-pool").size()) {
      bool inside = false;
      for (const auto& pool : pools_) inside |= pool.contains(*address);
      if (!inside && !pools_.empty())
        report_.add(m.value_place("external-src-address"),
                    {fmt::format("external-src-address {} is in no pool of instance {}", address->text(),
                                 title_of(instance_)),
                     "packets to it would not be this instance's",
                     fmt::format("use an address of {}", pools_.front().text())});
    }
    auto kept = instance_.get<PortRange>("explicit-port-range");
    if (port && !instance_.wrote("explicit-port-range"))
      report_.add(m.value_place("external-src-port"),
                  {fmt::format("external-src-port {} is not in an explicit-port-range", *port),
                   fmt::format("instance {} has none, so every port may be in a subscriber's block",
                               title_of(instance_)),
                   "add explicit-port-range: FIRST-LAST and take these ports out of port-range"});
    else if (port && kept && !kept->contains(*port))
      report_.add(m.value_place("external-src-port"),
                  {fmt::format("external-src-port {} is outside explicit-port-range {}", *port, kept->text()),
                   "static mappings use ports that are kept for them, outside the blocks",
                   fmt::format("use a port of {}, or widen the range", kept->text())});
    if (!address || !port || !protocol) return;
    auto [first, fresh] = externals_.try_emplace({*protocol, *address, *port}, m.place);
    if (!fresh)
      report_.add(m.value_place("external-src-port"),
                  {fmt::format("{} {}:{} is mapped a second time", *protocol, address->text(), *port),
                   fmt::format("it leads to another place already ({})", line_of(first->second)),
                   "use another port for one of the two"});
  }

  Subscriber internal(const Record& m) {
    const auto& values = m.list("internal-src-address");
    const auto& b4s = m.list("b4-ipv6-address");
    bool want_v6 = carriage_ == Carriage::nat64, right = !values.empty();
    if (right && std::holds_alternative<Ipv6Address>(values.front().value) != want_v6) {
      report_.add(values.front().place,
                  {fmt::format("internal-src-address {} is {}", text_of(values.front().value),
                               want_v6 ? "IPv4" : "IPv6"),
                   want_v6 ? "hosts behind nat64 have IPv6 addresses" : "the mapped host has an IPv4 address",
                   want_v6 ? "write an IPv6 address" : "write an IPv4 address"});
      right = false;
    }
    const auto& identity = carriage_ == Carriage::ds_lite ? b4s : values;
    std::string_view key = carriage_ == Carriage::ds_lite ? "b4-ipv6-address" : "internal-src-address";
    Subscriber subscriber;
    if (!identity.empty() && (right || carriage_ == Carriage::ds_lite)) {
      subscriber = subscriber_of(instance_, carriage_, identity.front().value);
      if (!subscriber.known && all_matches_right_ && !instance_.records("subscriber-match").empty())
        report_.add(
            identity.front().place,
            {fmt::format("{} {} is in no subscriber-match of instance {}", key,
                         text_of(identity.front().value), title_of(instance_)),
             "only subscribers are served", "correct the address, or add its prefix to subscriber-match"});
    }
    auto port = m.get<uint64_t>("internal-src-port");
    auto protocol = m.get<std::string>("transport-protocol");
    if (right && port && protocol) {
      std::string b4 = b4s.empty() ? "" : text_of(b4s.front().value);
      auto [first, fresh] =
          internals_.try_emplace({*protocol, b4, text_of(values.front().value), *port}, m.place);
      if (!fresh)
        report_.add(m.value_place("internal-src-address"),
                    {fmt::format("{} port {} of {} is mapped a second time", *protocol, *port,
                                 text_of(values.front().value)),
                     fmt::format("it has its mapping on {}, and an endpoint has one (RFC 4787 REQ-1)",
                                 line_of(first->second)),
                     "remove one of the two"});
    }
    return subscriber;
  }

  const Record& instance_;
  Carriage carriage_;
  Report& report_;
  std::vector<Ipv4Prefix> pools_;
  bool all_matches_right_ = true;
  std::map<std::tuple<std::string, Ipv4Address, uint64_t>, Place> externals_;
  std::map<std::tuple<std::string, std::string, std::string, uint64_t>, Place> internals_;
  std::map<std::string, std::pair<Ipv4Address, Place>> addresses_;
};

}  // namespace

void check_static_mappings(const Record& root, Report& report) {
  for (const Record& instance : root.records("instances")) {
    auto carriage = carriage_of(instance);
    if (!carriage) continue;
    Checker checker(instance, *carriage, report);
    for (const Record& mapping : instance.records("mapping-table")) checker.check(mapping);
  }
}

}  // namespace culvert::config
