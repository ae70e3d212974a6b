/// `culvert log show`: a ledger as text.

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "arguments.h"
#include "log_commands.h"
#include "logging/entry_fields.h"
#include "logging/entry_text.h"
#include "logging/ledger/archive_reader.h"

namespace culvert::tools {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kHelp = R"(what is on record, line by line, the oldest first

  culvert log show [--ledger DIR] [--json] [--follow]

A line has the time (UTC), what happened, and NAME=VALUE for each thing that is known of it. The ledger may be in use, or
a copy. What cannot be read is told on standard error, and then the exit code is 1.

Examples:

  culvert log show | grep external=203.0.113.7
  culvert log show --follow
)";

std::string json_of(const logging::Entry& e) {
  nlohmann::ordered_json row;
  std::string value;
  logging::append_time(value, e.system_time());
  row["time"] = value;
  row["kind"] = logging::name_of(e.kind);
  for (const logging::EntryField& field : logging::entry_fields()) {
    value.clear();
    if (field.in_line && field.append(value, e)) row[std::string(field.name)] = value;
  }
  return row.dump();
}

int show(const po::variables_map& given) {
  const char* named = std::getenv("CULVERT_LEDGER");
  const std::string directory = given.contains("ledger") ? given["ledger"].as<std::string>()
                                : named != nullptr       ? named
                                                         : "/var/lib/culvert/ledger";
  logging::ledger::ArchiveReader reader(directory);
  bool whole = true;
  reader.on_trouble = [&](const std::string& what) {
    whole = false;
    std::cerr << "culvert log show: " << what << '\n';
  };
  reader.seek(0);
  logging::Entry e;
  for (;;) {
    while (reader.next(e)) std::cout << (given.contains("json") ? json_of(e) : logging::text_of(e)) << '\n';
    if (!std::cout.flush()) throw std::runtime_error("standard output cannot be written");
    if (!given.contains("follow")) return whole ? 0 : 1;
    std::this_thread::sleep_for(200ms);
  }
}

}  // namespace

int run_log_show(int argc, char** argv) {
  CommandLine line{"log show", kHelp};
  line.options.add_options()("ledger", po::value<std::string>()->value_name("DIR"), "the ledger's directory")(
      "json", "one JSON object a line")("follow,f", "go on with what comes, as tail -f");
  return run_command(line, argc, argv, show);
}

}  // namespace culvert::tools
