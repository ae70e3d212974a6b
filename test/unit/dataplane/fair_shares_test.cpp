// Shares of the room for fragments: who has most is found, however the counts came about.
#include "dataplane/fragments/fair_shares.h"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "net/hash.h"

using culvert::dataplane::FairShares;

namespace {

uint64_t name_of(uint32_t n) { return culvert::net::hash(culvert::net::HashKey{}, n); }

/// The same with a map and a search.
class Model {
 public:
  struct Owner {
    FairShares::OwnerId id;
    unsigned count;
    uint64_t since;  ///< he has this count since then, in changes
  };
  void set(uint32_t n, FairShares::OwnerId id, unsigned count) {
    if (count == 0)
      owners.erase(n);
    else
      owners[n] = {id, count, ++changes_};
  }
  std::optional<Owner> hoarder() const {
    std::optional<Owner> most;
    for (const auto& [n, o] : owners)
      if (!most || o.count > most->count || (o.count == most->count && o.since < most->since)) most = o;
    return most;
  }
  std::map<uint32_t, Owner> owners;

 private:
  uint64_t changes_ = 0;
};

struct Step {
  uint8_t owner;
  uint8_t take;  ///< so many, or all he has; 0: add one
};
std::ostream& operator<<(std::ostream& os, const Step& s) {
  if (s.take == 0) return os << "add to " << int{s.owner};
  return os << "take " << int{s.take} << " from " << int{s.owner};
}
rc::Gen<Step> any_step() {
  const auto number = [](uint8_t low, uint8_t end) {
    return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, end));
  };
  return rc::gen::build<Step>(
      rc::gen::set(&Step::owner, number(0, 14)),
      rc::gen::set(&Step::take, rc::gen::weightedOneOf<uint8_t>({{6, rc::gen::just(uint8_t{0})},
                                                                 {1, rc::gen::just(uint8_t{1})},
                                                                 {1, number(2, 20)}})));
}

}  // namespace

TEST_CASE("the hoarder is who has most, and of those who has had so many for the longest",
          "[dataplane][fragments]") {
  CHECK(rc::check("fair shares are those of a map", [] {
    const auto capacity = *rc::gen::inRange<uint32_t>(1, 16);
    const auto most = *rc::gen::inRange<uint32_t>(1, 40);
    const auto steps = *rc::gen::container<std::vector<Step>>(*rc::gen::inRange<size_t>(0, 1000), any_step());
    FairShares shares(capacity, most);
    Model model;
    RC_ASSERT(shares.hoarder() == FairShares::kNoOwner);
    for (const Step& s : steps) {
      const auto it = model.owners.find(s.owner);
      const bool known = it != model.owners.end();
      RC_ASSERT(shares.find(name_of(s.owner)) == (known ? it->second.id : FairShares::kNoOwner));
      if (s.take != 0) {
        if (!known) continue;
        const auto [id, count, since] = it->second;
        const unsigned n = std::min<unsigned>(s.take, count);
        shares.take(id, n);
        model.set(s.owner, id, count - n);
      } else {
        const FairShares::OwnerId id = shares.find_or_add(name_of(s.owner));
        if (!known) {
          RC_ASSERT((id == FairShares::kNoOwner) == (model.owners.size() == capacity));
          if (id == FairShares::kNoOwner) continue;
          RC_ASSERT(id < capacity);
          RC_ASSERT(shares.count(id) == 0u);
          for (const auto& [n, o] : model.owners) RC_ASSERT(o.id != id);
          if (s.owner % 4 == 0) {  // who gets nothing then has no record
            shares.take(id, 0);
            RC_ASSERT(shares.find(name_of(s.owner)) == FairShares::kNoOwner);
            RC_ASSERT(shares.find_or_add(name_of(s.owner)) == id);
          }
        } else {
          RC_ASSERT(id == it->second.id);
          if (it->second.count == most) continue;
        }
        const unsigned before = known ? it->second.count : 0;
        shares.add(id);
        model.set(s.owner, id, before + 1);
      }
      for (const auto& [n, o] : model.owners) RC_ASSERT(shares.count(o.id) == o.count);
      const auto hoarder = model.hoarder();
      RC_ASSERT(shares.hoarder() == (hoarder ? hoarder->id : FairShares::kNoOwner));
    }
    // All can be given back, and then be had again by others.
    while (!model.owners.empty()) {
      const auto [n, o] = *model.owners.begin();
      RC_ASSERT(shares.hoarder() == model.hoarder()->id);
      shares.take(o.id, o.count);
      model.set(n, o.id, 0);
    }
    RC_ASSERT(shares.hoarder() == FairShares::kNoOwner);
    std::set<FairShares::OwnerId> ids;
    for (uint32_t n = 0; n < capacity; n++) {
      ids.insert(shares.find_or_add(name_of(1000 + n)));
      shares.add(shares.find(name_of(1000 + n)));
    }
    RC_ASSERT(ids.size() == capacity);
    RC_ASSERT(*ids.rbegin() == capacity - 1);
    RC_ASSERT(shares.find_or_add(name_of(9999)) == FairShares::kNoOwner);
  }));
}

TEST_CASE("one who hoards is found among many who have a single fragment", "[dataplane][fragments]") {
  FairShares shares(100, 16);
  std::vector<FairShares::OwnerId> single;
  for (uint32_t n = 0; n < 50; n++) {
    single.push_back(shares.find_or_add(name_of(n)));
    shares.add(single.back());
  }
  const auto greedy = shares.find_or_add(name_of(77));
  for (unsigned i = 0; i < 16; i++) shares.add(greedy);
  for (unsigned i = 1; i < 16; i++) {
    CHECK(shares.hoarder() == greedy);
    shares.take(greedy, 1);
  }
  // Now he is one among equals, and the others have waited longer.
  for (const auto id : single) {
    CHECK(shares.hoarder() == id);
    shares.take(id, 1);
  }
  CHECK(shares.hoarder() == greedy);
  shares.take(greedy, 1);
  CHECK(shares.hoarder() == FairShares::kNoOwner);
}
