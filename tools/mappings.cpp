/// `culvert mappings`: who talks through which external endpoint.

#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(internal endpoints and their external ones

  culvert mappings [--subscriber ADDR|PREFIX] [--external ADDR[:PORT]] [--internal ADDR[:PORT]]
                   [--protocol udp|tcp|icmp] [--instance NAME] [--limit N] [--json]

REMOTE and STATE are of the mapping's first session where the box keeps one (TCP, or adf and edf filtering); plain
UDP mappings keep none (RFC 4787 REQ-8, endpoint-independent filtering). ICMP uses the query identifier as port.
A listing of any length is streamed and does not slow the traffic; what comes and goes meanwhile may be missed.

Examples: who has this endpoint, and what has this home open?

  culvert mappings --external 203.0.113.5:4711
  culvert mappings --subscriber 2001:db8:100:100::/56 --protocol tcp
)";

std::vector<std::string> cells(const nlohmann::json& r) {
  const auto expires = r.find("expires");
  return {text_cell(r, "carriage"),
          text_cell(r, "protocol"),
          text_cell(r, "subscriber"),
          text_cell(r, "internal"),
          text_cell(r, "external"),
          text_cell(r, "remote"),
          text_cell(r, "state"),
          duration_text(r.value("age", 0)),
          expires == r.end() ? "never" : duration_text(expires->get<int64_t>())};
}

}  // namespace

int run_mappings(int argc, char** argv) {
  return run_listing({"mappings",
                      kHelp,
                      {{"CARRIAGE"},
                       {"PROTOCOL"},
                       {"SUBSCRIBER"},
                       {"INTERNAL"},
                       {"EXTERNAL"},
                       {"REMOTE"},
                       {"STATE"},
                       {"AGE", true},
                       {"EXPIRES", true}},
                      cells,
                      "no mappings",
                      {"subscriber", "external", "internal", "protocol", "instance", "limit"}},
                     argc, argv);
}

}  // namespace culvert::tools
