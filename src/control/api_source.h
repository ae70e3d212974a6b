/// What the operator's interface (control socket, metrics) needs to know of the box besides the Engine. The
/// appliance fills it in (api_appliance.cpp); tests run the server on an Engine alone.
///
/// Thread: the control core calls everything here; nothing may block.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "control/engine.h"
#include "metrics/sample.h"

namespace culvert::control {

/// One of an interface's next hops as it is now.
struct NextHopStatus {
  std::string address;  ///< empty for a static link-layer address
  std::string mac;      ///< empty: not resolved
  std::string state;    ///< "static", "reachable", "incomplete" …
  bool ipv6 = false;
};

/// The device under an interface.
struct DeviceStatus {
  std::string driver;
  std::string mac;
  bool link_up = false;
  uint32_t mbps = 0;  ///< 0: unknown
  unsigned rx_queues = 0, tx_queues = 0;
  std::string steering;  ///< what brings packets to their workers
  uint64_t rx_errors = 0, rx_missed = 0, rx_no_buffer = 0, tx_errors = 0;
  std::vector<NextHopStatus> next_hops;
};

/// What changes while the box runs.
struct BoxStatus {
  Millis applied_at = 0;  ///< when the configuration in force was applied
  uint64_t reloads = 0;   ///< that succeeded
  uint64_t buffers_in_use = 0, buffers = 0;
  metrics::LogSample log;
  uint64_t log_waiting = 0;  ///< events
  std::vector<metrics::ExportSample> exports;
};

struct ApiSource {
  Engine* engine = nullptr;
  Millis started_at = 0;
  std::string pages;             ///< what memory packets lie in
  std::vector<int> worker_cpus;  ///< by worker; may be empty
  std::function<Millis()> now;
  std::function<DeviceStatus(unsigned interface)> device;  ///< in the order of Config::interfaces
  std::function<BoxStatus()> box;
  /// Reads the configuration file again and applies it. Empty, or why not (one or more lines).
  std::function<std::string()> reload;
};

}  // namespace culvert::control
