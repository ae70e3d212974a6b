/// `culvert pools`: external addresses and how much of their port blocks is in use.

#include <fmt/format.h>

#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(external address pools and their port blocks

  culvert pools [--instance NAME] [--json]

LIVE blocks are subscribers', HELD ones were given back and wait for hold-down-timeout (RFC 6888 REQ-8), FREE ones
can be given out; USE is the part that is live or held. UDP, TCP and ICMP are ports with a mapping. A pool that left
the configuration is draining until its last block is free, at the latest until the time shown.

Example: warn when a pool is nearly used up

  culvert pools --json | jq -r 'select(.usage > 0.9) | .pool'
)";

std::vector<std::string> cells(const nlohmann::json& r) {
  const auto n = [&](const char* key) { return number_cell(r, key); };
  return {
      text_cell(r, "pool"),
      text_cell(r, "instance"),
      fmt::format("{}-{}", n("first_port"), n("last_port")),
      n("port_set_size"),
      n("addresses"),
      n("blocks"),
      n("blocks_live"),
      n("blocks_held"),
      n("blocks_free"),
      percent_text(r.value("usage", 0.0), 1),
      n("ports_udp"),
      n("ports_tcp"),
      n("ports_icmp"),
      r.value("draining", false) ? "draining, cut in " + duration_text(r.value("cut_in", 0)) : "in service"};
}

}  // namespace

int run_pools(int argc, char** argv) {
  return run_listing({"pools",
                      kHelp,
                      {{"POOL"},
                       {"INSTANCE"},
                       {"PORTS"},
                       {"SET", true},
                       {"ADDRESSES", true},
                       {"BLOCKS", true},
                       {"LIVE", true},
                       {"HELD", true},
                       {"FREE", true},
                       {"USE", true},
                       {"UDP", true},
                       {"TCP", true},
                       {"ICMP", true},
                       {"STATE"}},
                      cells,
                      "no pools",
                      {"instance"}},
                     argc, argv);
}

}  // namespace culvert::tools
