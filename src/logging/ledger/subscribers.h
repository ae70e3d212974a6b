/// The subscribers that a segment defines, by their numbers. A recorder numbers them from 0 on, so they lie
/// one behind the other; those behind a gap, which damage makes or a hostile writer, lie in a map.
///
/// References are good until the next add(). Belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "logging/ledger/notes.h"
#include "logging/ledger/number_map.h"

namespace culvert::logging::ledger {

class Subscribers {
 public:
  /// False: its number has a definition already, which stays.
  bool add(const SubscriberNote& s) {
    if (s.number == dense_.size() && !others_.contains(s.number)) {
      dense_.push_back(s);
      return true;
    }
    return s.number > dense_.size() && others_.emplace(s.number, s).second;
  }
  /// nullptr: the number has none.
  const SubscriberNote* find(uint64_t number) const {
    if (number < dense_.size()) return &dense_[number];
    const auto found = others_.find(number);
    return found == others_.end() ? nullptr : &found->second;
  }
  bool contains(uint64_t number) const { return find(number) != nullptr; }
  size_t size() const { return dense_.size() + others_.size(); }
  /// All of them.
  template <typename Take>
  void for_each(Take&& take) const {
    for (const SubscriberNote& s : dense_) take(s);
    for (const auto& [number, s] : others_) take(s);
  }

 private:
  std::vector<SubscriberNote> dense_;
  NumberMap<SubscriberNote> others_;
};

}  // namespace culvert::logging::ledger
