#include "dataplane/tagged_index.h"

#include <cassert>

namespace culvert::dataplane {
namespace {

/// Neighbours' neighbours that may have to move for an entry: of 3,000,000 at 85 % load one found no room
/// without.
constexpr unsigned kFurther = 1;

}  // namespace

void TaggedIndex::put(Bucket& b, int way, uint16_t tag, uint32_t record, bool stranger) {
  b.tag[way] = tag;
  b.record[way] = record;
  auto bit = static_cast<uint16_t>(1u << way);
  b.strangers =
      stranger ? static_cast<uint16_t>(b.strangers | bit) : static_cast<uint16_t>(b.strangers & ~bit);
}

/// Moves an entry of a bucket into a free way of its other bucket.
void TaggedIndex::move(size_t bucket, unsigned way, size_t other, int free) {
  Bucket& b = buckets_[bucket];
  const bool was_stranger = (b.strangers >> way & 1) != 0;
  put(buckets_[other], free, b.tag[way], b.record[way], !was_stranger);
  if (was_stranger)
    buckets_[other].displaced--;
  else
    b.displaced++;
  b.tag[way] = 0;
}

bool TaggedIndex::send_home(size_t bucket) {
  for (uint32_t strangers = buckets_[bucket].strangers; strangers != 0; strangers &= strangers - 1) {
    const auto way = static_cast<unsigned>(std::countr_zero(strangers));
    const size_t home = alternate(bucket, buckets_[bucket].tag[way]);
    const int free = free_way(buckets_[home]);
    if (free < 0) continue;
    move(bucket, way, home, free);
    return true;
  }
  return false;
}

bool TaggedIndex::make_room(size_t bucket, unsigned further) {
  const Bucket& b = buckets_[bucket];
  for (unsigned way = 0; way < kWays; way++) {
    const size_t other = alternate(bucket, b.tag[way]);
    if (other == bucket) continue;
    const int free = free_way(buckets_[other]);
    if (free < 0) continue;
    move(bucket, way, other, free);
    return true;
  }
  if (further == 0) return false;
  for (unsigned way = 0; way < kWays; way++) {
    const size_t other = alternate(bucket, b.tag[way]);
    if (other == bucket || !make_room(other, further - 1)) continue;
    move(bucket, way, other, free_way(buckets_[other]));
    return true;
  }
  return false;
}

bool TaggedIndex::insert(uint64_t hash, uint32_t record) {
  uint16_t tag = tag_of(hash);
  size_t home = primary(hash), away = alternate(home, tag);
  int way = free_way(buckets_[home]);
  if (way < 0 && send_home(home)) way = free_way(buckets_[home]);
  if (way >= 0) {
    put(buckets_[home], way, tag, record, false);
    return true;
  }
  way = away == home ? -1 : free_way(buckets_[away]);
  if (way < 0) {
    if (make_room(home, kFurther)) {
      put(buckets_[home], free_way(buckets_[home]), tag, record, false);
      return true;
    }
    if (away == home || !make_room(away, kFurther)) return false;
    way = free_way(buckets_[away]);
  }
  put(buckets_[away], way, tag, record, true);
  buckets_[home].displaced++;
  return true;
}

void TaggedIndex::erase(uint64_t hash, uint32_t record) {
  uint16_t tag = tag_of(hash);
  size_t home = primary(hash);
  for (size_t bucket : {home, alternate(home, tag)}) {
    Bucket& b = buckets_[bucket];
    for (uint32_t hits = matches(b, tag); hits != 0; hits &= hits - 1) {
      int way = std::countr_zero(hits);
      if (b.record[way] != record) continue;
      b.tag[way] = 0;
      if (bucket != home) buckets_[home].displaced--;
      return;
    }
  }
  assert(!"erase of a record that is not in the index");
}

}  // namespace culvert::dataplane
