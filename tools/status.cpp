/// `culvert status`: the box in a dozen lines.

#include <fmt/format.h>

#include <iostream>

#include "client.h"
#include "commands.h"
#include "table.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(the running box at a glance

  culvert status [--json]

Version and uptime, which configuration is in force, and how much of each capacity is in use. Exit code 1 when
culvertd is not running, so that scripts may ask.

Example: how many mappings there is still room for

  culvert status --json | jq '.mappings_capacity - .mappings'
)";

void print(const nlohmann::json& s) {
  const auto number = [&](const char* key) { return s.value(key, uint64_t{0}); };
  const auto line = [](std::string_view name, const std::string& value) {
    std::cout << fmt::format("{:<16}{}\n", name, value);
  };
  line("culvertd", fmt::format("{}, up {} (since {})", s.value("version", ""),
                               duration_text(s.value("uptime", 0)), time_text(number("started_at"))));
  line("configuration", fmt::format("{}, applied {}, {} reload{}", s.value("config", ""),
                                    time_text(number("config_applied_at")), number("reloads"),
                                    number("reloads") == 1 ? "" : "s"));
  line("workers", fmt::format("{}", number("workers")));
  line("memory", fmt::format("tables {}, packet buffers on {}", bytes_text(s.value("table_bytes", 0.0)),
                             s.value("pages", "")));
  line("traffic", fmt::format("{:.0f} packets/s translated; {} dropped so far (culvert drops)",
                              s.value("packets_per_second", 0.0), number("drops")));
  std::string log =
      fmt::format("{} events written, {} waiting", number("log_written"), number("log_waiting"));
  if (s.value("log_failing", false)) log += "; IT CANNOT BE WRITTEN (culvertd's log says why)";
  if (number("log_errors") > 0) log += fmt::format("; {} writes failed", number("log_errors"));
  line("ledger", log);
  if (number("pools_draining") > 0)
    line("draining", fmt::format("{} pools (culvert pools)", number("pools_draining")));
  std::cout << '\n';
  Table table(std::cout, {{"IN USE"}, {"COUNT", true}, {"CAPACITY", true}, {"USE", true}});
  for (const char* what : {"subscribers", "mappings", "sessions", "blocks", "packet_buffers"}) {
    const std::string capacity = std::string(what) + "_capacity";
    std::string name = what;
    for (char& c : name) c = c == '_' ? ' ' : c;
    table.add({name, fmt::format("{}", number(what)), fmt::format("{}", number(capacity.c_str())),
               percent_text(s.value(what, 0.0), s.value(capacity, 0.0))});
  }
  table.finish("");
  if (number("block_refusals") > 0) {
    std::cout << fmt::format("\n{} requests for a port block were refused (culvert drops says why)\n",
                             number("block_refusals"));
  }
}

}  // namespace

int run_status(int argc, char** argv) {
  CommandLine line{"status", kHelp};
  add_client_options(line.options);
  return run_command(line, argc, argv, [](const auto& given) {
    return ask("status", given, make_request("status", given), print);
  });
}

}  // namespace culvert::tools
