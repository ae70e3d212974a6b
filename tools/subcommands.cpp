#include "subcommands.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include "config/report.h"

namespace culvert::tools {

void list(std::ostream& out, std::span<const Subcommand> table) {
  size_t width = 0;
  for (const Subcommand& s : table) width = std::max(width, s.name.size());
  for (const Subcommand& s : table) out << fmt::format("  {:<{}} {}\n", s.name, width + 2, s.summary);
}

int run_subcommand(std::string_view command, std::span<const Subcommand> table, int argc, char** argv) {
  const std::string_view name = argv[0];
  std::vector<std::string_view> names;
  for (const Subcommand& s : table) {
    if (s.name == name) return s.run(argc, argv);
    names.push_back(s.name);
  }
  if (name.starts_with('-')) {
    std::cerr << fmt::format("{}: unrecognised option {} before the subcommand; see {} --help\n", command,
                             name, command);
    return 2;
  }
  const std::string_view meant = config::closest(name, names);
  std::cerr << fmt::format("{}: there is no subcommand {}{}; {} --help lists them\n", command,
                           config::quoted(name), meant.empty() ? "" : fmt::format(", did you mean {}", meant),
                           command);
  return 2;
}

}  // namespace culvert::tools
