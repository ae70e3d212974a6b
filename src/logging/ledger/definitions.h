/// What block numbers and instance numbers of the ledger stand for, as the configuration has it: handed over
/// by the control core before the workers see it, so that every event can be told.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "logging/entry.h"
#include "logging/ledger/notes.h"

namespace culvert::logging::ledger {

struct Definitions {
  struct Instance {
    std::string name;
    Entry::Carriage carriage = Entry::Carriage::nat44;
    bool operator==(const Instance&) const = default;
  };
  /// A pool's addresses. As in AddressRange.
  struct Range {
    size_t instance = 0;  ///< index in `instances`
    net::Ipv4Address first_address;
    uint64_t addresses = 0;
    uint16_t first_port = 0, set_size = 0;
    uint64_t sets = 0;
    bool operator==(const Range&) const = default;
  };
  std::vector<Instance> instances;
  std::vector<Range> ranges;  ///< without overlaps; those of draining pools are among them
  ConfigurationNote configuration;
  uint32_t hold_ms = 120'000;  ///< how long a released block rests
  bool operator==(const Definitions&) const = default;
};

}  // namespace culvert::logging::ledger
