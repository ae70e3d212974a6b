/// `culvert log seal`: seals segments that were left behind.

#include <fmt/format.h>

#include <iostream>

#include "arguments.h"
#include "log_commands.h"
#include "log_options.h"
#include "logging/ledger/directory.h"
#include "logging/ledger/sealing.h"
#include "progress.h"
#include "table.h"

namespace culvert::tools {
namespace {

namespace fs = std::filesystem;
namespace ledger = logging::ledger;

constexpr std::string_view kHelp =
    R"(seals segments that have ended: sorted, compressed, chained by hash to the one before

  culvert log seal [--ledger DIR] [--last]

culvertd does that itself; this is for a ledger that was left behind, or a copy. Live files go when their sealed ones
are on the disk and were read back.

--last seals the last segment too, of a ledger that nobody will write to any more: culvertd does not go on with such a
one.

Exit code 1: something could not be sealed, or a culvertd writes there.
)";

int seal(const po::variables_map& given) {
  const fs::path directory = ledger_directory(given);
  if (!fs::is_directory(directory)) throw std::runtime_error(directory.string() + " is no directory");
  const ledger::Lock lock(directory);
  const auto files = ledger::unsealed(directory, given.contains("last"));
  uint64_t total = 0, done = 0;
  for (const fs::path& live : files) total += fs::file_size(live);
  Progress progress("sealing", total);
  for (const fs::path& live : files) {
    const uint64_t size = fs::file_size(live);
    const auto tell = [&](const std::string& what) {
      progress.hide();
      std::cerr << "culvert log seal: " << what << '\n';
    };
    ledger::seal_one(live, [](const ledger::SegmentNote&) { return true; }, tell);
    const fs::path sealed = fs::path(live).replace_extension(".seg");
    progress.hide();
    std::cout << fmt::format("{}: {}, of {}\n", sealed.string(),
                             bytes_text(static_cast<double>(fs::file_size(sealed))),
                             bytes_text(static_cast<double>(size)))
              << std::flush;
    done += size;
    progress.at(done);
  }
  if (files.empty()) std::cout << "there is nothing to seal\n";
  return 0;
}

}  // namespace

int run_log_seal(int argc, char** argv) {
  CommandLine line{"log seal", kHelp};
  line.options.add_options()  //
      ("ledger", po::value<std::string>()->value_name("DIR"), "the ledger's directory; also $CULVERT_LEDGER")(
          "last", "also the last segment; nobody may write to the ledger any more");
  return run_command(line, argc, argv, seal);
}

}  // namespace culvert::tools
