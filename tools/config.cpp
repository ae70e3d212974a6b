/// `culvert config`: looks at a configuration file, without a running box.

#include <iostream>

#include "arguments.h"
#include "commands.h"
#include "config/load.h"
#include "config_check.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(check a configuration file, or print what one may contain

  culvert config check FILE   every mistake as FILE:LINE:COLUMN: what; why; what would be right. Exit code 2 if any
  culvert config schema       the JSON Schema of the configuration, for editors
  culvert config reference    every key: meaning, default, range, RFC (Markdown)

culvertd does not have to run.

Example: completion and checks in an editor that knows yaml-language-server

  culvert config schema > culvert.schema.json
  sed -i '1i # yaml-language-server: $schema=culvert.schema.json' culvert.yaml
)";

int run(const po::variables_map& given) {
  const std::string what = given.contains("what") ? given["what"].as<std::string>() : "";
  if (what == "check") {
    if (!given.contains("file")) throw UsageError("check needs the FILE");
    return check_config(given["file"].as<std::string>(), std::cout, std::cerr);
  }
  if (what != "schema" && what != "reference") {
    throw UsageError(what.empty() ? "check, schema or reference is needed"
                                  : what + ": check, schema or reference is needed");
  }
  if (given.contains("file")) throw UsageError(what + " takes no file");
  std::string text = what == "schema" ? config::json_schema() : config::key_reference();
  if (!text.ends_with('\n')) text += '\n';
  std::cout << text << std::flush;
  return std::cout ? 0 : 1;
}

}  // namespace

int run_config(int argc, char** argv) {
  CommandLine line{"config", kHelp};
  line.words = {"what", "file"};
  return run_command(line, argc, argv, run);
}

}  // namespace culvert::tools
