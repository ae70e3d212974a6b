/// The subcommands of `culvert`: one function and one file (or family of files) each.
///
/// Every function gets the arguments from its own name on (argv[0] is the subcommand), prints its own help
/// for
/// `--help`, and returns the exit code: 0 done, 1 failed, 2 used wrongly.
#pragma once

namespace culvert::tools {

/// `culvert ce`: the customer's end of a softwire on a TUN device (ce.cpp).
int run_ce(int argc, char** argv);

}  // namespace culvert::tools
