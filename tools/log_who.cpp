/// `culvert log who`: who had a public address and port at a time.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "log_commands.h"
#include "log_options.h"
#include "log_radius.h"
#include "log_tenures.h"
#include "logging/query/finding.h"
#include "net/mapped.h"

namespace culvert::tools {
namespace {

using logging::ledger::Interval;
using logging::query::Finding;
using logging::query::Tenure;
namespace radius = logging::radius;

constexpr std::string_view kHelp = R"(who had a public address and port at a time

  culvert log who ADDRESS[:PORT][/PROTOCOL] --at TIME [--within DURATION] [--tz ZONE] [--radius PATH] [--json]

All who may have had it then are listed, with the time for which they had it: port blocks, and explicit mappings
(static ones, or asked for by PCP). Then it says whether the record is complete there, and if not, why. A time of
seconds is all of that second. --within looks so far to both sides: for clocks that differ, or a time that somebody
only remembers.

TIME is like 2026-11-21T03:12:40Z, "2026-11-21 03:12:40 +0200", "2026-11-21 03:12" (of $TZ or --tz), "yesterday 03:12",
03:12:40, -2h or @1763694760. Answers are in UTC. Where the box's clock was set back a time was twice, and both are
answered.

--radius names the index of `culvert log radius import`, or detail files: then the RADIUS sessions of each are listed.

Exit code 1: nobody is on record, or a detail file could not be read.

Examples:

  culvert log who 203.0.113.5:4711/tcp --at "2026-11-21 03:12:40" --tz Europe/Athens --within 30s
  culvert log who 203.0.113.5 --at 2026-11-21T01:12Z --json
)";

/// A protocol by its name or number; 0: any.
std::optional<uint8_t> protocol_of(std::string_view text) {
  if (text == "tcp") return uint8_t{6};
  if (text == "udp") return uint8_t{17};
  if (text == "icmp") return uint8_t{1};
  if (text == "any" || text == "all") return uint8_t{0};
  uint8_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && rest == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

struct Asked {
  logging::query::Place place;
  uint8_t protocol = 0;
};
Asked parse_place(std::string_view text) {
  const auto wrong = [&] {
    return UsageError(std::string(text) +
                      ": who is asked of a public address and port, like 203.0.113.5:4711/tcp");
  };
  Asked asked;
  std::string_view rest = text;
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const auto protocol = protocol_of(rest.substr(slash + 1));
    if (!protocol) throw wrong();
    asked.protocol = *protocol;
    rest = rest.substr(0, slash);
  }
  if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size()) throw wrong();
    asked.place.port = number;
    rest = rest.substr(0, colon);
  }
  const auto address = net::Ipv4Address::parse(rest);
  if (!address) throw wrong();
  asked.place.address = *address;
  return asked;
}

/// Whose sessions those were, by RADIUS accounting.
class Accounting {
 public:
  Accounting(const std::vector<std::string>& paths, const std::vector<Interval>& when)
      : index_(radius::open_sessions({paths.begin(), paths.end()}, show_progress(), report_)), when_(when) {
    end_progress();
    print_complaints(report_, "log who");
  }

  bool whole() const { return report_.failed.empty(); }

  /// All sessions that a tenure's subscriber may have had then.
  std::vector<radius::Match> of(const Tenure& t) const {
    std::vector<radius::Match> found;
    if (t.subscriber.length == 0) return found;
    const net::Ipv6Prefix prefix{t.subscriber.prefix, t.subscriber.length};
    const uint64_t until = t.end == Tenure::End::held ? UINT64_MAX : t.until.system;
    for (const Interval& i : when_) {
      radius::Window window{std::max(i.from, t.since.system), std::min(i.to, until)};
      if (window.from > window.to) window = {i.from, i.to};  // the clock was set meanwhile
      find_prefix(index_, prefix, window, radius::kUsualSlack, [&](const radius::Match& m) {
        if (!has(found, m)) found.push_back(m);
      });
    }
    return found;
  }

  void print(std::ostream& out, const Finding& finding) const {
    // A subscriber may have had it more than once, with other sessions.
    std::map<std::string, std::vector<radius::Match>> by_subscriber;
    for (const Tenure& t : finding.tenures) {
      if (t.subscriber.length == 0) continue;
      auto& all = by_subscriber[net::subscriber_text(t.subscriber.prefix, t.subscriber.length)];
      for (auto& m : of(t))
        if (!has(all, m)) all.push_back(std::move(m));
    }
    Table table(out, session_columns());
    bool any = false;
    for (const auto& [who, sessions] : by_subscriber)
      for (const auto& m : sessions) {
        table.add(session_cells(m));
        any = true;
      }
    out << '\n';
    if (any) table.finish("");
    for (const auto& [who, sessions] : by_subscriber)
      if (sessions.empty())
        out << fmt::format("RADIUS: no session had {} then; there are records from {}\n", who,
                           covered_text(index_.header().covered));
  }

 private:
  static bool has(const std::vector<radius::Match>& all, const radius::Match& m) {
    return std::ranges::any_of(all, [&](const auto& other) { return other.session == m.session; });
  }

  radius::ImportReport report_;
  radius::Index index_;
  std::vector<Interval> when_;
};

int who(const po::variables_map& given) {
  if (!given.contains("place")) throw UsageError("ADDRESS:PORT is needed");
  const Asked asked = parse_place(given["place"].as<std::string>());
  const auto when = window_at(given);
  const logging::ledger::Archive archive(ledger_directory(given));
  const Finding finding = logging::query::who(archive, asked.place, asked.protocol, when);
  std::optional<Accounting> accounting;
  if (given.contains("radius")) accounting.emplace(given["radius"].as<std::vector<std::string>>(), when);
  if (given.contains("json")) {
    print_json(std::cout, finding, [&](nlohmann::ordered_json& row, const Tenure& t) {
      if (!accounting) return;
      row["radius"] = nlohmann::json::array();
      for (const auto& m : accounting->of(t)) row["radius"].push_back(session_json(m));
    });
  } else {
    for (const auto& i : when)
      std::cout << fmt::format("{}, {}\n", given["place"].as<std::string>(), interval_text(i));
    std::cout << '\n';
    print_finding(std::cout, finding);
    if (accounting && !finding.tenures.empty()) accounting->print(std::cout, finding);
  }
  return finding.tenures.empty() || (accounting && !accounting->whole()) ? 1 : 0;
}

}  // namespace

int run_log_who(int argc, char** argv) {
  CommandLine line{"log who", kHelp};
  line.options.add_options()  //
      ("at", po::value<std::string>()->value_name("TIME"), "when")(
          "within", po::value<std::string>()->value_name("DURATION"),
          "and so long before and after it, like 30s or 5m")(
          "radius", po::value<std::vector<std::string>>()->value_name("PATH"),
          "whose sessions those were: an index of `culvert log radius`, or detail files");
  add_zone_option(line.options);
  add_ledger_options(line.options);
  line.words = {"place"};
  return run_command(line, argc, argv, who);
}

}  // namespace culvert::tools
