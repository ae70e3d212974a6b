/// `culvert config check FILE` and `culvertd --check`: the same words and exit codes for both.
#pragma once

#include <iosfwd>
#include <string>

namespace culvert::tools {

/// Every mistake of the file on `errors`, or one line on `out`. Returns the exit code: 0 ok, 2 mistakes.
int check_config(const std::string& path, std::ostream& out, std::ostream& errors);

}  // namespace culvert::tools
