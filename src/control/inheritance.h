/// What subscribers had when the run before ended, as the ledger tells, to be theirs again: promise 6, the
/// ledger is the database.
///
/// Addresses and subscribers who are tied together by blocks (or static mappings) go to one worker together,
/// also when there are more or fewer workers than before. What the configuration has no place for any more is
/// refused, and then nobody's until it has rested.
///
/// Values; the control core, before the workers run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/tables.h"
#include "logging/ledger/state.h"

namespace culvert::control {

using dataplane::Millis;

struct Inheritance {
  struct Block {
    uint64_t number = 0;    ///< the ledger's
    uint64_t instance = 0;  ///< the ledger's
    net::Ipv6Address subscriber;
    uint8_t length = 128;  ///< an IPv4 mask counts from 96
    net::Ipv4Address external;
    uint16_t first_port = 0, last_port = 0;
  };
  /// Ports that were given back.
  struct Rest {
    net::Ipv4Address external;
    uint16_t first_port = 0, last_port = 0;
    Millis since = 0;
  };
  std::map<uint64_t, logging::ledger::InstanceNote> instances;
  std::vector<Block> blocks;
  std::vector<Rest> rests;  ///< in the order of their times
  /// Explicit mappings that are on record.
  std::map<logging::ledger::State::Endpoint, logging::ledger::Binding> mappings;
  std::unordered_map<uint64_t, logging::ledger::SubscriberNote> mapping_subscribers;  ///< by number
  /// Blocks may have been given that are not on record: no new ones are before then (event clock).
  Millis nothing_new_before = 0;
};

/// Of what holds at the end of the ledger.
Inheritance inheritance_of(const logging::ledger::State& state);

/// Who gets what. Blocks in it are marked in their pools as live or held, and addresses dealt.
struct Division {
  struct Share {
    uint64_t number;  ///< the ledger's, of the block
    dataplane::SubscriberKey who;
    uint8_t mask;
    uint16_t pool;  ///< slot
    dataplane::BlockIndex block;
    dataplane::WorkerId worker;
  };
  struct Rest {
    uint16_t pool;
    dataplane::BlockIndex block;
    Millis since;
  };
  std::vector<Share> shares;
  std::vector<Rest> rests;        ///< in the order of their times
  std::vector<uint64_t> refused;  ///< blocks, by the ledger's numbers
  std::shared_ptr<const dataplane::Steering::Pins> pins;
};
Division divide(const Inheritance& inheritance, const dataplane::Tables& tables, Millis now);

/// The ledger's name for its external endpoint.
logging::ledger::State::Endpoint endpoint_of(const dataplane::StaticEntry& entry);
/// Whether this static mapping is on record just so.
bool on_record(const Inheritance& inheritance, const dataplane::Tables& tables,
               const dataplane::StaticEntry& entry);

}  // namespace culvert::control
