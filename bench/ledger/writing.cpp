#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "logging/recorder.h"
#include "parts.h"

namespace culvert::bench {

using logging::ledger::Definitions;
using logging::ledger::Ledger;

namespace {

constexpr uint64_t kNow = 1'795'305'600'000;
constexpr uint32_t kHomes = 1u << 20;

/// One /14 for blocks of 64 ports, and homes that take and give them back in turns.
Definitions definitions() {
  Definitions d;
  d.instances.push_back({.name = "homes"});
  d.ranges.push_back({.instance = 0,
                      .first_address = net::Ipv4Address(0xc6120000),
                      .addresses = 1u << 18,
                      .first_port = 1024,
                      .set_size = 64,
                      .sets = 1008});
  return d;
}

logging::Event event(uint64_t n) {
  const auto home = static_cast<uint32_t>(n / 2 * 7919 % kHomes);
  logging::Event e;
  e.time = kNow + n / 2000;
  e.kind = n % 2 == 0 ? logging::EventKind::block_allocated : logging::EventKind::block_released;
  e.reason = n % 2 == 0 ? logging::Reason::first_packet : logging::Reason::idle;
  e.subscriber = net::Ipv6Address::from_halves(0x20010db8'00000000 + (uint64_t{home} << 8), 0);
  e.subscriber_length = 56;
  e.external = net::Ipv4Address(0xc6120000 + home / 1008);
  e.first_port = static_cast<uint16_t>(1024 + home % 1008 * 64);
  e.last_port = static_cast<uint16_t>(e.first_port + 63);
  e.peak = 20;
  return e;
}

uint64_t bytes_in(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory)) bytes += file.file_size();
  return bytes;
}

}  // namespace

void write_events(const std::string& directory, uint64_t events) {
  const std::string ledger_directory = directory + "/ledger";
  auto ledger = std::make_unique<Ledger>(
      ledger_directory, kNow,
      Ledger::Options{.tell = [](const std::string& what) { std::cerr << what << '\n'; }});
  ledger->define(definitions(), kNow);
  if (ledger->start("ledger-bench", kNow) != Ledger::Commit::done) throw std::runtime_error(ledger->error());
  logging::EventRing ring(logging::EventRing::kUsualCapacity);
  const auto start = std::chrono::steady_clock::now();
  uint64_t full = 0;
  {
    logging::Recorder recorder(std::move(ledger),
                               {.rings = {&ring},
                                .clock = [] { return kNow; },
                                .clock_ahead = [] { return int64_t{0}; },
                                .complain = [](const std::string& what) { std::cerr << what << '\n'; }});
    for (uint64_t n = 0; n < events; n++) {
      while (!ring.push(event(n))) {
        full++;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    }
    while (ring.waiting() != 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    const double seconds = seconds_since(start);
    row("events, from the ring to the disk", static_cast<double>(events) / seconds / 1e6, "M/s",
        fmt::format("{} of them; the ring was full {} times", events, full));
  }
  row("bytes on the disk", static_cast<double>(bytes_in(ledger_directory)) / static_cast<double>(events),
      "B/event");
}

}  // namespace culvert::bench
