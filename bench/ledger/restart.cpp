#include <fmt/format.h>

#include <iostream>
#include <stdexcept>

#include "control/engine.h"
#include "logging/ledger/ledger.h"
#include "parts.h"

namespace culvert::bench {

using logging::ledger::Ledger;

namespace {

constexpr uint64_t kNow = 1'795'305'600'000;
constexpr uint16_t kFirstPort = 1024, kSetSize = 512, kSets = 126;

config::Config config_for(uint64_t blocks) {
  config::Config c;
  c.workers = 2;
  c.interfaces.resize(2);
  c.interfaces[0].name = "inside";
  c.interfaces[1].name = "outside";
  c.interfaces[1].role = config::Role::outside;
  config::Instance i;
  i.name = "homes";
  i.carriage = config::Carriage::nat44;
  i.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("100.64.0.0/10"), 32}};
  // As many addresses as are needed, and half as many again.
  uint8_t length = 32;
  while ((uint64_t{1} << (32 - length)) * kSets * 2 < blocks * 3) length--;
  i.pools.push_back({net::Ipv4Address(0xc6120000), length});
  i.ports.first_port = kFirstPort;
  i.ports.last_port = static_cast<uint16_t>(kFirstPort + kSetSize * kSets - 1);
  i.ports.set_size = kSetSize;
  i.ports.sets_per_subscriber = 4;
  c.instances = {i};
  c.capacity.subscribers = static_cast<uint32_t>(blocks);
  c.capacity.mappings = static_cast<uint32_t>(blocks);
  return c;
}

Ledger::Options options() {
  return {.tell = [](const std::string& what) { std::cerr << what << '\n'; }};
}

void must(Ledger& ledger, Ledger::Commit result) {
  if (result != Ledger::Commit::done) throw std::runtime_error(ledger.error());
}

/// Two blocks for each of half a million, say: so many in all. The process that wrote it has crashed.
void write_ledger(const std::string& directory, const config::Config& config, uint64_t blocks) {
  Ledger ledger(directory, kNow, options());
  control::Engine::Options engine_options;
  engine_options.ring_files = false;
  const control::Engine engine(config, std::vector<control::InterfaceFacts>(2), engine_options, kNow);
  ledger.define(engine.definitions(), kNow);
  must(ledger, ledger.start("ledger-bench", kNow));
  for (uint64_t n = 0; n < blocks; n++) {
    logging::Event e;
    e.sequence = n + 1;
    e.time = kNow + n / 100;
    e.kind = logging::EventKind::block_allocated;
    e.reason = logging::Reason::first_packet;
    const auto home = static_cast<uint32_t>(n / 2);
    e.subscriber = net::Ipv6Address::from_halves(0, 0xffff'00000000 | (0x64400000u + home));
    e.external = net::Ipv4Address(0xc6120000 + home / (kSets / 2));
    e.first_port = static_cast<uint16_t>(kFirstPort + (home % (kSets / 2) * 2 + n % 2) * kSetSize);
    e.last_port = static_cast<uint16_t>(e.first_port + kSetSize - 1);
    ledger.take(e, 0, 1);
    if (ledger.full()) must(ledger, ledger.commit(e.time));
  }
  must(ledger, ledger.commit(kNow + blocks));
}

}  // namespace

void restart(const std::string& directory, uint64_t blocks) {
  const config::Config config = config_for(blocks);
  const std::string ledger_directory = directory + "/ledger";
  write_ledger(ledger_directory, config, blocks);
  const auto start = std::chrono::steady_clock::now();
  auto part = start;
  const auto lap = [&](const std::string& what) {
    row(what, 1000 * seconds_since(part), "ms");
    part = std::chrono::steady_clock::now();
  };
  const uint64_t now = kNow + blocks;
  Ledger ledger(ledger_directory, now, options());
  lap("the ledger's last segment");
  const control::Inheritance inheritance = control::inheritance_of(ledger.state());
  lap("what subscribers had");
  control::Engine::Options engine_options;
  engine_options.ring_files = false;
  engine_options.inheritance = &inheritance;
  control::Engine engine(config, std::vector<control::InterfaceFacts>(2), engine_options, now);
  lap("workers that have it");
  if (!engine.disinherited().empty() || inheritance.blocks.size() != blocks)
    throw std::runtime_error("not all blocks came back");
  ledger.define(engine.definitions(), now);
  must(ledger, ledger.start("ledger-bench", now));
  lap("the next segment, with all of it");
  row("in all", 1000 * seconds_since(start), "ms", fmt::format("{} blocks in use", blocks));
}

}  // namespace culvert::bench
