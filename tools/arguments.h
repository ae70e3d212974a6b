/// The command line of a subcommand, and the options that several have in common.
#pragma once

#include <boost/program_options.hpp>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::tools {

namespace po = boost::program_options;

/// A subcommand was used wrongly; what() says how. Exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a subcommand is: its name as typed, its help, its options (without --help) and words without a dash.
struct CommandLine {
  std::string name;       ///< "mappings"
  std::string_view help;  ///< shown before the list of options
  po::options_description options{"Options", 110};
  std::vector<std::string> words;  ///< names of what may be given without a dash, in order
};

/// Parses and runs; turns what is thrown into a message on stderr and an exit code: 0 done, 1 failed, 2 used
/// wrongly.
int run_command(CommandLine line, int argc, char** argv,
                const std::function<int(const po::variables_map&)>& body);

/// --socket and --json.
void add_client_options(po::options_description& options);
/// Of --subscriber, --external, --internal, --protocol, --instance and --limit, those named.
void add_filter_options(po::options_description& options, std::initializer_list<std::string_view> names);

/// The request for a command with the filters that were given.
nlohmann::json make_request(std::string_view command, const po::variables_map& given);

}  // namespace culvert::tools
