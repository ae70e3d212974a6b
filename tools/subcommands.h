/// A command's table of subcommands: one finds a name in it, lists it, and says what a wrong name may have
/// meant.
#pragma once

#include <ostream>
#include <span>
#include <string_view>

namespace culvert::tools {

struct Subcommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);  ///< from its own name on; returns the exit code
};

/// A line for each, for `--help`.
void list(std::ostream& out, std::span<const Subcommand> table);
/// Runs the one that argv[0] names. None: complains on standard error as `command`, and returns 2.
int run_subcommand(std::string_view command, std::span<const Subcommand> table, int argc, char** argv);

}  // namespace culvert::tools
