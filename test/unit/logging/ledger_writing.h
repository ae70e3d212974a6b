/// What tests of the ledger's writing side share: definitions, events, and what a directory says in the end.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "logging/entry.h"
#include "logging/event.h"
#include "logging/ledger/checkpoint.h"
#include "logging/ledger/definitions.h"
#include "logging/ledger/directory.h"
#include "logging/ledger/teller.h"
#include "net/mapped.h"

namespace culvert::test {

inline constexpr uint64_t kBegin = 1'700'000'000'000;  ///< 2023-11-14T22:13:20Z

/// 192.0.2.0/30 with blocks of `set_size` ports, as instance `name`.
inline logging::ledger::Definitions homes(uint16_t set_size = 512, const std::string& name = "homes") {
  logging::ledger::Definitions d;
  d.instances = {{name, logging::Entry::Carriage::nat44}};
  d.ranges = {{.instance = 0,
               .first_address = net::Ipv4Address(0xc0000200),
               .addresses = 4,
               .first_port = 1024,
               .set_size = set_size,
               .sets = 32768u / set_size}};
  return d;
}

/// The subscriber 100.64.0.`who` gets block `n` of 192.0.2.1.
inline logging::Event allocated(uint64_t time, uint64_t sequence, uint8_t who, uint16_t n,
                                uint16_t set_size = 512) {
  logging::Event e;
  e.time = time;
  e.sequence = sequence;
  e.kind = logging::EventKind::block_allocated;
  e.reason = logging::Reason::first_packet;
  e.subscriber = net::mapped(net::Ipv4Address(0x64400000u + who));
  e.external = net::Ipv4Address(0xc0000201);
  e.first_port = static_cast<uint16_t>(1024 + n * set_size);
  e.last_port = static_cast<uint16_t>(e.first_port + set_size - 1);
  return e;
}
inline logging::Event released(uint64_t time, uint64_t sequence, uint8_t who, uint16_t n,
                               uint16_t set_size = 512) {
  logging::Event e = allocated(time, sequence, who, n, set_size);
  e.kind = logging::EventKind::block_released;
  e.reason = logging::Reason::idle;
  e.peak = 7;
  return e;
}

/// All that the live segments of a directory tell, and who holds what at the end: first port → subscriber.
struct Told {
  std::vector<logging::Entry> entries;
  std::map<uint16_t, std::string> held;
  std::vector<std::string> faults;
  uint64_t damaged = 0;

  explicit Told(const std::filesystem::path& directory) {
    using namespace logging::ledger;
    for (const SegmentFile& file : list_segments(directory)) {
      const std::string bytes = read_file(file.path);
      LiveReader reader(bytes);
      REQUIRE(reader.header());
      reader.on_damage = [this](const Damage&) { damaged++; };
      Teller teller(reader.header()->opened);
      while (reader.next())
        if (auto entry = teller.tell(reader.record())) entries.push_back(std::move(*entry));
      replay(bytes, nullptr, [this](const Record&, const std::string& what) { faults.push_back(what); });
      held.clear();
      for (const auto& [block, holder] : teller.state().held()) {
        const SubscriberNote& who = *teller.state().subscribers().find(holder.subscriber);
        held[teller.state().range_of_block(block)->first_port_of(block)] =
            net::subscriber_text(who.prefix, who.length);
      }
    }
  }
  /// How many entries are of this kind.
  size_t count(logging::Entry::Kind kind) const {
    return static_cast<size_t>(std::ranges::count(entries, kind, &logging::Entry::kind));
  }
  /// Ordinals of events, in their order.
  std::vector<uint64_t> ordinals() const {
    std::vector<uint64_t> all;
    for (const logging::Entry& e : entries)
      if (e.ordinal) all.push_back(*e.ordinal);
    return all;
  }
};

}  // namespace culvert::test
