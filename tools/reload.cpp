/// `culvert reload`: culvertd reads its configuration file again.

#include <fmt/format.h>

#include <iostream>

#include "client.h"
#include "commands.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(apply the changed configuration file

  culvert reload [--json]

culvertd reads its file again and applies it: all of it, or nothing. What did not change goes on without losing a
packet; removed pools drain (culvert pools shows them). A file with mistakes, or a change that needs a restart, is
refused: every reason is printed, nothing changes, and the exit code is 1.

Example: look first, then apply

  culvert config check /etc/culvert/culvert.yaml && culvert reload
)";

}  // namespace

int run_reload(int argc, char** argv) {
  CommandLine line{"reload", kHelp};
  add_client_options(line.options);
  return run_command(line, argc, argv, [](const po::variables_map& given) {
    return ask("reload", given, make_request("reload", given), [](const nlohmann::json& r) {
      std::cout << fmt::format("ok: {} is in force (generation {})\n", r.value("config", ""),
                               r.value("config_generation", uint64_t{0}));
    });
  });
}

}  // namespace culvert::tools
