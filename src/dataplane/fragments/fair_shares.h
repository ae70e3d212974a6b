/// Who has how many fragments waiting, so that the room can be shared fairly. When room is needed it is taken
/// from the owner who has most. Choosing costs the same however many owners there are: they hang in a list
/// for every count.
///
/// An owner is 64 bits that say whose a datagram is (a keyed hash of the subscriber, or of the pool address
/// that a stranger sends to: his own address he may invent). Belongs to one worker.
#pragma once

#include <array>

#include "dataplane/huge_array.h"
#include "dataplane/tagged_index.h"

namespace culvert::dataplane {

class FairShares {
 public:
  using OwnerId = uint32_t;
  static constexpr OwnerId kNoOwner = ~uint32_t{0};

  /// For up to `capacity` owners at once, each with `most` fragments at most.
  FairShares(uint32_t capacity, uint32_t most);
  /// Bytes of its tables, in the order in which they are taken.
  static constexpr std::array<size_t, 3> tables_for(uint32_t capacity, uint32_t most);

  /// The owner's record; kNoOwner if he has none.
  OwnerId find(uint64_t owner) const;
  /// The same, but he gets one, for add() to keep. kNoOwner: there is no room for another.
  OwnerId find_or_add(uint64_t owner);
  /// How many fragments he has.
  uint32_t count(OwnerId id) const { return owners_[id].count; }
  /// One more (count() must be below `most`).
  void add(OwnerId id) { change(id, owners_[id].count + 1); }
  /// So many less; without any his record is free. `n` may be 0, for a record that nothing was added to.
  void take(OwnerId id, uint32_t n) { change(id, owners_[id].count - n); }
  /// Who has most, and of those he who has had so many for the longest; kNoOwner while nobody has any.
  OwnerId hoarder();

 private:
  struct Owner {
    uint64_t name;
    OwnerId previous, next;  ///< among those with the same count; a free record's `next` is the next free one
    uint32_t count;
  };
  struct List {
    OwnerId first, last;  ///< plus one; 0: none
  };
  void change(OwnerId id, uint32_t count);
  void link(OwnerId id);
  void unlink(OwnerId id);

  HugeArray<Owner> owners_;
  TaggedIndex index_;
  HugeArray<List> by_count_;
  uint32_t top_ = 0;  ///< nobody has more
  OwnerId first_free_ = kNoOwner;
  uint32_t used_ = 0;  ///< records ever used; those behind were not touched yet
};

constexpr std::array<size_t, 3> FairShares::tables_for(uint32_t capacity, uint32_t most) {
  return {capacity * sizeof(Owner), TaggedIndex::bytes_for(capacity), (most + size_t{1}) * sizeof(List)};
}

}  // namespace culvert::dataplane
