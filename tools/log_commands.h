/// The subcommands of `culvert log`, as those of `culvert` (commands.h): argv[0] is the subcommand.
#pragma once

namespace culvert::tools {

int run_log_show(int argc, char** argv);
/// Not of the ledger: whose sessions there were, by RADIUS accounting (log_radius.cpp).
int run_log_radius(int argc, char** argv);

}  // namespace culvert::tools
