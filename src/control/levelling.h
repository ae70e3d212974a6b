/// When free blocks of a pool move between workers: from the one with most to the one with least, once that
/// one has less than a quarter of the average left. Half of the difference moves, so that it does not come
/// back. The Engine applies it every 100 ms; the simulation of docs/steering.md does too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "dataplane/pool.h"

namespace culvert::control {

struct BlockMove {
  dataplane::WorkerId donor, needy;
  uint32_t blocks;  ///< free blocks to move, in whole addresses where the pool is dealt so
};

/// `free`: blocks by worker; `unit`: what moves at once, an address's blocks or 1.
inline std::optional<BlockMove> choose_move(const std::vector<uint32_t>& free, uint32_t unit) {
  const auto most = std::max_element(free.begin(), free.end()),
             least = std::min_element(free.begin(), free.end());
  const auto average =
      static_cast<uint32_t>(std::accumulate(free.begin(), free.end(), uint64_t{0}) / free.size());
  if (*least > average / 4 || *most < *least + 2 * unit) return std::nullopt;
  return BlockMove{static_cast<dataplane::WorkerId>(most - free.begin()),
                   static_cast<dataplane::WorkerId>(least - free.begin()), (*most - *least) / 2};
}

}  // namespace culvert::control
