#include "arguments.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace culvert::tools {
namespace {

constexpr char kDefaultSocket[] = "/run/culvert/control.sock";

struct Filter {
  const char* name;
  const char* value;
  const char* meaning;
};
constexpr Filter kFilters[] = {
    {"subscriber", "ADDR|PREFIX", "the subscriber with this address, or all in this prefix"},
    {"external", "ADDR[:PORT]", "this external address, or endpoint"},
    {"internal", "ADDR[:PORT]", "this internal address, or endpoint; [ADDR]:PORT for IPv6"},
    {"protocol", "NAME", "udp, tcp or icmp"},
    {"instance", "NAME", "only this instance of the configuration"},
};

std::string default_socket() {
  const char* given = std::getenv("CULVERT_SOCKET");
  return given != nullptr && *given != '\0' ? given : kDefaultSocket;
}

}  // namespace

int run_command(CommandLine line, int argc, char** argv,
                const std::function<int(const po::variables_map&)>& body) {
  try {
    line.options.add_options()("help,h", "this text");
    po::options_description all;
    all.add(line.options);
    po::options_description hidden;
    po::positional_options_description positions;
    for (const std::string& word : line.words) {
      hidden.add_options()(word.c_str(), po::value<std::string>());
      positions.add(word.c_str(), 1);
    }
    all.add(hidden);
    po::variables_map given;
    // No abbreviations: `--in` may mean another option in the next version.
    constexpr int kStyle = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv).options(all).positional(positions).style(kStyle).run(),
              given);
    if (given.contains("help")) {
      std::cout << "culvert " << line.name << ": " << line.help << '\n' << line.options;
      return 0;
    }
    return body(given);
  } catch (const po::error& e) {
    std::cerr << "culvert " << line.name << ": " << e.what() << "; see culvert " << line.name << " --help\n";
    return 2;
  } catch (const UsageError& e) {
    std::cerr << "culvert " << line.name << ": " << e.what() << "; see culvert " << line.name << " --help\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "culvert " << line.name << ": " << e.what() << '\n';
    return 1;
  }
}

void add_client_options(po::options_description& options) {
  options.add_options()  //
      ("socket", po::value<std::string>()->value_name("PATH")->default_value(default_socket()),
       "culvertd's control socket; also $CULVERT_SOCKET")  //
      ("json", "print JSON, one object a line");
}

void add_filter_options(po::options_description& options, std::initializer_list<std::string_view> names) {
  for (const Filter& f : kFilters) {
    if (std::find(names.begin(), names.end(), f.name) == names.end()) continue;
    options.add_options()(f.name, po::value<std::string>()->value_name(f.value), f.meaning);
  }
  if (std::find(names.begin(), names.end(), "limit") != names.end()) {
    options.add_options()("limit", po::value<int64_t>()->value_name("N"), "no more than N rows");
  }
}

nlohmann::json make_request(std::string_view command, const po::variables_map& given) {
  nlohmann::json out{{"command", command}};
  for (const Filter& f : kFilters) {
    if (given.contains(f.name)) out[f.name] = given[f.name].as<std::string>();
  }
  if (given.contains("limit")) {
    const auto limit = given["limit"].as<int64_t>();
    if (limit < 1) throw UsageError("--limit is at least 1");
    out["limit"] = limit;
  }
  return out;
}

}  // namespace culvert::tools
