#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/checks.h"

namespace culvert::config {
namespace {

using net::Ipv4Address;
using net::Ipv6Address;

/// "net_tap0" of "net_tap0,iface=x": DPDK names a device by what stands before the comma.
std::string_view device_name(std::string_view device) { return device.substr(0, device.find(',')); }

std::string described(const Record& i) {
  auto name = i.get<std::string>("name");
  return name ? fmt::format("interface {}", *name) : fmt::format("the interface on {}", line_of(i.place));
}

void check_names(const std::vector<Record>& interfaces, Report& report) {
  std::map<std::string, Place> seen;
  for (const Record& i : interfaces) {
    auto name = i.get<std::string>("name");
    if (!name) continue;
    auto [first, fresh] = seen.emplace(*name, i.value_place("name"));
    if (!fresh)
      report.add(i.value_place("name"),
                 {fmt::format("a second interface has the name {}", *name),
                  fmt::format("the first is on {}, and the kernel's taps need different names",
                              line_of(first->second)),
                  "give it another name"});
  }
}

/// Interfaces that share a device differ in VLAN and agree on what belongs to the device.
void check_devices(const std::vector<Record>& interfaces, Report& report) {
  std::map<std::string, std::vector<const Record*>, std::less<>> devices;
  for (const Record& i : interfaces) {
    auto device = i.get<std::string>("device");
    if (!device) continue;
    auto& sharing = devices[std::string(device_name(*device))];
    sharing.push_back(&i);
    if (devices.size() > 2 && sharing.size() == 1)
      report.add(i.value_place("device"), {fmt::format("{} is a third device", *device),
                                           "the appliance has one or two", "use VLANs on one of the others"});
    if (sharing.size() == 1) continue;
    const Record& first = *sharing.front();
    auto differs = [&](std::string_view key) {
      return i.get<uint64_t>(key).value_or(0) != first.get<uint64_t>(key).value_or(0);
    };
    if (*device != *first.get<std::string>("device")) {
      report.add(i.value_place("device"),
                 {fmt::format("the device {} has other arguments here", device_name(*device)),
                  fmt::format("it is opened once, with those on {}", line_of(first.value_place("device"))),
                  "write the same string at both places, or another device's name"});
      continue;
    }
    for (std::string_view key : {"queues", "rx-descriptors", "tx-descriptors"})
      if (differs(key) && !(i.wrote(key) && i.list(key).empty()) &&
          !(first.wrote(key) && first.list(key).empty()))
        report.add(i.value_place(key),
                   {fmt::format("{} is {} here", key, i.get<uint64_t>(key).value_or(0)),
                    fmt::format("it belongs to the device {}, which has {} on {}", device_name(*device),
                                first.get<uint64_t>(key).value_or(0), line_of(first.value_place(key))),
                    "use the same figure at both places"});
    for (const Record* other : sharing) {
      if (other == &i) continue;
      if ((i.wrote("vlan") && i.list("vlan").empty()) ||
          (other->wrote("vlan") && other->list("vlan").empty()))
        continue;
      if (i.get<uint64_t>("vlan") != other->get<uint64_t>("vlan")) continue;
      auto vlan = i.get<uint64_t>("vlan");
      report.add(
          vlan ? i.value_place("vlan") : i.value_place("device"),
          {vlan ? fmt::format("VLAN {} of the device {} is used a second time", *vlan, device_name(*device))
                : fmt::format("the device {} is used a second time without a VLAN", device_name(*device)),
           fmt::format("frames could not be told from those of {} ({})", described(*other),
                       line_of(other->place)),
           "give the two different vlan values"});
      break;
    }
  }
}

void check_roles(const Record& root, Report& report) {
  const auto& interfaces = root.records("interfaces");
  unsigned inside = 0, outside = 0, both = 0, unknown = 0;
  for (const Record& i : interfaces) {
    auto role = i.get<std::string>("role");
    (!role ? unknown : *role == "inside" ? inside : *role == "outside" ? outside : both)++;
  }
  if (interfaces.empty() || unknown > 0) return;
  if (both > 0 && interfaces.size() > 1) {
    for (const Record& i : interfaces)
      if (i.get<std::string>("role") == "both")
        return report.add(i.value_place("role"),
                          {fmt::format("{} has the role both, but is not alone", described(i)),
                           "with a second interface every packet has one inside and one outside",
                           "make it inside or outside, or remove the others"});
  }
  if (inside > 1 || outside > 1) {
    const char* role = inside > 1 ? "inside" : "outside";
    unsigned seen = 0;
    for (const Record& i : interfaces)
      if (i.get<std::string>("role") == role && ++seen == 2)
        return report.add(
            i.value_place("role"),
            {fmt::format("{} is a second interface with the role {}", described(i), role),
             "the box has one interface on each side", "let a router join the networks of one side"});
  }
  if (both == 0 && (inside == 0 || outside == 0))
    report.add(root.key_place("interfaces"),
               {fmt::format("no interface has the role {}", inside == 0 ? "inside" : "outside"),
                "packets need a way in and a way out", "add one, or give a single interface the role both"});
}

net::Ipv6Prefix prefix_of(const net::InterfaceAddress<Ipv6Address>& a) {
  return {a.address.masked(a.prefix_length), a.prefix_length};
}
net::Ipv4Prefix prefix_of(const net::InterfaceAddress<Ipv4Address>& a) {
  uint32_t mask = a.prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - a.prefix_length);
  return {Ipv4Address(a.address.value() & mask), a.prefix_length};
}

/// Why an address can be nobody's, or empty.
std::string_view not_a_host(const net::InterfaceAddress<Ipv4Address>& a) {
  auto prefix = prefix_of(a);
  uint32_t top = a.address.value() >> 24;
  if (top == 0 || top == 127 || top >= 224)
    return "it is a loopback, multicast or reserved address (RFC 6890)";
  if (a.prefix_length < 31 && a.address.value() == prefix.first())
    return "it is the subnet's own number, not a host's (RFC 1122 §3.2.1.3)";
  if (a.prefix_length < 31 && a.address.value() == prefix.last())
    return "it is the subnet's broadcast address (RFC 1122 §3.2.1.3)";
  return {};
}
std::string_view not_a_host(const net::InterfaceAddress<Ipv6Address>& a) {
  if (a.address.bytes[0] == 0xff) return "it is a multicast address (RFC 4291 §2.7)";
  if (a.address.high() == 0 && a.address.low() <= 1)
    return "it is the unspecified or the loopback address (RFC 4291 §2.5)";
  return {};
}

bool link_local(const Ipv6Address& a) { return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80; }
bool link_local(const Ipv4Address&) { return false; }

template <typename Address>
void check_own_addresses(const std::vector<Record>& interfaces, std::string_view key, Report& report) {
  using WithLength = net::InterfaceAddress<Address>;
  std::map<Address, Place> seen;
  for (const Record& i : interfaces) {
    for (const Leaf& leaf : i.list(key)) {
      const auto& a = std::get<WithLength>(leaf.value);
      if (auto why = not_a_host(a); !why.empty())
        report.add(leaf.place, {fmt::format("{} {}/{} is no address for an interface", key, a.address.text(),
                                            a.prefix_length),
                                std::string(why), "use the address of a host in the subnet"});
      auto [first, fresh] = seen.emplace(a.address, leaf.place);
      if (!fresh && !link_local(a.address))
        report.add(leaf.place,
                   {fmt::format("{} {} is given a second time", key, a.address.text()),
                    fmt::format("it stands on {} already", line_of(first->second)), "remove one of the two"});
    }
  }
}

template <typename Address>
void check_next_hop(const Record& i, std::string_view key, std::string_view address_key, Report& report) {
  auto hop = i.get<Address>(key);
  if (!hop || (i.wrote(address_key) && i.list(address_key).empty())) return;
  bool on_link = link_local(*hop);
  for (const Leaf& leaf : i.list(address_key)) {
    const auto& own = std::get<net::InterfaceAddress<Address>>(leaf.value);
    if (own.address == *hop)
      return report.add(i.value_place(key),
                        {fmt::format("{} {} is the box itself", key, hop->text()),
                         fmt::format("it is an address of this interface ({})", line_of(leaf.place)),
                         "write the neighbour's address"});
    if (!prefix_of(own).contains(*hop)) continue;
    on_link = true;
    if (auto why = not_a_host({*hop, own.prefix_length}); !why.empty())
      return report.add(i.value_place(key), {fmt::format("{} {} can be no neighbour", key, hop->text()),
                                             std::string(why), "write the neighbour's address"});
  }
  if (!on_link)
    report.add(i.value_place(key),
               {fmt::format("{} {} is not in a subnet of {}", key, hop->text(), described(i)),
                "the kernel can resolve only addresses on the link",
                fmt::format("add an {} whose subnet has it, or write the neighbour's MAC", address_key)});
}

/// Some interface facing each side must know where to send what the instances make.
void check_next_hops_present(const Record& root, Report& report) {
  bool v4_inside = false, v6_inside = false;
  for (const Record& instance : root.records("instances")) {
    auto carriage = carriage_of(instance);
    if (!carriage) return;
    (*carriage == Carriage::nat44 ? v4_inside : v6_inside) = true;
  }
  auto require = [&](std::string_view side, std::string_view key, std::string_view why) {
    const Record* facing = nullptr;
    for (const Record& i : root.records("interfaces")) {
      auto role = i.get<std::string>("role");
      if (!role || (*role != side && *role != "both")) continue;
      if (i.wrote(key)) return;
      if (facing == nullptr) facing = &i;
    }
    if (facing != nullptr)
      report.add(facing->place, {fmt::format("{} has no {}", described(*facing), key), std::string(why),
                                 fmt::format("add {}: with a MAC or an address of its subnet", key)});
  };
  if (v6_inside) require("inside", "next-hop-ipv6", "ds-lite and nat64 send IPv6 packets to subscribers");
  if (v4_inside) require("inside", "next-hop-ipv4", "nat44 sends IPv4 packets to subscribers");
  bool one_armed = root.records("interfaces").size() == 1;
  if (!(one_armed && v4_inside))
    require("outside", "next-hop-ipv4", "every instance sends IPv4 packets to the internet");
}

}  // namespace

void check_interfaces(const Record& root, Report& report) {
  const auto& interfaces = root.records("interfaces");
  check_names(interfaces, report);
  check_devices(interfaces, report);
  check_roles(root, report);
  check_own_addresses<Ipv4Address>(interfaces, "ipv4-address", report);
  check_own_addresses<Ipv6Address>(interfaces, "ipv6-address", report);
  for (const Record& i : interfaces) {
    check_next_hop<Ipv4Address>(i, "next-hop-ipv4", "ipv4-address", report);
    check_next_hop<Ipv6Address>(i, "next-hop-ipv6", "ipv6-address", report);
  }
  check_next_hops_present(root, report);
}

}  // namespace culvert::config
