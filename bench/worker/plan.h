/// What kind of box a scenario measures, and the configuration that makes it one.
///
/// Values; any thread.
#pragma once

#include <string>

#include "config/config.h"
#include "frames.h"

namespace culvert::bench {

inline constexpr uint16_t kInside = 0, kOutside = 1;  ///< ports, and interfaces
/// The box's own address on each, and that of whoever it talks to.
inline constexpr net::MacAddress kInsideMac{{2, 0, 0, 0, 0, 1}}, kOutsideMac{{2, 0, 0, 0, 0, 2}},
    kNeighbourMac{{2, 0, 0, 0, 0, 9}};

struct Plan {
  Carriage carriage = Carriage::nat44;
  uint32_t subscribers = 100;
  uint32_t mappings_each = 10;
  uint32_t mapping_capacity = 0;     ///< 0: a tenth more than subscribers × mappings_each
  uint32_t subscriber_capacity = 0;  ///< 0: a tenth more than subscribers
  uint32_t limit = 0;                ///< mappings-per-subscriber
  unsigned workers = 1;
  config::Timers timers{.udp = config::seconds(86400)};
  uint32_t hold_down_seconds = 120;
  /// NAT44: room for so many subscribers more, of an instance whose timers are all one second. Their numbers
  /// begin at kFirstPassing.
  uint32_t passing = 0;
  std::string ring_directory;  ///< event rings in files there, as long as culvertd's; empty: in memory

  uint32_t mappings() const { return subscribers * mappings_each; }
};

/// 11.0.0.0, to a FrameMaker.
inline constexpr uint32_t kFirstPassing = kMaxSubscribers;

config::Config configuration(const Plan& plan);

}  // namespace culvert::bench
