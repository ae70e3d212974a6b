/// How fast one worker is, with packets from memory. README.md explains every number.

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cpus.h"
#include "dataplane/eal.h"
#include "dataplane/huge_array.h"
#include "scenarios.h"

namespace {

namespace po = boost::program_options;
using namespace culvert::bench;

constexpr const char* kUsage =
    "usage: culvert-bench [options]\n\n"
    "Measures the workers of culvertd with packets from memory: every carriage in both directions at 1 k to\n"
    "10 M mappings, beside a baseline and the limit of the memory system, taken in turn; new mappings, "
    "attacks,\n"
    "timers, logging, listing, two workers, memory. Run it with nothing else on the machine; the best round\n"
    "counts. It stays on the CPU it is started on; a second thread, where there is one, takes another.\n\n"
    "  taskset -c 1 culvert-bench --quick --json after.json     everything, in a minute\n"
    "  taskset -c 1 culvert-bench --only \"nat64 out\"            one scenario, at all sizes\n"
    "  culvert-bench --list                                     the names of all scenarios\n\n";
constexpr const char* kAfter = "\nbench/README.md explains every number; bench/compare compares two runs.\n";

/// A wrong command line, said as such.
struct WrongUsage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr int64_t kFewest = 10, kMost = int64_t{10} << 24;  // ten mappings for each subscriber

std::vector<uint32_t> sizes(const po::variables_map& given) {
  std::vector<uint32_t> sizes;
  for (const int64_t n : given["mappings"].as<std::vector<int64_t>>()) {
    if (n < kFewest || n > kMost)
      throw WrongUsage(fmt::format("--mappings {} is not from {} to {}", n, kFewest, kMost));
    sizes.push_back(static_cast<uint32_t>(n / 10 * 10));
  }
  return sizes;
}

std::map<std::string, double> counts_in(const std::string& path) {
  std::ifstream file(path);
  const auto counts = nlohmann::json::parse(file, nullptr, false);
  if (!counts.is_object()) throw std::runtime_error(path + " has no counts; bench/instructions writes it");
  return counts.get<std::map<std::string, double>>();
}

Effort effort_of(const po::variables_map& given, const std::vector<uint32_t>& sizes) {
  Effort effort;
  effort.quick = given.count("quick") != 0;
  effort.only = given["only"].as<std::string>();
  effort.largest = *std::ranges::max_element(sizes);
  if (given.count("packets") != 0) {
    const auto packets = given["packets"].as<int64_t>();
    if (packets <= 0) throw WrongUsage(fmt::format("--packets {} is not 1 or more", packets));
    effort.fixed = static_cast<uint64_t>(packets);
  }
  if (given.count("instructions") != 0)
    effort.instructions = counts_in(given["instructions"].as<std::string>());
  return effort;
}

void measure(Report& report, const Effort& effort, const std::vector<uint32_t>& sizes) {
  std::unique_ptr<Box> box;
  for (const uint32_t n : sizes) {
    box.reset();
    box = measure_established(report, effort, n);
  }
  measure_expiry(report, effort, std::move(box));  // which is spared making ten million mappings
  measure_creation(report, effort);
  measure_attacks(report, effort);
  measure_expired(report, effort);
  measure_logging(report, effort);
  measure_listing(report, effort);
  measure_workers(report, effort);
  measure_memory(report, effort);
}

/// The names of all scenarios, in their order.
std::vector<std::string> names_of(Effort effort, const std::vector<uint32_t>& sizes) {
  std::vector<std::string> all, names;
  effort.names = &all;
  Report none(true);
  measure(none, effort, sizes);
  std::set<std::string> seen;
  for (const std::string& name : all)
    if (seen.insert(name).second) names.push_back(name);
  return names;
}

int run(const po::variables_map& given) {
  const std::vector<uint32_t> of = sizes(given);
  const Effort effort = effort_of(given, of);
  const std::vector<std::string> names = names_of(effort, of);
  if (given.count("list") != 0) {
    for (const std::string& name : names) fmt::print("{}\n", name);
    return 0;
  }
  if (std::ranges::none_of(names, [&](const std::string& n) { return n.find(effort.only) != n.npos; }))
    throw WrongUsage(
        fmt::format("no scenario has '{}' in its name; culvert-bench --list shows all", effort.only));
  Report report(effort.quick);
  if (given.count("json") != 0) report.check_json(given["json"].as<std::string>());
  const OnCpu here(this_cpu());
  culvert::dataplane::init_eal_for_replay(256);
  culvert::dataplane::populate_pages(true);  // as culvertd does
  fmt::print("core at {:.2f} GHz\n", core_ghz());
  measure(report, effort, of);
  if (given.count("json") != 0) report.write_json(given["json"].as<std::string>());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  po::options_description options("Options");
  options.add_options()("help,h", "this text")("list", "the names of all scenarios")(
      "quick", "less than a minute, and a little less exact")(
      "only", po::value<std::string>()->default_value("", "")->value_name("TEXT"),
      "only scenarios with this in their name, as --list writes it")(
      "mappings",
      po::value<std::vector<int64_t>>()
          ->multitoken()
          ->default_value({1000, 100'000, 1'000'000, 10'000'000}, "1000 100000 1000000 10000000")
          ->value_name("N..."),
      "live mappings of each carriage; no other scenario's table gets larger than the largest of them")(
      "packets", po::value<int64_t>()->value_name("N"),
      "packets of each scenario, in one round: to count instructions, or to see whether everything works")(
      "instructions", po::value<std::string>()->value_name("FILE"),
      "instructions a packet for the table, as bench/instructions counts them")(
      "json", po::value<std::string>()->value_name("FILE"), "write all figures there, for bench/compare");
  try {
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << kUsage << options << kAfter;
      return 0;
    }
    return run(given);
  } catch (const po::error& e) {
    std::cerr << "culvert-bench: " << e.what() << "; see culvert-bench --help\n";
    return 2;
  } catch (const WrongUsage& e) {
    std::cerr << "culvert-bench: " << e.what() << '\n';
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "culvert-bench: " << e.what() << '\n';
    return 1;
  }
}
