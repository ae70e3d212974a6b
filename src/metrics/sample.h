/// What the metrics endpoint shows besides the workers' counters: a value that the control core makes about
/// once a second and hands to the collector. Immutable once published, so that a scrape never waits for the
/// control core and never touches what belongs to it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/pool.h"

namespace culvert::metrics {

/// An interface and the device under it.
struct InterfaceSample {
  enum class NextHop : uint8_t { none, unresolved, resolved };

  std::string name;
  bool link_up = false;
  uint64_t rx_errors = 0, rx_missed = 0, rx_no_buffer = 0, tx_errors = 0;
  NextHop next_hop_ipv4 = NextHop::none, next_hop_ipv6 = NextHop::none;
};

/// How much of a pool one worker has given out.
struct PoolUse {
  uint64_t free = 0, live = 0, held = 0;                    ///< port blocks
  std::array<uint64_t, dataplane::kPortSpaces> ports = {};  ///< with a mapping, by PortSpace

  PoolUse& operator+=(const PoolUse& o) {
    free += o.free;
    live += o.live;
    held += o.held;
    for (size_t i = 0; i < ports.size(); i++) ports[i] += o.ports[i];
    return *this;
  }
};

struct PoolSample {
  std::string pool;      ///< prefix
  std::string instance;  ///< name
  bool draining = false;
  uint64_t blocks = 0;
  uint64_t set_size = 0;
  std::vector<PoolUse> workers;

  PoolUse total() const {
    PoolUse sum;
    for (const PoolUse& w : workers) sum += w;
    return sum;
  }
};

/// The ledger's writer, and who looks after what is written.
struct LogSample {
  uint64_t written = 0, errors = 0;  ///< events; attempts that failed
  bool failing = false;              ///< the last attempt did
  uint64_t sealed = 0, removed = 0;  ///< segments
  uint64_t keeping_errors = 0;       ///< of sealing and removing
};

/// An export (logging::ExportStats).
struct ExportSample {
  std::string name, protocol, transport, collector;
  uint64_t sent = 0, repeated = 0, lost = 0, failures = 0;
  uint64_t position = 0, confirmed = 0, waiting = 0;
  bool failing = false;
};

struct Sample {
  std::string version;
  double start_time = 0;  ///< Unix, seconds
  uint64_t config_generation = 0;
  uint64_t mappings_capacity = 0, sessions_capacity = 0, subscribers_capacity = 0;
  LogSample log;
  uint64_t buffers_in_use = 0, buffers_capacity = 0;
  uint64_t table_bytes = 0;
  std::vector<InterfaceSample> interfaces;
  std::vector<PoolSample> pools;
  std::vector<ExportSample> exports;
};

}  // namespace culvert::metrics
