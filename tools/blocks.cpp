/// `culvert blocks`: the port blocks that are not free, and whose they are.

#include <fmt/format.h>

#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(port blocks that are given out or held down

  culvert blocks [--subscriber ADDR|PREFIX] [--external ADDR[:PORT]] [--instance NAME] [--limit N] [--json]

"live" has mappings, "idle" has none and is given back after port-set-timeout, "held" was given back and waits for
hold-down-timeout (RFC 6888 REQ-8). PEAK is the most mappings at once since the block was given out. Who had a block
in the past is in the ledger: culvert log who.

Example: whose port is this?

  culvert blocks --external 203.0.113.5:4711
)";

std::vector<std::string> cells(const nlohmann::json& r) {
  const auto n = [&](const char* key) { return number_cell(r, key); };
  std::string state = text_cell(r, "state");
  if (r.contains("released_in"))
    state += ", released in " + duration_text(r.value("released_in", int64_t{0}));
  return {text_cell(r, "external"),
          fmt::format("{}-{}", n("first_port"), n("last_port")),
          text_cell(r, "subscriber"),
          text_cell(r, "instance"),
          n("used_udp"),
          n("used_tcp"),
          n("used_icmp"),
          n("peak"),
          state};
}

}  // namespace

int run_blocks(int argc, char** argv) {
  return run_listing({"blocks",
                      kHelp,
                      {{"EXTERNAL"},
                       {"PORTS"},
                       {"SUBSCRIBER"},
                       {"INSTANCE"},
                       {"UDP", true},
                       {"TCP", true},
                       {"ICMP", true},
                       {"PEAK", true},
                       {"STATE"}},
                      cells,
                      "no block is given out or held down",
                      {"subscriber", "external", "instance", "limit"}},
                     argc, argv);
}

}  // namespace culvert::tools
