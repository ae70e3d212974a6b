/// `culvert log verify`: whether a ledger is whole.

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "arguments.h"
#include "log_commands.h"
#include "log_options.h"
#include "logging/ledger/archive_verify.h"
#include "progress.h"
#include "table.h"

namespace culvert::tools {
namespace {

namespace ledger = logging::ledger;

constexpr std::string_view kHelp = R"(checks that a ledger is whole, as it was written, and in one piece

  culvert log verify [--ledger DIR] [SEGMENT...] [--json]

Every checksum, every hash and the chain of them; that events are numbered without gaps; that the records can follow
each other; that each segment begins with what held at the end of the one before; that none is missing between two.
SEGMENTs are files: then only those. The ledger may be in use.

Each finding is a line that begins with the file's name. Exit code 1: there is one. Events that come while it runs are
left to the next time.
)";

std::vector<ledger::SegmentFile> chosen(const po::variables_map& given,
                                        const std::vector<std::string>& names) {
  std::vector<ledger::SegmentFile> files;
  for (const std::string& name : names) {
    if (!given.contains(name)) continue;
    const auto& path = given[name].as<std::string>();
    const auto file = ledger::parse_name(path);
    if (!file) throw UsageError(path + ": a segment is called like 00000042-20261122T000000Z.seg");
    files.push_back(*file);
  }
  if (files.empty()) return ledger::list_segments(ledger_directory(given));
  std::ranges::sort(files, {}, &ledger::SegmentFile::serial);
  return files;
}

int verify(const po::variables_map& given, const std::vector<std::string>& names) {
  const auto files = chosen(given, names);
  uint64_t total = 0;
  std::error_code ignored;
  for (const auto& f : files)
    if (const uint64_t size = std::filesystem::file_size(f.path, ignored); !ignored) total += size;
  const bool as_json = given.contains("json");
  Progress progress("verifying", total);
  const auto finding = [&](const std::filesystem::path& path, const std::string& what) {
    progress.hide();
    if (as_json)
      std::cout << nlohmann::ordered_json{{"file", path.string()}, {"finding", what}}.dump() << '\n';
    else
      std::cout << path.string() << ": " << what << '\n';
    std::cout.flush();
  };
  const ledger::Verified v = verify(files, {finding, [&](uint64_t done) { progress.at(done); }});
  progress.hide();
  if (as_json)
    std::cout << nlohmann::ordered_json{{"end", true},
                                        {"segments", v.segments},
                                        {"events", v.events},
                                        {"bytes", v.bytes},
                                        {"findings", v.findings}}
                     .dump()
              << '\n';
  else
    std::cout << fmt::format("{} segments, {} events, {}: {}\n", v.segments, v.events,
                             bytes_text(static_cast<double>(v.bytes)),
                             v.findings == 0 ? "whole" : fmt::format("{} findings", v.findings));
  return v.findings == 0 ? 0 : 1;
}

}  // namespace

int run_log_verify(int argc, char** argv) {
  CommandLine line{"log verify", kHelp};
  add_ledger_options(line.options);
  for (int i = 1; i < argc; i++) line.words.push_back(fmt::format("segment-{}", i));
  const auto names = line.words;
  return run_command(std::move(line), argc, argv,
                     [&](const po::variables_map& given) { return verify(given, names); });
}

}  // namespace culvert::tools
