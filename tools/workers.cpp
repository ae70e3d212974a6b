/// `culvert workers`: how the load is spread.

#include <fmt/format.h>

#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(workers and their share of the load

  culvert workers [--json]

LOAD is the part of the last second's looks at a device that found packets. HANDED OVER are packets that arrived
at a worker that does not own them and went on by ring: few where the hardware steers as the box wants it.

Example: is one worker much busier than the others?

  culvert workers --json | jq -c '[.worker, .packets_per_second]'
)";

std::vector<std::string> cells(const nlohmann::json& r) {
  const auto n = [&](const char* key) { return number_cell(r, key); };
  return {n("worker"),
          n("cpu"),
          n("outbound_packets"),
          n("inbound_packets"),
          fmt::format("{:.0f}", r.value("packets_per_second", 0.0)),
          percent_text(r.value("load", 0.0), 1),
          n("drops"),
          n("handoffs_sent"),
          n("handoffs_received"),
          n("subscribers"),
          n("mappings"),
          n("blocks")};
}

}  // namespace

int run_workers(int argc, char** argv) {
  return run_listing({"workers",
                      kHelp,
                      {{"WORKER", true},
                       {"CPU", true},
                       {"OUTBOUND", true},
                       {"INBOUND", true},
                       {"PACKETS/S", true},
                       {"LOAD", true},
                       {"DROPS", true},
                       {"HANDED OVER", true},
                       {"TAKEN OVER", true},
                       {"SUBSCRIBERS", true},
                       {"MAPPINGS", true},
                       {"BLOCKS", true}},
                      cells,
                      "no workers"},
                     argc, argv);
}

}  // namespace culvert::tools
