/// `culvert log export`: what a ledger has, to a collector, once more or afterwards.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "arguments.h"
#include "config/load.h"
#include "log_commands.h"
#include "log_options.h"
#include "logging/export/connection.h"
#include "logging/export/encoder.h"
#include "logging/ledger/archive_reader.h"
#include "progress.h"

namespace culvert::tools {
namespace {

using logging::ExportConfig;

constexpr std::string_view kHelp = R"(sends what the ledger has to a collector: once more, or afterwards

  culvert log export NAME [--config FILE] [--from TIME] [--to TIME] [--tz ZONE] [--ledger DIR]

NAME is one of the configuration's exports (logging: exports:), which says who gets it, how, and in which words. The
export that a culvertd has running, and the position it remembers, are left alone. TIME is as in `culvert log who`; the
ledger is the configuration's, unless --ledger or $CULVERT_LEDGER names another: a copy, for one.

Each event has the ordinal that it always had, so that a collector can tell those it has already.

Exit code 1: not everything was sent, or there was nothing to send.

Example: the SIEM lost yesterday's

  culvert log export siem --from yesterday --to yesterday
)";

ExportConfig export_of(const config::Config& config, const std::string& name) {
  const auto& exports = config.logging.exports;
  const auto found = std::ranges::find(exports, name, &ExportConfig::name);
  if (found != exports.end()) return *found;
  std::string names;
  for (const ExportConfig& e : exports) (names += names.empty() ? "" : ", ") += e.name;
  throw UsageError(fmt::format("{} has no export {}; {}", config.file, name,
                               names.empty() ? "it has none" : "there are " + names));
}

/// The connection and what goes over it.
class Sending {
 public:
  explicit Sending(const ExportConfig& config)
      : config_(config),
        encoder_(logging::make_encoder(config, static_cast<uint32_t>(getpid()))),
        connection_(logging::make_connection(config)) {
    if (!connection_->open(stop_)) fail();
    encoder_->begin();
    encoder_->set_time(logging::moment_now());
  }

  void add(const logging::Entry& e) {
    if (encoder_->add(e, out_)) entries_++;
    if (e.ordinal) next_ = *e.ordinal + 1;
    if (out_.bytes.size() >= size_t{64} * 1024) flush();
  }
  /// Whether the collector said that it has read everything, as it can over TCP and TLS.
  bool finish() {
    encoder_->end(out_);
    flush();
    if (!config_.datagrams()) return connection_->finish();
    // If nobody receives there, that is told soon.
    if (entries_ != 0 && !connection_->rest(std::chrono::seconds(2), stop_)) fail();
    return false;
  }
  uint64_t entries() const { return entries_; }

 private:
  void flush() {
    if (!out_.empty() && !connection_->send(out_, stop_)) fail();
    out_.clear();
    sent_ = next_;
    encoder_->set_time(logging::moment_now());
  }
  [[noreturn]] void fail() const {
    const std::string how_far =
        sent_ == 0 ? "nothing was sent"
                   : fmt::format("what was sent ends before ordinal {}, and may not all have arrived", sent_);
    throw std::runtime_error(fmt::format("{}: {}; {}", config_.collector(), connection_->error(), how_far));
  }

  const ExportConfig& config_;
  std::unique_ptr<logging::Encoder> encoder_;
  std::unique_ptr<logging::Connection> connection_;
  logging::StopSignal stop_;  ///< of nobody: ^C ends the process
  logging::Outbox out_;
  uint64_t entries_ = 0;
  uint64_t next_ = 0, sent_ = 0;  ///< ordinals behind what was taken, and sent
};

int send(const po::variables_map& given) {
  if (!given.contains("name")) throw UsageError("the NAME of an export is needed");
  const auto loaded = config::load_file(given["config"].as<std::string>());
  if (const auto* problems = std::get_if<config::Problems>(&loaded))
    throw std::runtime_error(problems->front().text());
  const auto& config = std::get<config::Config>(loaded);
  const ExportConfig wanted = export_of(config, given["name"].as<std::string>());
  const bool named = given.contains("ledger") || std::getenv("CULVERT_LEDGER") != nullptr;
  logging::ledger::ArchiveReader reader(named ? ledger_directory(given)
                                              : std::filesystem::path(config.logging.ledger_directory));
  reader.only(window_between(given));
  reader.seek(0);
  Progress progress("sending", reader.total());
  bool whole = true;
  reader.on_trouble = [&](const std::string& what) {
    whole = false;
    progress.hide();
    std::cerr << "culvert log export: " << what << '\n';
  };
  Sending sending(wanted);
  logging::Entry e;
  for (uint64_t n = 0; reader.next(e); n++) {
    if (n % 4096 == 0) progress.at(reader.read());
    sending.add(e);
  }
  const bool confirmed = sending.finish();
  progress.hide();
  std::cout << fmt::format("{} entries were sent to {}{}\n", sending.entries(), wanted.collector(),
                           confirmed            ? ""
                           : wanted.datagrams() ? "; over UDP nobody knows whether they have arrived"
                                                : "; it did not say whether it has read them all");
  return whole && sending.entries() != 0 ? 0 : 1;
}

}  // namespace

int run_log_export(int argc, char** argv) {
  CommandLine line{"log export", kHelp};
  line.words = {"name"};
  line.options.add_options()  //
      ("config", po::value<std::string>()->value_name("FILE")->default_value("/etc/culvert/culvert.yaml"),
       "the configuration with the export")("from", po::value<std::string>()->value_name("TIME"),
                                            "from then on")(
          "to", po::value<std::string>()->value_name("TIME"), "up to then, included")(
          "ledger", po::value<std::string>()->value_name("DIR"),
          "the ledger's directory; also $CULVERT_LEDGER; else the configuration's");
  add_zone_option(line.options);
  std::signal(SIGPIPE, SIG_IGN);  // a collector that is gone is an error like others
  return run_command(line, argc, argv, send);
}

}  // namespace culvert::tools
