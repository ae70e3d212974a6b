/// `culvert`: one command-line tool; every subcommand is a function in a file of its own (commands.h).

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string_view>

#include "commands.h"
#include "subcommands.h"
#include "version.h"

namespace {

using namespace culvert::tools;

constexpr std::array kSubcommands = {
    Subcommand{"status", "the running box at a glance", run_status},
    Subcommand{"interfaces", "devices, links, counters and next hops", run_interfaces},
    Subcommand{"pools", "external address pools and how full they are", run_pools},
    Subcommand{"subscribers", "who uses the box, and how much of his limits", run_subscribers},
    Subcommand{"mappings", "internal endpoints and their external ones", run_mappings},
    Subcommand{"blocks", "port blocks, and whose they are", run_blocks},
    Subcommand{"drops", "dropped packets, by reason", run_drops},
    Subcommand{"workers", "how the load is spread", run_workers},
    Subcommand{"exports", "collectors of the ledger's events, and how far they are", run_exports},
    Subcommand{"clear", "end mappings, or all that a subscriber holds", run_clear},
    Subcommand{"reload", "apply the changed configuration file", run_reload},
    Subcommand{"config", "check a configuration file, print its schema or key reference", run_config},
    Subcommand{"log", "who held which address and ports when", run_log},
    Subcommand{"plan", "what logging will cost", run_plan},
    Subcommand{"ce", "the customer's end of a softwire, on a TUN device", run_ce},
    Subcommand{"replay", "what the box would do to a capture", run_replay},
};

void print_help(std::ostream& out) {
  out << "culvert — look after a carrier-grade NAT\n\n  culvert SUBCOMMAND [options]\n\nSubcommands:\n";
  list(out, kSubcommands);
  out << "\n  culvert --socket PATH SUBCOMMAND asks the culvertd there; so does $CULVERT_SOCKET.\n";
  out << "  culvert SUBCOMMAND --help explains one, culvert --version prints the version.\n";
}

/// `--socket PATH` before the subcommand is the same as $CULVERT_SOCKET. Returns how many words it took, -1
/// when the path is missing.
int take_socket(int argc, char** argv) {
  constexpr std::string_view kOption = "--socket";
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word == kOption) {
    if (argc < 3) return -1;
    setenv("CULVERT_SOCKET", argv[2], 1);
    return 2;
  }
  if (!word.starts_with(kOption) || word.substr(kOption.size(), 1) != "=") return 0;
  setenv("CULVERT_SOCKET", argv[1] + kOption.size() + 1, 1);
  return 1;
}

int run(int argc, char** argv) {
  const int taken = take_socket(argc, argv);
  if (taken < 0) {
    std::cerr << "culvert: --socket needs a PATH\n";
    return 2;
  }
  argc -= taken;
  argv += taken;
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--version") {
    std::cout << "culvert " << CULVERT_VERSION << '\n';
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(std::cout);
    return 0;
  }
  if (name.empty()) {
    print_help(std::cerr);
    return 2;
  }
  return run_subcommand("culvert", kSubcommands, argc - 1, argv + 1);
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const int code = run(argc, argv);
  // What could not be written must not look done.
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::cout.good()) return code;
  std::cerr << fmt::format("culvert: standard output: {}\n", std::strerror(errno != 0 ? errno : EIO));
  return code != 0 ? code : 1;
}
