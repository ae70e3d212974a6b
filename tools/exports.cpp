/// `culvert exports`: what collectors get of the ledger.

#include <fmt/format.h>

#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(collectors that get what the ledger records, and how far each of them is

  culvert exports [--json]

WAITING are events in the ledger that were not sent yet: they wait there while a collector is gone. AGAIN are
those sent once more because they may not have arrived, LOST those that log-retention removed first. What an
export complained about is in culvertd's log.

Example: which collectors are not reached?

  culvert exports --json | jq -r 'select(.state == "failing") | .export'
)";

std::vector<std::string> cells(const nlohmann::json& r) {
  const auto n = [&](const char* key) { return number_cell(r, key); };
  const auto t = [&](const char* key) { return text_cell(r, key); };
  return {t("export"), t("protocol"), t("transport"), t("collector"), t("state"),   n("waiting"),
          n("sent"),   n("repeated"), n("lost"),      n("failures"),  n("position")};
}

}  // namespace

int run_exports(int argc, char** argv) {
  return run_listing({"exports",
                      kHelp,
                      {{"EXPORT"},
                       {"PROTOCOL"},
                       {"TRANSPORT"},
                       {"COLLECTOR"},
                       {"STATE"},
                       {"WAITING", true},
                       {"SENT", true},
                       {"AGAIN", true},
                       {"LOST", true},
                       {"FAILURES", true},
                       {"NEXT ORDINAL", true}},
                      cells,
                      "no exports are configured (logging: exports:)"},
                     argc, argv);
}

}  // namespace culvert::tools
