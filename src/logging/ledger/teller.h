/// Makes an Entry of each record that tells something, with all its numbers resolved: by what the records
/// before said, from a segment's checkpoint on.
///
/// Belongs to one thread.
#pragma once

#include <optional>

#include "logging/entry.h"
#include "logging/ledger/state.h"

namespace culvert::logging::ledger {

class Teller {
 public:
  /// `opened`: the segment's.
  explicit Teller(uint64_t opened) : state_(opened), opened_(opened) {}

  /// Takes the next record. nullopt: it only says what other records need.
  std::optional<Entry> tell(const Record& r);
  /// Takes it, and tells nothing.
  void skip(const Record& r) { state_.apply(r); }
  const State& state() const { return state_; }

 private:
  std::optional<Entry> entry_of(const Record& r) const;
  bool block(const Record& r, Entry& e) const;
  void subscriber(uint64_t number, Entry& e) const;
  template <typename Note>
  bool binding(const Note& n, Entry& e) const;
  bool typed(const Record& r, Entry& e) const;

  State state_;
  uint64_t opened_;
};

}  // namespace culvert::logging::ledger
