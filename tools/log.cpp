/// `culvert log`: searches a ledger; one file for each subcommand (log_*.cpp).

#include <array>
#include <iostream>
#include <string_view>

#include "commands.h"
#include "log_commands.h"
#include "subcommands.h"

namespace culvert::tools {
namespace {

constexpr std::array kSubcommands = {
    Subcommand{"who", "who had a public address and port at a time", run_log_who},
    Subcommand{"subscriber", "what a subscriber had", run_log_subscriber},
    Subcommand{"show", "what is on record, line by line", run_log_show},
    Subcommand{"verify", "whether it is whole, and as it was written", run_log_verify},
    Subcommand{"stats", "what is in it, in numbers", run_log_stats},
    Subcommand{"seal", "seal segments that were left behind", run_log_seal},
    Subcommand{"export", "send it to a collector, once more or afterwards", run_log_export},
    Subcommand{"radius", "whose sessions those are: RADIUS accounting", run_log_radius},
};

void print_help(std::ostream& out) {
  out << "culvert log — who held which address and ports when\n\n  culvert log SUBCOMMAND "
         "[options]\n\nSubcommands:\n";
  list(out, kSubcommands);
  out << "\n  --ledger DIR, or $CULVERT_LEDGER, names the ledger; else it is /var/lib/culvert/ledger.\n"
         "  culvert log SUBCOMMAND --help explains one; docs/log.md has examples.\n";
}

}  // namespace

int run_log(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h") {
    print_help(std::cout);
    return 0;
  }
  if (name.empty()) {
    print_help(std::cerr);
    return 2;
  }
  return run_subcommand("culvert log", kSubcommands, argc - 1, argv + 1);
}

}  // namespace culvert::tools
