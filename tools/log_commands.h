/// The subcommands of `culvert log`, as those of `culvert` (commands.h): argv[0] is the subcommand. Exit
/// codes as grep's: 0 found, or all is well; 1 nothing found, or something is wrong; 2 used wrongly.
#pragma once

namespace culvert::tools {

int run_log_who(int argc, char** argv);
int run_log_subscriber(int argc, char** argv);
int run_log_show(int argc, char** argv);
int run_log_verify(int argc, char** argv);
int run_log_stats(int argc, char** argv);
int run_log_seal(int argc, char** argv);
int run_log_export(int argc, char** argv);
/// Not of the ledger: whose sessions there were, by RADIUS accounting (log_radius.cpp).
int run_log_radius(int argc, char** argv);

}  // namespace culvert::tools
