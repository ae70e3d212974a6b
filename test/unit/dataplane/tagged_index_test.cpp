// The index of record tables against std::unordered_multimap, at every load.
#include "dataplane/tagged_index.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <set>
#include <unordered_map>
#include <vector>

namespace culvert::dataplane {

/// What the index keeps to itself.
struct TaggedIndexTest {
  using Bucket = TaggedIndex::Bucket;
  static uint32_t matches(const Bucket& b, uint16_t tag) { return TaggedIndex::matches(b, tag); }
  static size_t slots(const TaggedIndex& i) { return i.count_ * TaggedIndex::kWays; }
  static size_t entries(const TaggedIndex& i) {
    size_t n = 0;
    for (const Bucket& b : i.buckets_)
      for (uint16_t tag : b.tag) n += tag != 0;
    return n;
  }
  static size_t displaced(const TaggedIndex& i) {
    size_t n = 0;
    for (const Bucket& b : i.buckets_) n += b.displaced;
    return n;
  }
};

}  // namespace culvert::dataplane

using culvert::dataplane::TaggedIndex;
using culvert::dataplane::TaggedIndexTest;
using culvert::net::hash;
using culvert::net::HashKey;
using culvert::net::Random;

namespace {

/// An index and what it should hold. A record's hash is looked up here as the tables look up a record's key.
struct Both {
  explicit Both(size_t capacity) : index(capacity) {}

  bool insert(uint64_t h, uint32_t record) {
    if (!index.insert(h, record)) return false;
    model.emplace(h, record);
    hash_of[record] = h;
    return true;
  }
  void erase(uint32_t record) {
    const uint64_t h = hash_of.at(record);
    index.erase(h, record);
    hash_of.erase(record);
    for (auto [it, end] = model.equal_range(h); it != end; ++it) {
      if (it->second != record) continue;
      model.erase(it);
      break;
    }
  }
  /// All records that the index can find under this hash.
  std::set<uint32_t> find_all(uint64_t h) const {
    std::set<uint32_t> found;
    for (;;) {
      const uint32_t r = index.find(h, [&](uint32_t record) {
        auto it = hash_of.find(record);
        return it != hash_of.end() && it->second == h && !found.contains(record);
      });
      if (r == TaggedIndex::kNone) return found;
      found.insert(r);
    }
  }
  bool agrees(uint64_t h) const {
    std::set<uint32_t> expected;
    for (auto [it, end] = model.equal_range(h); it != end; ++it) expected.insert(it->second);
    return find_all(h) == expected;
  }
  bool agrees() const {
    for (const auto& [h, record] : model)
      if (!agrees(h)) return false;
    return TaggedIndexTest::entries(index) == model.size();
  }

  TaggedIndex index;
  std::unordered_multimap<uint64_t, uint32_t> model;
  std::unordered_map<uint32_t, uint64_t> hash_of;
};

}  // namespace

TEST_CASE("Comparing ten tags at once gives what comparing them singly gives", "[dataplane][index]") {
  CHECK(rc::check("matches", [] {
    TaggedIndexTest::Bucket b{};
    const auto tag = *rc::gen::element<uint16_t>(0, 1, 0x7fff, 0x8000, 0xffff, 0x00ff, 0xff00);
    for (auto& t : b.tag)
      t = *rc::gen::elementOf(std::vector<uint16_t>{tag, tag, 0, 1, 0x7fff, 0x8000, 0xffff, 0x00ff});
    // What stands behind the tags must not count.
    b.strangers = *rc::gen::elementOf(std::vector<uint16_t>{tag, 0});
    b.displaced = *rc::gen::elementOf(std::vector<uint16_t>{tag, 0});
    for (auto& r : b.record)
      r = *rc::gen::elementOf(std::vector<uint32_t>{tag, 0, uint32_t{tag} << 16 | tag});
    RC_ASSERT(TaggedIndexTest::matches(b, tag) == TaggedIndex::matches_scalar(b.tag, tag));
  }));
}

TEST_CASE("Inserting, erasing and finding as a multimap does", "[dataplane][index]") {
  CHECK(rc::check("index", [] {
    Both both(*rc::gen::element<size_t>(1, 7, 40, 200));
    // Few different hashes, so that equal ones, equal tags and equal buckets are frequent.
    const auto tags = *rc::gen::element<uint64_t>(1, 4, 65536);
    const auto homes = *rc::gen::element<uint64_t>(1, 3, 1u << 16);
    const auto steps = *rc::gen::inRange(0, 400);
    Random random(*rc::gen::arbitrary<uint64_t>());
    std::vector<uint32_t> live;
    uint32_t next = 0;
    for (int i = 0; i < steps; i++) {
      if (live.empty() || random.below(5) < 3) {
        const uint64_t h = random.next() % homes << 48 | random.next() % tags;
        const size_t before = TaggedIndexTest::entries(both.index);
        if (both.insert(h, next))
          live.push_back(next++);
        else
          RC_ASSERT(TaggedIndexTest::entries(both.index) == before);
        RC_ASSERT(both.agrees(h));
      } else {
        const size_t at = random.below(static_cast<uint32_t>(live.size()));
        both.erase(live[at]);
        live[at] = live.back();
        live.pop_back();
      }
    }
    RC_ASSERT(both.agrees());
    for (uint32_t r : live) both.erase(r);
    RC_ASSERT(TaggedIndexTest::entries(both.index) == 0);
    RC_ASSERT(TaggedIndexTest::displaced(both.index) == 0);
  }));
}

TEST_CASE("Entries up to the capacity find room, and keep finding it while others come and go",
          "[dataplane][index]") {
  constexpr uint32_t kCapacity = 100'000;
  TaggedIndex index(kCapacity);
  const HashKey key;
  std::vector<uint64_t> hash_of(kCapacity);
  uint64_t next = 0;
  auto put = [&](uint32_t record) {
    hash_of[record] = hash(key, next++, 1);
    return index.insert(hash_of[record], record);
  };
  for (uint32_t r = 0; r < kCapacity; r++) REQUIRE(put(r));
  Random random(3);
  for (int i = 0; i < 500'000; i++) {
    const uint32_t r = random.below(kCapacity);
    index.erase(hash_of[r], r);
    REQUIRE(put(r));
  }
  for (uint32_t r = 0; r < kCapacity; r++) {
    const uint32_t found = index.find(hash_of[r], [&](uint32_t x) { return hash_of[x] == hash_of[r]; });
    if (found != r) FAIL("record " << r << " is lost");
  }
  CHECK(TaggedIndexTest::entries(index) == kCapacity);
}

TEST_CASE("At 95 % of all slots what went in is found and the rest was refused", "[dataplane][index]") {
  Both both(20'000);
  const HashKey key;
  const size_t target = TaggedIndexTest::slots(both.index) * 95 / 100;
  uint32_t refused = 0;
  for (uint32_t r = 0; both.model.size() < target && r < 2 * target; r++)
    refused += !both.insert(hash(key, r), r);
  CHECK(both.model.size() == target);
  CHECK(both.agrees());
  INFO("refused " << refused);
  CHECK(refused < target / 10);
  for (auto it = both.hash_of.begin(); it != both.hash_of.end();) both.erase((it++)->first);
  CHECK(TaggedIndexTest::entries(both.index) == 0);
  CHECK(TaggedIndexTest::displaced(both.index) == 0);
}

TEST_CASE("More entries of one hash than two buckets hold are refused, and the index is then unchanged",
          "[dataplane][index]") {
  Both both(1000);
  uint32_t in = 0;
  while (in < 100 && both.insert(0x1234567812345678, in)) in++;
  CHECK(in >= TaggedIndex::kWays);
  CHECK(in <= 2 * TaggedIndex::kWays);
  CHECK(both.agrees());
  CHECK(both.find_all(0x1234567812345678).size() == in);
}
