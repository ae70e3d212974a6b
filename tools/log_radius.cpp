/// `culvert log radius`: RADIUS accounting beside the ledger, so that a prefix becomes a subscriber.

#include "log_radius.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <optional>
#include <vector>

#include "arguments.h"
#include "log_commands.h"
#include "log_options.h"
#include "logging/radius/printable.h"
#include "net/mapped.h"

namespace culvert::tools {
namespace {

namespace radius = logging::radius;
using radius::Span;

constexpr char kDefaultIndex[] = "/var/lib/culvert/ledger/radius.index";

constexpr std::string_view kHelp = R"(RADIUS accounting beside the ledger: which subscriber had a prefix

  culvert log radius import PATH...   take FreeRADIUS detail files into the index; what is in it is not read again
  culvert log radius find PREFIX      the sessions that had it: user, line, circuit, NAS, from when to when

`culvert log who --radius` asks the same index. Each has a --help. docs/log.md says what is concluded from what.

Example: all of yesterday, and who it was

  culvert log radius import /var/log/freeradius/radacct
  culvert log radius find 2001:db8:1000::/56 --at '2026-11-21 01:12:07'
)";

constexpr std::string_view kImportHelp = R"help(takes FreeRADIUS detail files into the index

  culvert log radius import PATH... [--index FILE] [--forget-before TIME] [--forget-silent-before TIME]

PATH is a detail file, plain or compressed (gzip, zstd), or a directory: then all files in it and below. Files may
still be written to, be renamed, compressed or named again: only what is new is read. Run it every hour, and at once
when a question comes in. The index is written anew and replaced at once; lookups go on meanwhile.

Sessions are kept for ever, unless told otherwise:

  --forget-before         leaves out those whose end before that time is on record: a Stop, or the NAS' restart
  --forget-silent-before  leaves out those without an end that were last heard of before that time. If your NASes send
                          interim updates, take the same time as above. If not, a line that is up for a year is
                          silent for a year: take an older one

FreeRADIUS writes Event-Timestamp in its server's time zone. Where that is not UTC, set TZ to it.

Exit code 1: a file could not be read, or the index not written; what could be read was taken.

Example: from cron, six months back

  TZ=Europe/Berlin culvert log radius import /var/log/freeradius/radacct \
    --forget-before "$(date -u -d '6 months ago' +%FT%TZ)"

TIME is as in `culvert log who`; without a zone it is of $TZ.
)help";

constexpr std::string_view kFindHelp = R"(finds the sessions that had a prefix, or an address

  culvert log radius find PREFIX [--at TIME | --from TIME --to TIME]
  culvert log radius find --calling-station-id TEXT | --user-name TEXT [...]

PREFIX is an IPv6 or IPv4 prefix or address. Sessions are found whose prefix covers it, or is a part of it. Without a
time, all are. TIME is as in `culvert log who`; without a zone it is of $TZ.

Every session that may have had it then is listed; none is chosen. BEGAN and ENDED: a time; or `A .. B`: at some time
between; `A ..`: not before A, and maybe not yet. BY says how that is known: start, session-time (a later record's
Acct-Session-Time) or unknown; stop, accounting-on and accounting-off (the NAS restarted), superseded (the NAS gave
the prefix to another session), reused (or the session's id), or unknown: then A is when it was last seen. CERTAIN
yes: by its records it had the prefix all that time. Twice yes: the records contradict each other.

Clocks differ: a session is listed, and not certain, where --slack would make the difference.

Exit code 1: there is none.

Example: who had this address at 2:12 in Berlin, by last week's detail files?

  culvert log radius find 100.64.0.7 --at 2026-11-21T02:12:07+01:00 --index /var/log/freeradius/radacct
)";

constexpr uint64_t kSecond = 1000;

/// The words behind the options, as many as there are.
std::vector<std::string> take_words(const po::variables_map& given, const std::vector<std::string>& names) {
  std::vector<std::string> words;
  for (const std::string& name : names)
    if (given.contains(name)) words.push_back(given[name].as<std::string>());
  return words;
}

nlohmann::json time_json(uint64_t millis) {
  if (millis == 0 || millis == UINT64_MAX) return nullptr;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(millis / 1000)),
                     millis % 1000);
}

/// When something was, known to the second, or to lie between two.
std::string span_text(const Span& s) {
  if (s.latest == UINT64_MAX) return time_text(s.earliest) + " ..";
  if (s.earliest == 0) return ".. " + time_text(s.latest);
  if (s.latest - s.earliest < 1000) return time_text(s.earliest);
  return time_text(s.earliest) + " .. " + time_text(s.latest);
}

std::vector<std::filesystem::path> as_paths(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

nlohmann::ordered_json report_json(const radius::ImportReport& r) {
  return {{"files", r.files},
          {"unchanged", r.unchanged},
          {"failed", r.failed},
          {"unfinished", r.unfinished},
          {"records", r.tally.records},
          {"not_accounting", r.tally.not_accounting},
          {"wrong", r.tally.wrong},
          {"unknown_zone", r.tally.unknown_zone},
          {"wild_clock", r.tally.wild_clock},
          {"sessions", r.sessions},
          {"forgotten", r.forgotten},
          {"from", time_json(r.covered.earliest * 1000)},
          {"to", time_json(r.covered.latest * 1000)},
          {"written", r.written}};
}

int import_into(const po::variables_map& given, const std::vector<std::string>& names) {
  const auto words = take_words(given, names);
  if (words.empty()) throw UsageError("import needs a PATH: a detail file, or a directory of them");
  radius::BuildOptions options;
  if (given.contains("forget-before"))
    options.forget_before = time_option(given, "forget-before").front().first / kSecond;
  if (given.contains("forget-silent-before"))
    options.forget_silent_before = time_option(given, "forget-silent-before").front().first / kSecond;
  options.progress = show_progress();
  const auto r = radius::import_files(given["index"].as<std::string>(), as_paths(words), options);
  end_progress();
  print_complaints(r, "log radius import");
  if (given.contains("json")) {
    std::cout << report_json(r).dump() << '\n';
  } else {
    std::cout << fmt::format("files read: {}, without news: {}; records: {}\n", r.files, r.unchanged,
                             r.tally.records);
    std::cout << fmt::format("sessions forgotten: {}, in the index: {}, from {}\n", r.forgotten, r.sessions,
                             covered_text(r.covered));
  }
  return r.failed.empty() ? 0 : 1;
}

std::vector<logging::ledger::Interval> windows_of(const po::variables_map& given) {
  const bool range = given.contains("from") || given.contains("to");
  if (given.contains("at") && range)
    throw UsageError("--at is a time by itself; a range has --from and --to");
  if (given.contains("at")) return window_at(given);
  return {window_between(given)};
}

int find_in(const po::variables_map& given) {
  const bool by_line = given.contains("calling-station-id"), by_user = given.contains("user-name");
  if (given.count("prefix") + given.count("calling-station-id") + given.count("user-name") != 1)
    throw UsageError("find needs one of PREFIX, --calling-station-id and --user-name");
  std::optional<net::Ipv6Prefix> prefix;
  if (given.contains("prefix")) {
    const auto& text = given["prefix"].as<std::string>();
    prefix = net::parse_subscriber(text);
    if (!prefix) throw UsageError(text + ": is no prefix; its bits past the length are zero in one");
  }
  const auto windows = windows_of(given);
  const auto slack = given["slack"].as<double>();
  if (!(slack >= 0 && slack <= 86400)) throw UsageError("--slack is 0 to 86400 seconds");

  radius::ImportReport report;
  const auto paths = as_paths(given["index"].as<std::vector<std::string>>());
  const radius::Index index = radius::open_sessions(paths, show_progress(), report);
  end_progress();
  print_complaints(report, "log radius find");

  // Who asks for no time is told no certainty.
  const bool timed = given.contains("at") || given.contains("from") || given.contains("to");
  auto columns = session_columns();
  if (!timed) columns.pop_back();
  Table table(std::cout, columns);
  std::vector<radius::Session> found;
  const auto print = [&](const radius::Match& match) {
    if (windows.size() > 1 && std::ranges::find(found, match.session) != found.end()) return;
    found.push_back(match.session);
    if (given.contains("json"))
      std::cout << session_json(match).dump() << '\n';
    else
      table.add(session_cells(match));
  };
  const auto millis = static_cast<uint64_t>(slack * 1000);
  for (const auto& [from, to] : windows) {
    const radius::Window window{from, to};
    if (prefix) find_prefix(index, *prefix, window, millis, print);
    if (by_line)
      find_text(index, radius::KeyKind::calling_station_id, given["calling-station-id"].as<std::string>(),
                window, millis, print);
    if (by_user)
      find_text(index, radius::KeyKind::user_name, given["user-name"].as<std::string>(), window, millis,
                print);
  }
  if (found.empty())
    std::cerr << fmt::format("culvert log radius find: there is no such session; {} has records from {}\n",
                             paths.front().string(), covered_text(index.header().covered));
  else if (!given.contains("json"))
    table.finish("");
  return !found.empty() && report.failed.empty() ? 0 : 1;
}

int run_import(int argc, char** argv) {
  CommandLine line{"log radius import", kImportHelp};
  line.options.add_options()  //
      ("index", po::value<std::string>()->value_name("FILE")->default_value(kDefaultIndex), "the index")(
          "forget-before", po::value<std::string>()->value_name("TIME"),
          "leave out sessions that ended before")(
          "forget-silent-before", po::value<std::string>()->value_name("TIME"),
          "leave out sessions without an end that were last heard of before")("json", "print JSON");
  for (int i = 1; i < argc; i++) line.words.push_back(fmt::format("path-{}", i));
  const auto names = line.words;
  return run_command(std::move(line), argc, argv,
                     [&](const po::variables_map& given) { return import_into(given, names); });
}

int run_find(int argc, char** argv) {
  CommandLine line{"log radius find", kFindHelp};
  line.options.add_options()  //
      ("at", po::value<std::string>()->value_name("TIME"), "who had it then")(
          "from", po::value<std::string>()->value_name("TIME"), "who had it from then on")(
          "to", po::value<std::string>()->value_name("TIME"), "up to then, included")(
          "calling-station-id", po::value<std::string>()->value_name("TEXT"), "the line, to the letter")(
          "user-name", po::value<std::string>()->value_name("TEXT"), "the user, to the letter")(
          "slack",
          po::value<double>()->value_name("SECONDS")->default_value(radius::kUsualSlack / 1000.0, "2"),
          "how far clocks may be apart")(
          "index",
          po::value<std::vector<std::string>>()->value_name("PATH")->default_value({kDefaultIndex},
                                                                                   kDefaultIndex),
          "the index; or detail files, or a directory of them, which are read for this question only")(
          "json", "print JSON, one object a line");
  line.words = {"prefix"};
  return run_command(std::move(line), argc, argv, find_in);
}

}  // namespace

std::vector<Table::Column> session_columns() {
  return {{"PREFIX"},  {"USER"},  {"CALLING-STATION"}, {"CIRCUIT"}, {"NAS"},
          {"SESSION"}, {"BEGAN"}, {"ENDED"},           {"BY"},      {"CERTAIN"}};
}

std::vector<std::string> session_cells(const radius::Match& match) {
  const radius::Session& s = match.session;
  return {match.prefix ? net::subscriber_text(match.prefix->address, match.prefix->length) : "",
          radius::printable(s.user_name),
          radius::printable(s.calling_station_id),
          radius::printable(s.circuit_id),
          radius::printable(s.nas),
          radius::printable(s.session_id),
          span_text(match.began),
          span_text(match.ended),
          fmt::format("{}, {}", name_of(s.begin), name_of(match.ending)),
          match.certain ? "yes" : "no"};
}

nlohmann::ordered_json session_json(const radius::Match& match) {
  const radius::Session& s = match.session;
  nlohmann::ordered_json out;
  if (match.prefix) out["prefix"] = net::subscriber_text(match.prefix->address, match.prefix->length);
  const std::pair<const char*, const std::string*> texts[] = {{"user_name", &s.user_name},
                                                              {"calling_station_id", &s.calling_station_id},
                                                              {"circuit_id", &s.circuit_id},
                                                              {"remote_id", &s.remote_id},
                                                              {"nas", &s.nas},
                                                              {"nas_identifier", &s.nas_identifier},
                                                              {"nas_port_id", &s.nas_port_id},
                                                              {"session_id", &s.session_id}};
  for (const auto& [name, text] : texts)
    if (!text->empty()) out[name] = radius::printable(*text);
  out["began"] = {{"earliest", time_json(match.began.earliest)},
                  {"latest", time_json(match.began.latest)},
                  {"by", name_of(s.begin)}};
  out["ended"] = {{"earliest", time_json(match.ended.earliest)},
                  {"latest", time_json(match.ended.latest)},
                  {"by", name_of(match.ending)}};
  out["certain"] = match.certain;
  out["prefixes"] = nlohmann::json::array();
  for (const auto& held : s.prefixes)
    out["prefixes"].push_back({{"prefix", net::subscriber_text(held.prefix.address, held.prefix.length)},
                               {"seen_from", time_json(held.seen_from * 1000)},
                               {"seen_until", time_json(held.seen_until * 1000)}});
  return out;
}

std::string covered_text(const Span& covered) {
  if (covered.latest == 0) return "no time at all";
  return fmt::format("{} to {}", time_text(covered.earliest * 1000), time_text(covered.latest * 1000));
}

radius::Progress show_progress() {
  if (isatty(STDERR_FILENO) == 0) return nullptr;
  return [shown = std::chrono::steady_clock::time_point()](std::string_view doing, uint64_t done,
                                                           uint64_t total) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown < std::chrono::milliseconds(200)) return;
    shown = now;
    std::cerr << fmt::format(
        "\r{} {:<8}\x1b[K", doing,
        total == 0 ? "" : percent_text(static_cast<double>(done), static_cast<double>(total)));
  };
}

void end_progress() {
  if (isatty(STDERR_FILENO) != 0) std::cerr << "\r\x1b[K";
}

void print_complaints(const radius::ImportReport& r, std::string_view command) {
  const auto say = [&](const std::string& text) {
    std::cerr << fmt::format("culvert {}: {}\n", command, text);
  };
  for (const std::string& why : r.failed) say(why);
  if (!r.first_wrong.empty())
    say(fmt::format("{} records were dropped, which say nothing for sure; the first is {}", r.tally.wrong,
                    r.first_wrong));
  if (!r.first_unknown_zone.empty())
    say(fmt::format(
        "of {} records the Event-Timestamp cannot be read, and when they arrived was taken; the first is "
        "{}. If it names a time zone, set TZ to the RADIUS server's, like TZ=Europe/Berlin",
        r.tally.unknown_zone, r.first_unknown_zone));
  if (!r.first_wild_clock.empty())
    say(fmt::format(
        "of {} records the Event-Timestamp is more than a day off, and when they arrived was taken; the "
        "first is {}. Has that NAS a time server?",
        r.tally.wild_clock, r.first_wild_clock));
  if (r.unfinished != 0)
    say(fmt::format("{} files end within a record, which is left for the next time", r.unfinished));
}

int run_log_radius(int argc, char** argv) {
  const std::string_view action = argc > 1 ? argv[1] : "";
  if (action == "import") return run_import(argc - 1, argv + 1);
  if (action == "find") return run_find(argc - 1, argv + 1);
  CommandLine line{"log radius", kHelp};
  line.words = {"action"};
  return run_command(std::move(line), argc, argv, [](const po::variables_map&) -> int {
    throw UsageError("there is import, and there is find");
  });
}

}  // namespace culvert::tools
