/// One worker's share of config::Capacity and what makes it differ from the others.
#pragma once

#include <cstdint>

#include "dataplane/pool.h"
#include "logging/event_ring.h"
#include "net/hash.h"

namespace culvert::dataplane {

struct BindingSetup {
  WorkerId self = 0;
  uint32_t mappings = 1, sessions = 1, subscribers = 1;
  uint32_t held = 1;       ///< ports and blocks in hold-down at once
  uint32_t fragments = 1;  ///< fragments of either side held at once
  net::HashKey hash_key;
  uint64_t seed = 1;                  ///< of random choices
  logging::EventRing* log = nullptr;  ///< not owned
  bool strict = false;                ///< a block serves when its record is on the disk (durability: strict)
};

}  // namespace culvert::dataplane
