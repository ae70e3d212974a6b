/// Why a block was given or taken back, or an explicit mapping ended: what stands in the ledger and in all
/// that is made of it. The numbers are the ledger's (docs/ledger.md).
#pragma once

#include <cstdint>
#include <string_view>

namespace culvert::logging {

enum class Reason : uint8_t {
  none = 0,
  first_packet = 1,   ///< allocated: the subscriber had none
  ports_used_up = 2,  ///< allocated: his other blocks had no port left
  idle = 4,           ///< released: port-set-timeout after the last mapping
  cleared = 5,        ///< ended by `culvert clear`
  pool_removed = 6,   ///< ended: its pool left the configuration
  restart = 7,        ///< ended: the box that started again could not keep it
  configuration = 8,  ///< an explicit mapping: it left the configuration
};

constexpr std::string_view name_of(Reason r) {
  switch (r) {
    case Reason::none:
      return "none";
    case Reason::first_packet:
      return "first-packet";
    case Reason::ports_used_up:
      return "ports-used-up";
    case Reason::idle:
      return "idle";
    case Reason::cleared:
      return "cleared";
    case Reason::pool_removed:
      return "pool-removed";
    case Reason::restart:
      return "restart";
    case Reason::configuration:
      return "configuration";
  }
  return "unknown";
}

}  // namespace culvert::logging
