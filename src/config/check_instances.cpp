#include <fmt/format.h>

#include "config/checks.h"

namespace culvert::config {
namespace {

constexpr const char* type_names[] = {"nat44", "ds-lite", "nat64"};

/// A minimum that an RFC demands (MUST NOT expire earlier).
struct Minimum {
  std::string_view key;
  uint64_t seconds;
  std::string_view clause;
};
/// RFC 7857 §2.1 lets tcp-trans-open-timeout be shorter, so it is not among them.
constexpr Minimum minima[] = {
    {"udp-timeout", 120, "RFC 4787 REQ-5: a UDP mapping must not expire in less than two minutes"},
    {"tcp-idle-timeout", 7440,
     "RFC 5382 REQ-5: an established session must not expire in less than 2 h 4 min"},
    {"tcp-trans-close-timeout", 240,
     "RFC 5382 REQ-5: a transitory session must not expire in less than 4 minutes"},
    {"tcp-in-syn-timeout", 6,
     "RFC 5382 REQ-4: an unsolicited SYN must not be answered for at least 6 seconds"},
    {"fragment-min-timeout", 2, "RFC 6146 §3.4: the rest of a fragmented packet has at least 2 seconds"},
    {"icmp-timeout", 60, "RFC 5508 REQ-2: an ICMP query session must not expire in less than 60 seconds"},
};

void check_timers(const Record& instance, Report& report) {
  if (instance.get<bool>("allow-short-timers").value_or(true)) return;
  for (const Minimum& m : minima) {
    auto value = instance.get<uint64_t>(m.key);
    if (value && *value < m.seconds)
      report.add(
          instance.value_place(m.key),
          {fmt::format("{} {} is shorter than {} seconds", m.key, *value, m.seconds), std::string(m.clause),
           fmt::format("use {} or more, or set allow-short-timers: true", m.seconds)});
  }
}

/// Keys that another type of instance would need.
void check_foreign_keys(const Record& record, uint8_t type_bit, std::string_view type, Report& report) {
  for (const auto& [name, place] : record.keys) {
    const Key* key = record.section->find(name);
    if ((key->types & type_bit) != 0) continue;
    std::vector<std::string> owners;
    for (unsigned i = 0; i < 3; i++)
      if ((key->types >> i & 1) != 0) owners.emplace_back(type_names[i]);
    report.add(place,
               {fmt::format("{} has no meaning in an instance of type {}", name, type),
                fmt::format("it belongs to {}", alternatives(owners)), "remove it, or change the type"});
  }
}

void require(const Record& record, std::string_view key, std::string_view why, std::string_view example,
             Report& report) {
  if (record.wrote(key)) return;
  report.add(record.place, {fmt::format("{} has no {}",
                                        record.section->name == "instance"
                                            ? "instance " + title_of(record)
                                            : "this " + std::string(record.section->name) + " entry",
                                        key),
                            std::string(why), fmt::format("add for example {}: {}", key, example)});
}

/// A size in bytes where 0 means `zero`.
void check_size(const Record& instance, std::string_view key, uint64_t least, std::string_view why,
                std::string_view zero, Report& report) {
  const auto size = instance.get<uint64_t>(key).value_or(0);
  if (size == 0 || size >= least) return;
  report.add(instance.value_place(key),
             {fmt::format("{} {} is less than {}", key, size, least), std::string(why),
              fmt::format("use {} or more, or 0 for {}", least, zero)});
}

void check_type(const Record& instance, Carriage carriage, Report& report) {
  auto number = static_cast<unsigned>(carriage);
  auto bit = static_cast<uint8_t>(1u << number);
  check_foreign_keys(instance, bit, type_names[number], report);
  for (const Record& match : instance.records("subscriber-match"))
    check_foreign_keys(match, bit, type_names[number], report);
  for (const Record& mapping : instance.records("mapping-table")) {
    check_foreign_keys(mapping, bit, type_names[number], report);
    if (carriage == Carriage::ds_lite)
      require(mapping, "b4-ipv6-address",
              "behind different B4s hosts have the same addresses (RFC 6333 §6.6)", "2001:db8:0:100::1",
              report);
  }
  check_size(instance, "mss-clamping", 536, "every IPv4 host takes segments of 536 bytes (RFC 9293 §3.7.1)",
             "what the hosts announce", report);
  if (carriage == Carriage::ds_lite)
    check_size(instance, "softwire-payload-mtu", 1280 - 40,
               "every IPv6 link carries 1280 bytes, 40 of them the outer header (RFC 8200 §5)",
               "what the inside MTU leaves", report);
  if (carriage == Carriage::ds_lite)
    require(instance, "aftr-ipv6-addr", "B4s need an address at which their softwires end", "2001:db8::1",
            report);
  if (carriage == Carriage::nat64)
    require(instance, "nat64-prefix", "IPv6-only hosts reach IPv4 through it", "64:ff9b::/96", report);
}

}  // namespace

std::optional<Carriage> carriage_of(const Record& instance) {
  auto type = instance.get<std::string>("type");
  if (!type) return std::nullopt;
  for (unsigned i = 0; i < 3; i++)
    if (*type == type_names[i]) return static_cast<Carriage>(i);
  return std::nullopt;
}

std::string title_of(const Record& instance) {
  auto name = instance.get<std::string>("name");
  return name ? *name : fmt::format("on {}", line_of(instance.place));
}

bool udp_inbound_refresh(const Record& instance) {
  return instance.get<bool>("udp-inbound-refresh").value_or(carriage_of(instance) == Carriage::nat64);
}

void check_instances(const Record& root, Report& report) {
  std::map<std::string, Place> names;
  size_t contexts = 0;
  for (const Record& instance : root.records("instances")) {
    if (auto name = instance.get<std::string>("name")) {
      auto [first, fresh] = names.emplace(*name, instance.value_place("name"));
      if (!fresh)
        report.add(instance.value_place("name"),
                   {fmt::format("a second instance has the name {}", *name),
                    fmt::format("the first is on {}, and records name instances", line_of(first->second)),
                    "give it another name"});
    }
    if (auto carriage = carriage_of(instance)) check_type(instance, *carriage, report);
    check_timers(instance, report);
    size_t here = instance.list("aftr-ipv6-addr").size() + instance.list("nat64-prefix").size();
    // The data plane numbers them in eight bits, some of which it keeps for itself.
    constexpr size_t most = 200;
    if (contexts <= most && contexts + here > most)
      report.add(instance.place,
                 {fmt::format("with instance {} there are {} AFTR addresses and NAT64 prefixes",
                              title_of(instance), contexts + here),
                  fmt::format("the whole box can have {}", most), "use fewer"});
    contexts += here;
  }
}

}  // namespace culvert::config
