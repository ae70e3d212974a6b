/// The subcommands of `culvert`: one function and one file (or family of files) each.
///
/// Every function gets the arguments from its own name on (argv[0] is the subcommand), prints its own help
/// for
/// `--help`, and returns the exit code: 0 done, 1 failed, 2 used wrongly.
#pragma once

namespace culvert::tools {

// What a running box tells over its control socket; they share arguments.h, client.h and table.h.
int run_status(int argc, char** argv);
int run_interfaces(int argc, char** argv);
int run_pools(int argc, char** argv);
int run_subscribers(int argc, char** argv);
int run_mappings(int argc, char** argv);
int run_blocks(int argc, char** argv);
int run_drops(int argc, char** argv);
int run_workers(int argc, char** argv);
int run_exports(int argc, char** argv);
// … and what it is told to do.
int run_clear(int argc, char** argv);
int run_reload(int argc, char** argv);

/// `culvert config`: looks at a configuration file, without a running box (config.cpp).
int run_config(int argc, char** argv);
/// `culvert log`: searches a ledger, without a running box (log.cpp).
int run_log(int argc, char** argv);
/// `culvert plan`: what logging will cost (plan.cpp).
int run_plan(int argc, char** argv);
/// `culvert ce`: the customer's end of a softwire on a TUN device (ce.cpp).
int run_ce(int argc, char** argv);
/// `culvert replay`: captures through the pipeline (replay/replay.cpp).
int run_replay(int argc, char** argv);

}  // namespace culvert::tools
