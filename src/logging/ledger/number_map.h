/// A map by numbers of the ledger: blocks, subscribers. It keeps its entries in one array (robin hood
/// hashing), so that an access costs about one cache line: two to three times as fast as std::unordered_map
/// at a million entries.
///
/// A segment's numbers may be made up. The array doubles where many numbers collide, so the hash is keyed,
/// anew in each process: nobody can write down numbers that do.
///
/// Iterators and references are good until the next change of the map. Belongs to one thread.
#pragma once

#include <tsl/robin_map.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "net/hash.h"

namespace culvert::logging::ledger {

struct NumberHash {
  size_t operator()(uint64_t number) const {
    static const net::HashKey key = [] {
      std::random_device random;
      net::HashKey secret;
      for (uint64_t& word : secret.word) word = uint64_t{random()} << 32 | random();
      return secret;
    }();
    return net::hash(key, number);
  }
};

template <typename Value>
using NumberMap = tsl::robin_map<uint64_t, Value, NumberHash>;

/// Looks a key up, only so that its place is in the processor's cache when it is needed.
template <typename Map>
void touch(const Map& map, const typename Map::key_type& key) {
  const bool found = map.contains(key);
  asm volatile("" : : "r"(found));  // else the compiler leaves it out
}

/// What is in it, in the order of numbers.
template <typename Value>
std::vector<std::pair<uint64_t, Value>> sorted(const NumberMap<Value>& map) {
  std::vector<std::pair<uint64_t, Value>> all(map.begin(), map.end());
  std::ranges::sort(all, {}, &std::pair<uint64_t, Value>::first);
  return all;
}

}  // namespace culvert::logging::ledger
