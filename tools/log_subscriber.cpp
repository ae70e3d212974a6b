/// `culvert log subscriber`: what a subscriber had.

#include <fmt/format.h>

#include <iostream>

#include "arguments.h"
#include "log_commands.h"
#include "log_options.h"
#include "log_tenures.h"
#include "logging/query/finding.h"
#include "net/mapped.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp =
    R"(all that a subscriber had: port blocks, explicit mappings, sessions on record

  culvert log subscriber PREFIX [--from TIME] [--to TIME] [--tz ZONE] [--json]

PREFIX is a subscriber's address or prefix, or a prefix that has several of them. Each thing is listed with the time
for which he had it. Then it says whether the record is complete there, and if not, why. TIME is as in `culvert log
who`.

Exit code 1: there is nothing on record.

Examples:

  culvert log subscriber 2001:db8:1:200::/56 --from yesterday
  culvert log subscriber 100.64.1.2 --from 2026-11-01 --to 2026-11-07
)";

int subscriber(const po::variables_map& given) {
  if (!given.contains("prefix")) throw UsageError("PREFIX is needed: a subscriber's address or prefix");
  const auto& text = given["prefix"].as<std::string>();
  const auto prefix = net::parse_subscriber(text);
  if (!prefix) throw UsageError(text + ": is no prefix; its bits past the length are zero in one");
  const auto when = window_between(given);
  const logging::ledger::Archive archive(ledger_directory(given));
  const auto finding = logging::query::history(archive, *prefix, {when});
  if (given.contains("json"))
    print_json(std::cout, finding);
  else
    print_finding(std::cout, finding);
  return finding.tenures.empty() ? 1 : 0;
}

}  // namespace

int run_log_subscriber(int argc, char** argv) {
  CommandLine line{"log subscriber", kHelp};
  line.options.add_options()  //
      ("from", po::value<std::string>()->value_name("TIME"), "from then on")(
          "to", po::value<std::string>()->value_name("TIME"), "up to then, included");
  add_zone_option(line.options);
  add_ledger_options(line.options);
  line.words = {"prefix"};
  return run_command(line, argc, argv, subscriber);
}

}  // namespace culvert::tools
