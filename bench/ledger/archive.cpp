#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "logging/ledger/live_file.h"
#include "logging/ledger/seal.h"
#include "logging/query/finding.h"
#include "net/hash.h"
#include "parts.h"

namespace culvert::bench {

using namespace logging::ledger;

void ask_archive(const Load& load, const std::string& directory, unsigned days, unsigned questions) {
  if (days == 0) throw std::runtime_error("an archive has a day at least");
  Days provider(load);
  Digest digest{};
  uint64_t events = 0, bytes = 0, opened = 0, ended = 0;
  Day day;
  for (unsigned n = 0; n < days; n++) {
    day = provider.next();
    if (n == 0) opened = day.opened;
    ended = day.ended;
    const auto path = std::filesystem::path(directory) / file_name(day.serial, day.opened, ".seg");
    const Sealed sealed = seal(day.live, digest, path, day.next_ordinal);
    digest = sealed.sha256;
    events += day.events;
    bytes += sealed.bytes;
    std::cerr << fmt::format("\rday {} of {}", n + 1, days) << std::flush;
  }
  std::cerr << '\n';
  fmt::print("{} days, {} events, {:.0f} MB\n\n", days, events, static_cast<double>(bytes) / 1e6);
  net::Random random(7);
  std::vector<double> times;
  uint64_t found = 0, incomplete = 0;
  for (unsigned i = 0; i < questions; i++) {
    const logging::query::Place place{
        net::Ipv4Address(day.first_address + random.below(static_cast<uint32_t>(day.addresses))),
        static_cast<uint16_t>(day.first_port + random.below(65536u - day.first_port))};
    const uint64_t at = opened + random.next() % (ended - opened);
    for (const auto& file : std::filesystem::directory_iterator(directory)) forget(file.path());
    const auto start = std::chrono::steady_clock::now();
    const auto finding = logging::query::who(Archive(directory), place, 0, {{at, at}});
    times.push_back(seconds_since(start) * 1000);
    found += finding.tenures.size();
    incomplete += finding.complete() ? 0 : 1;
  }
  std::ranges::sort(times);
  row("who had a port at a time", times[times.size() / 2], "ms",
      fmt::format("worst {:.2f}; {:.2f} holders; {} not complete", times.back(),
                  static_cast<double>(found) / questions, incomplete));
}

}  // namespace culvert::bench
