/// `culvert log stats`: a ledger in numbers.

#include <fmt/format.h>

#include <iostream>

#include "arguments.h"
#include "log_commands.h"
#include "log_options.h"
#include "logging/ledger/segment_stats.h"
#include "progress.h"
#include "table.h"
#include "typed_time.h"

namespace culvert::tools {
namespace {

namespace ledger = logging::ledger;

constexpr std::string_view kHelp = R"(what is in a ledger, in numbers: segment by segment, and in all

  culvert log stats [--ledger DIR] [--json]

EVENTS are blocks given and taken back, explicit mappings, sessions and refusals. HELD is how many blocks were held at
the segment's end, MOST how many at once, BLOCKS how many there are. All segments are read.

Exit code 1: something could not be read.
)";

nlohmann::ordered_json json_of(const ledger::SegmentStats& s) {
  nlohmann::ordered_json row{
      {"segments", s.segments}, {"from", utc_text(s.opened)},       {"to", utc_text(s.ended)},
      {"bytes", s.bytes},       {"first_ordinal", s.first_ordinal}, {"events", s.events},
      {"lost", s.lost}};
  if (s.events != 0) row["bytes_per_event"] = static_cast<double>(s.bytes) / static_cast<double>(s.events);
  row["kinds"] = s.kinds;
  row["subscribers"] = s.subscribers;
  row["blocks"] = s.blocks;
  row["held"] = s.held;
  row["most_held"] = s.most_held;
  row["mappings"] = s.mappings;
  return row;
}

std::vector<std::string> cells(const std::string& name, const ledger::SegmentStats& s) {
  const auto number = [](uint64_t n) { return fmt::format("{}", n); };
  return {name,
          utc_text(s.opened),
          utc_text(s.ended),
          number(s.events),
          number(s.lost),
          bytes_text(static_cast<double>(s.bytes)),
          s.events == 0 ? ""
                        : fmt::format("{:.2f}", static_cast<double>(s.bytes) / static_cast<double>(s.events)),
          number(s.subscribers),
          number(s.held),
          number(s.most_held),
          number(s.blocks)};
}

int stats(const po::variables_map& given) {
  const ledger::Archive archive(ledger_directory(given));
  const bool as_json = given.contains("json");
  uint64_t total = 0, done = 0;
  for (const ledger::Segment& s : archive.segments()) total += s.bytes;
  Progress progress("reading", total);
  bool whole = true;
  const auto trouble = [&](const std::string& what) {
    whole = false;
    progress.hide();
    std::cerr << "culvert log stats: " << what << '\n';
  };
  for (const ledger::Hole& hole : archive.holes()) trouble(hole.what);
  ledger::SegmentStats all;
  Table table(std::cout, {{"SEGMENT"},
                          {"FROM"},
                          {"TO"},
                          {"EVENTS", true},
                          {"LOST", true},
                          {"SIZE", true},
                          {"B/EVENT", true},
                          {"SUBSCRIBERS", true},
                          {"HELD", true},
                          {"MOST", true},
                          {"BLOCKS", true}});
  for (size_t i = 0; i < archive.segments().size(); i++) {
    const ledger::Segment& s = archive.segments()[i];
    const std::string name = s.file.path.filename().string();
    progress.at(done);
    done += s.bytes;
    try {
      const ledger::SegmentStats one = stats_of(s, archive.end_ordinal(i), trouble);
      all.add(one);
      nlohmann::ordered_json row{{"segment", name}};
      row.update(json_of(one));
      if (as_json)
        std::cout << row.dump() << '\n';
      else
        table.add(cells(name, one));
    } catch (const std::runtime_error& e) {
      trouble(e.what());
    }
  }
  progress.hide();
  if (as_json) {
    nlohmann::ordered_json row{{"end", true}};
    row.update(json_of(all));
    std::cout << row.dump() << '\n';
    return whole ? 0 : 1;
  }
  if (all.segments > 1) table.add(cells("all", all));
  table.finish("there is no segment");
  if (all.segments == 0) return 1;
  std::cout << '\n';
  for (const auto& [kind, n] : all.kinds) std::cout << fmt::format("{:<16} {}\n", kind, n);
  std::cout << fmt::format("{:<16} {}, at most {}\n", "block use",
                           percent_text(static_cast<double>(all.held), static_cast<double>(all.blocks)),
                           percent_text(static_cast<double>(all.most_held), static_cast<double>(all.blocks)));
  return whole ? 0 : 1;
}

}  // namespace

int run_log_stats(int argc, char** argv) {
  CommandLine line{"log stats", kHelp};
  add_ledger_options(line.options);
  return run_command(line, argc, argv, stats);
}

}  // namespace culvert::tools
