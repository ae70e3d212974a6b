/// `culvert drops`: dropped packets by reason.

#include <iostream>

#include "client.h"
#include "commands.h"
#include "listing.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(dropped packets, by the reason for it

  culvert drops [--all] [--json]

Every dropped packet is counted under exactly one reason; the names are those of the metric culvert_drops_total.
Reasons without a packet are left out unless --all is given (--json gives all of them).

Example: watch what grows

  watch -d culvert drops
)";

}  // namespace

int run_drops(int argc, char** argv) {
  CommandLine line{"drops", kHelp};
  line.options.add_options()("all", "reasons without a packet too");
  add_client_options(line.options);
  return run_command(line, argc, argv, [](const po::variables_map& given) {
    Table table(std::cout, {{"REASON"}, {"PACKETS", true}, {"WHAT IT MEANS"}});
    const int code = ask("drops", given, make_request("drops", given), [&](const nlohmann::json& r) {
      if (r.value("packets", uint64_t{0}) == 0 && !given.contains("all")) return;
      table.add({text_cell(r, "reason"), number_cell(r, "packets"), text_cell(r, "meaning")});
    });
    if (code == 0 && !given.contains("json")) table.finish("no packet was dropped");
    return code;
  });
}

}  // namespace culvert::tools
