/// `culvert clear`: ends mappings or subscribers, for support staff.

#include <fmt/format.h>

#include <iostream>

#include "client.h"
#include "commands.h"

namespace culvert::tools {
namespace {

constexpr std::string_view kHelp = R"(end mappings, or all that a subscriber holds

  culvert clear mappings [--subscriber ADDR|PREFIX] [--external ADDR[:PORT]] [--internal ADDR[:PORT]]
                         [--protocol udp|tcp|icmp] [--instance NAME]
  culvert clear subscriber [--subscriber] ADDR|PREFIX [--external ADDR] [--instance NAME]

Sessions through what is ended break; the subscriber's next packet makes a new mapping. "clear subscriber" also gives
back his port blocks, which goes on record with the reason "cleared". Ports and blocks are held down as always
(RFC 6888 REQ-8). Static mappings stay: they are ended by the configuration. At least one filter is needed, or --all.
It prints how many were ended.

Example: a home complains; begin afresh

  culvert clear subscriber 2001:db8:100:100::/56
)";

int clear(const po::variables_map& given) {
  const std::string what = given.contains("what") ? given["what"].as<std::string>() : "";
  const bool subscribers = what == "subscriber" || what == "subscribers";
  if (!subscribers && what != "mapping" && what != "mappings") {
    throw UsageError(what.empty() ? "mappings or subscriber is needed"
                                  : what + ": mappings or subscriber is needed");
  }
  nlohmann::json request = make_request(subscribers ? "clear-subscribers" : "clear-mappings", given);
  if (given.contains("who")) {
    if (!subscribers)
      throw UsageError(given["who"].as<std::string>() + ": say what it is, like --subscriber");
    request["subscriber"] = given["who"].as<std::string>();
  }
  if (given.contains("all")) {
    if (request.size() > 1) throw UsageError("--all and a filter are given, one of them is meant");
    request["all"] = true;
  } else if (request.size() == 1) {
    throw UsageError("a filter is needed, or --all");
  }
  return ask("clear", given, request, [&](const nlohmann::json& r) {
    const auto number = [&](const char* key) { return r.value(key, uint64_t{0}); };
    const std::string_view noun = subscribers ? "subscriber" : "mapping";
    std::cout << fmt::format("{} {}{} cleared\n", number("cleared"), noun, number("cleared") == 1 ? "" : "s");
    if (number("static_kept") > 0) {
      std::cout << fmt::format("{} static kept: take them out of the configuration and reload\n",
                               number("static_kept"));
    }
    if (number("log_full") > 0) {
      std::cout << fmt::format("{} kept their blocks: the ledger does not accept their release now\n",
                               number("log_full"));
    }
  });
}

}  // namespace

int run_clear(int argc, char** argv) {
  CommandLine line{"clear", kHelp};
  line.words = {"what", "who"};
  add_filter_options(line.options, {"subscriber", "external", "internal", "protocol", "instance"});
  line.options.add_options()("all", "all there are; sessions of everyone break");
  add_client_options(line.options);
  return run_command(line, argc, argv, clear);
}

}  // namespace culvert::tools
