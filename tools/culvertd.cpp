/// `culvertd`: the appliance as a daemon. Reads the configuration, makes an Appliance and its Api, and serves
/// until it is told to stop.
///
/// Exit codes: 0 stopped in good order, 1 it could not run, 2 the configuration (or the command line) is
/// wrong.

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cstring>
#include <iostream>
#include <variant>

#include "config/load.h"
#include "config_check.h"
#include "control/api.h"
#include "control/api_appliance.h"
#include "control/appliance.h"
#include "control/dpdk_log.h"
#include "version.h"

namespace {

using namespace culvert;
namespace po = boost::program_options;

constexpr const char* kAbout = R"(culvertd — a carrier-grade NAT: NAT44, DS-Lite and NAT64 on DPDK

  culvertd [--config FILE]           run until SIGTERM; SIGHUP (or `culvert reload`) applies a changed file
  culvertd [--config FILE] --check   say what is wrong with the file, and start nothing

)";

constexpr const char* kMore = R"(
It runs in the foreground and tells what happens on stderr, in the journal's format under systemd. It needs root, or
CAP_NET_ADMIN and CAP_NET_RAW (and what its devices need). Tables and packets lie in huge pages when enough of them are
free: `sysctl vm.nr_hugepages=512` reserves 1 GiB, room for the default capacities. Where memory is short it says at once
how much, and for what; docs/operations.md has a table.

Workers poll their devices without a pause and use their CPUs up; that is how they are fast. Where workers have to
share CPUs they sleep up to 50 microseconds when there is nothing to do.

Exit codes: 0 stopped in good order, 1 could not run, 2 wrong configuration or command line.

Then: `culvert status`, `culvert --help`. Examples of configurations: conf/, every key: docs/configuration.md.
)";

using IdleSleep = control::Appliance::Options::IdleSleep;

struct Arguments {
  std::string config = "/etc/culvert/culvert.yaml";
  bool check = false;
  control::Level level = control::Level::info;
  IdleSleep idle_sleep = IdleSleep::when_shared;
};

/// The arguments, or the exit code of a command line that is done with.
std::variant<Arguments, int> parse(int argc, char** argv) {
  Arguments a;
  std::string level = "info", sleep = "auto";
  po::options_description options("Options");
  auto add = options.add_options();
  add("config,c", po::value(&a.config)->value_name("FILE")->default_value(a.config),
      "the configuration (YAML)");
  add("check", po::bool_switch(&a.check), "check the configuration and exit");
  add("log-level", po::value(&level)->value_name("LEVEL")->default_value(level),
      "error, warning, info or debug");
  add("idle-sleep", po::value(&sleep)->value_name("WHEN")->default_value(sleep),
      "let idle workers sleep: auto (where they share CPUs), always or never");
  add("version", "print the version");
  add("help,h", "this text");
  try {
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    if (given.contains("help")) {
      std::cout << kAbout << options << kMore;
      return 0;
    }
    if (given.contains("version")) {
      std::cout << "culvertd " << CULVERT_VERSION << '\n';
      return 0;
    }
    po::notify(given);
    const auto parsed = control::parse_level(level);
    if (!parsed) throw po::error(fmt::format("--log-level {}: error, warning, info or debug", level));
    a.level = *parsed;
    if (sleep == "always")
      a.idle_sleep = IdleSleep::always;
    else if (sleep == "never")
      a.idle_sleep = IdleSleep::never;
    else if (sleep != "auto")
      throw po::error(fmt::format("--idle-sleep {}: auto, always or never", sleep));
  } catch (const po::error& e) {
    std::cerr << "culvertd: " << e.what() << "\nculvertd --help explains the options\n";
    return 2;
  }
  return a;
}

/// Whether a living process listens on a control socket.
bool answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) close(fd);
  return connected;
}

int run(const Arguments& arguments) {
  control::Log log(arguments.level);
  const auto loaded = config::load_file(arguments.config);
  if (const auto* problems = std::get_if<config::Problems>(&loaded)) {
    for (const auto& p : *problems) log.error("{}", p.text());
    return 2;
  }
  const auto& config = std::get<config::Config>(loaded);
  control::DpdkLog dpdk_log(log);
  int code = 0;
  try {
    log.info("culvertd {}, configuration {}", CULVERT_VERSION, arguments.config);
    // Asked first, since this is what a second culvertd by mistake should say, not that a device is taken.
    if (answers(config.control_socket)) {
      throw std::runtime_error(
          fmt::format("another culvertd serves the control socket {}; stop it, or give this one "
                      "its own control-socket",
                      config.control_socket));
    }
    control::Appliance appliance(config, log, {arguments.idle_sleep, CULVERT_VERSION});
    control::Api api(appliance.loop(), control::source_of(appliance));
    log.info(
        "control socket {}{}", config.control_socket,
        api.metrics_port() == 0 ? "" : fmt::format(", metrics at http://{}/metrics", config.metrics_address));
    appliance.run();
  } catch (const std::exception& e) {
    log.error("{}", e.what());
    code = 1;
  }
  if (code == 0) log.info("stopped");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = parse(argc, argv);
  if (const int* code = std::get_if<int>(&parsed)) return *code;
  const auto& arguments = std::get<Arguments>(parsed);
  if (arguments.check) return tools::check_config(arguments.config, std::cout, std::cerr);
  return run(arguments);
}
