/// `culvert`: one command-line tool; every subcommand is a function in a file of its own (commands.h).

#include <fmt/format.h>

#include <array>
#include <iostream>
#include <string_view>

#include "commands.h"
#include "version.h"

namespace {

using namespace culvert::tools;

struct Subcommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);
};

constexpr std::array kSubcommands = {
    Subcommand{"ce", "the customer's end of a softwire, on a TUN device", run_ce},
};

void print_help(std::ostream& out) {
  out << "culvert — look after a carrier-grade NAT\n\n  culvert SUBCOMMAND [options]\n\nSubcommands:\n";
  for (const auto& s : kSubcommands) out << fmt::format("  {:<14} {}\n", s.name, s.summary);
  out << "\n  culvert SUBCOMMAND --help explains one, culvert --version prints the version.\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--version") {
    std::cout << "culvert " << CULVERT_VERSION << '\n';
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(std::cout);
    return 0;
  }
  for (const auto& s : kSubcommands) {
    if (s.name == name) return s.run(argc - 1, argv + 1);
  }
  if (!name.empty()) std::cerr << fmt::format("culvert: there is no subcommand {}\n\n", name);
  print_help(std::cerr);
  return 2;
}
