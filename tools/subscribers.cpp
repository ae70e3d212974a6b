/// `culvert subscribers`: who uses the box now, and how much of his limits.

#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(subscribers with a port block or a mapping

  culvert subscribers [--subscriber ADDR|PREFIX] [--external ADDR] [--instance NAME] [--limit N] [--json]

A subscriber is a prefix as long as subscriber-mask. Figures with a slash are "used/limit". Ports are counted for
each protocol, as port-quota limits them (RFC 6888 REQ-4).

Example: who is behind this external address?

  culvert subscribers --external 203.0.113.5
)";

std::vector<std::string> cells(const nlohmann::json& r) {
  return {text_cell(r, "subscriber"),
          text_cell(r, "instance"),
          text_cell(r, "external"),
          limit_cell(r, "blocks", "blocks_limit"),
          limit_cell(r, "mappings", "mappings_limit"),
          limit_cell(r, "ports_udp", "ports_limit"),
          limit_cell(r, "ports_tcp", "ports_limit"),
          limit_cell(r, "ports_icmp", "ports_limit"),
          limit_cell(r, "sessions", "sessions_limit"),
          number_cell(r, "worker")};
}

}  // namespace

int run_subscribers(int argc, char** argv) {
  return run_listing({"subscribers",
                      kHelp,
                      {{"SUBSCRIBER"},
                       {"INSTANCE"},
                       {"EXTERNAL"},
                       {"BLOCKS", true},
                       {"MAPPINGS", true},
                       {"UDP", true},
                       {"TCP", true},
                       {"ICMP", true},
                       {"MORE SESSIONS", true},
                       {"WORKER", true}},
                      cells,
                      "no subscriber has a block or a mapping",
                      {"subscriber", "external", "instance", "limit"}},
                     argc, argv);
}

}  // namespace culvert::tools
