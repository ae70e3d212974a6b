#include "log_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "typed_time.h"

namespace culvert::tools {

using logging::ledger::Interval;

void add_ledger_options(po::options_description& options) {
  options.add_options()  //
      ("ledger", po::value<std::string>()->value_name("DIR"),
       "the ledger's directory, or a copy; also $CULVERT_LEDGER")  //
      ("json", "print JSON, one object a line");
}

void add_zone_option(po::options_description& options) {
  options.add_options()("tz", po::value<std::string>()->value_name("ZONE"),
                        "of times without one, like Europe/Athens; else $TZ, or the machine's");
}

std::filesystem::path ledger_directory(const po::variables_map& given) {
  if (given.contains("ledger")) return given["ledger"].as<std::string>();
  const char* named = std::getenv("CULVERT_LEDGER");
  return named != nullptr && *named != '\0' ? named : "/var/lib/culvert/ledger";
}

uint64_t system_now() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

std::vector<TypedTime> time_option(const po::variables_map& given, const char* name) {
  try {
    if (given.contains("tz")) use_zone(given["tz"].as<std::string>());
    return parse_time(given[name].as<std::string>(), system_now());
  } catch (const TimeError& e) {
    throw UsageError(e.what());
  }
}

std::vector<Interval> window_at(const po::variables_map& given) {
  if (!given.contains("at")) throw UsageError("--at TIME is needed");
  uint64_t within = 0;
  try {
    if (given.contains("within")) within = parse_duration(given["within"].as<std::string>());
  } catch (const TimeError& e) {
    throw UsageError(e.what());
  }
  std::vector<Interval> all;
  for (const TypedTime& t : time_option(given, "at"))
    all.push_back({t.first - std::min(t.first, within), t.last + within});
  if (all.size() > 1)
    std::cerr << fmt::format("{} was twice in that zone: {} and {}; both are searched\n",
                             given["at"].as<std::string>(), interval_text(all[0]), interval_text(all[1]));
  return all;
}

Interval window_between(const po::variables_map& given) {
  Interval window{0, UINT64_MAX};
  if (given.contains("from")) window.from = time_option(given, "from").front().first;
  if (given.contains("to")) window.to = time_option(given, "to").back().last;
  if (window.from > window.to) throw UsageError("--from is after --to");
  return window;
}

std::string interval_text(const Interval& i) {
  return fmt::format("{} to {}", utc_text(i.from), utc_text(i.to));
}

}  // namespace culvert::tools
