/// `culvert interfaces`: the devices, their links and counters, and the next hops behind them.

#include <fmt/format.h>

#include <iostream>

#include "client.h"
#include "commands.h"
#include "table.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(devices, links, counters and next hops

  culvert interfaces [--json]

Packets and bytes are IP packets that the workers took from and gave to the interface; errors and missed frames are
the device's own counters. "missed" grows when the workers cannot keep up. A next hop that is not resolved is why
packets are dropped as next-hop-unresolved.

"steering" says what brings packets to the worker they belong to: RSS by subscriber, rules on pool addresses, or the
rings between workers where the device does neither; then how many of the packets received by all interfaces went over
a ring. docs/steering.md tells what to expect.

Example: is the link up, and does the router answer?

  culvert interfaces --json | jq -c '[.interface, .link_up, .next_hops[].state]'
)";

std::string link_text(const nlohmann::json& i) {
  if (!i.value("link_up", false)) return "DOWN";
  const unsigned mbps = i.value("mbps", 0u);
  if (mbps == 0) return "up";
  return mbps % 1000 == 0 ? fmt::format("up, {} Gb/s", mbps / 1000) : fmt::format("up, {} Mb/s", mbps);
}

void print(const nlohmann::json& i) {
  const auto number = [&](const char* key) { return i.value(key, uint64_t{0}); };
  const std::string vlan = number("vlan") == 0 ? "" : fmt::format(", VLAN {}", number("vlan"));
  std::cout << fmt::format("{}  ({}{}): {}\n", i.value("interface", ""), i.value("role", ""), vlan,
                           link_text(i));
  const auto line = [](std::string_view name, const std::string& value) {
    std::cout << fmt::format("  {:<11}{}\n", name, value);
  };
  line("device", fmt::format("{} ({}), MAC {}, MTU {}, {} receive and {} transmit queues",
                             i.value("device", ""), i.value("driver", ""), i.value("mac", ""), number("mtu"),
                             number("rx_queues"), number("tx_queues")));
  for (const auto& a : i.value("addresses", nlohmann::json::array())) line("address", a.get<std::string>());
  for (const auto& hop : i.value("next_hops", nlohmann::json::array())) {
    const std::string address = hop.value("address", ""), mac = hop.value("mac", "");
    line("next hop", fmt::format("{} {}{}{} ({})", hop.value("family", "") == "ipv6" ? "IPv6" : "IPv4",
                                 address, address.empty() ? "" : " ",
                                 mac.empty() ? "NOT RESOLVED" : "at " + mac, hop.value("state", "")));
  }
  line("received",
       fmt::format("{} packets, {} bytes; {} errors, {} missed, {} without a buffer", number("rx_packets"),
                   number("rx_bytes"), number("rx_errors"), number("rx_missed"), number("rx_no_buffer")));
  line("steering", i.value("steering", ""));
  line("", fmt::format("{} packets of the whole box changed workers, {:.2f} % of those received",
                       number("box_handed_over"), 100 * i.value("box_handed_over_share", 0.0)));
  line("sent", fmt::format("{} packets, {} bytes; {} errors", number("tx_packets"), number("tx_bytes"),
                           number("tx_errors")));
}

}  // namespace

int run_interfaces(int argc, char** argv) {
  CommandLine line{"interfaces", kHelp};
  add_client_options(line.options);
  return run_command(line, argc, argv, [](const auto& given) {
    return ask("interfaces", given, make_request("interfaces", given), print);
  });
}

}  // namespace culvert::tools
