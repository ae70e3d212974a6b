/// How fast one worker is, with packets from memory. README.md explains every number.

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "dataplane/eal.h"
#include "dataplane/huge_array.h"
#include "scenarios.h"

namespace {

namespace po = boost::program_options;
using namespace culvert::bench;

constexpr const char* kUsage =
    "usage: culvert-bench [options]\n\n"
    "Measures one worker of culvertd on one core with packets from memory: every carriage in both directions "
    "at\n"
    "1 k to 10 M mappings, beside a baseline and the limit of the memory system, taken in turn. Run it with "
    "nothing\n"
    "else on the machine; the best round counts.\n\n";

void run(const po::variables_map& given) {
  Effort effort;
  effort.quick = given.count("quick") != 0;
  effort.only = given["only"].as<std::string>();
  effort.fixed = given["packets"].as<uint64_t>();
  if (given.count("instructions") != 0) {
    const auto path = given["instructions"].as<std::string>();
    std::ifstream file(path);
    const auto counts = nlohmann::json::parse(file, nullptr, false);
    if (!counts.is_object()) throw std::runtime_error(path + " has no counts; bench/instructions writes it");
    effort.instructions = counts.get<std::map<std::string, double>>();
  }
  Report report(effort.quick);
  culvert::dataplane::init_eal_for_replay(256);
  culvert::dataplane::populate_pages(true);  // as culvertd does
  fmt::print("core at {:.2f} GHz\n", core_ghz());
  for (const uint32_t n : given["mappings"].as<std::vector<uint32_t>>())
    measure_established(report, effort, n);
  measure_creation(report, effort);
  if (effort.wants("attack")) measure_attacks(report, effort, 1'000'000);
  if (effort.wants("expiry")) measure_expiry(report, 10'000'000);
  if (effort.wants("memory")) measure_memory(report);
  if (given.count("json") != 0) report.write_json(given["json"].as<std::string>());
}

}  // namespace

int main(int argc, char** argv) {
  po::options_description options("Options");
  options.add_options()("help,h", "this text")(
      "only", po::value<std::string>()->default_value("", "")->value_name("TEXT"),
      "only scenarios with this in their name")(
      "packets", po::value<uint64_t>()->default_value(0, "")->value_name("N"),
      "packets of each scenario, in one round: to count instructions")(
      "quick", "less than a minute, and a little less exact")(
      "mappings",
      po::value<std::vector<uint32_t>>()->multitoken()->default_value({1000, 100'000, 1'000'000, 10'000'000},
                                                                      "1000 100000 1000000 10000000"),
      "live mappings of each carriage")(
      "instructions", po::value<std::string>()->value_name("FILE"),
      "instructions a packet for the table, as bench/instructions counts them")(
      "json", po::value<std::string>()->value_name("FILE"), "write all figures there, for bench/compare");
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, options), given);
    po::notify(given);
    if (given.count("help") != 0) {
      std::cout << kUsage << options;
      return 0;
    }
    run(given);
  } catch (const po::error& e) {
    std::cerr << "culvert-bench: " << e.what() << "; see culvert-bench --help\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "culvert-bench: " << e.what() << '\n';
    return 1;
  }
  return 0;
}
