// When the records of a table are looked at again: in time, in small pieces, and none is forgotten.
#include "dataplane/deadlines.h"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using culvert::dataplane::Deadlines;
using culvert::dataplane::Millis;
using culvert::dataplane::ShortTime;

namespace {

constexpr uint32_t kGroup = 16;   // records that share a time
constexpr uint64_t kRound = 800;  // ms, as the binding has it
constexpr Millis kTimer = 1000;   // the shortest that can be configured
constexpr Millis kNoTimer = 0;
constexpr Millis kStart = 1'700'000'000'000;

/// A table of records with timers, kept as the binding keeps its own, that watches the sweep.
class Timers {
 public:
  Timers(uint32_t capacity, Millis start)
      : now_(start), deadlines_(capacity), ends_(capacity, kNoTimer), not_before_(capacity / kGroup + 1) {}

  /// Starts a record's timer, or shortens it.
  void start(uint32_t record, Millis length) {
    used_ = std::max(used_, record + 1);
    ends_[record] = now_ + length;
    deadlines_.lower(record, ShortTime(ends_[record]));
    Millis& g = not_before_[record / kGroup];
    g = std::min(g, ends_[record]);
  }
  /// A packet starts a running timer again, to end later, and tells nobody.
  void extend(uint32_t record, Millis length) {
    if (ends_[record] != kNoTimer) ends_[record] = std::max(ends_[record], now_ + length);
  }
  /// One call of sweep(). Returns whether more is due.
  bool sweep(uint64_t elapsed, uint64_t round = kRound, bool all = false) {
    now_ += elapsed;
    visited_.clear();
    return deadlines_.sweep(used_, elapsed, round, all, now_, [&](uint32_t r) { return visit(r, all); });
  }
  /// What a worker does: sweeps until nothing more is due.
  void poll(uint64_t elapsed, uint64_t round = kRound) {
    while (sweep(std::exchange(elapsed, 0), round)) continue;
  }

  Millis now() const { return now_; }
  uint32_t used() const { return used_; }
  size_t running() const {
    return static_cast<size_t>(std::ranges::count_if(ends_, [](Millis e) { return e != kNoTimer; }));
  }
  /// Records visited by the last sweep().
  const std::vector<uint32_t>& visited() const { return visited_; }
  size_t ended() const { return ended_; }
  /// How long after its end a timer was ended, at most.
  Millis latest() const { return latest_; }
  /// What sweep() did that it must not do; empty: nothing.
  const std::string& wrong() const { return wrong_; }

 private:
  ShortTime visit(uint32_t r, bool all) {
    if (r >= used_) {
      wrong_ = "a record beyond the table is visited";
      return Deadlines::later(now_);
    }
    visited_.push_back(r);
    Millis& g = not_before_[r / kGroup];
    if (r % kGroup == 0) {
      if (g > now_ && ShortTime(g).raw() != 0 && !all)
        wrong_ = "a group is visited of which no timer can have ended";
      g = ~Millis{0};
    } else if (visited_.size() < 2 || visited_[visited_.size() - 2] != r - 1) {
      wrong_ = "a group is not visited as a whole";
    }
    if (ends_[r] == kNoTimer) return Deadlines::later(now_);
    if (ends_[r] <= now_) {
      latest_ = std::max(latest_, now_ - ends_[r]);
      ended_++;
      ends_[r] = kNoTimer;
      return Deadlines::later(now_);
    }
    g = std::min(g, ends_[r]);
    return ShortTime(ends_[r]);
  }

  Millis now_;
  Deadlines deadlines_;
  uint32_t used_ = 0;
  std::vector<Millis> ends_;        // by record
  std::vector<Millis> not_before_;  // by group: the earliest that was told; 0 before the first visit
  std::vector<uint32_t> visited_;
  size_t ended_ = 0;
  Millis latest_ = 0;
  std::string wrong_;
};

/// A time at which ShortTimes soon come round, or change sign, or neither.
rc::Gen<Millis> any_time() {
  constexpr Millis kAgain = uint64_t{1} << 32, kSoon = 10'000;
  return rc::gen::map(rc::gen::pair(rc::gen::element(kAgain / 2, 1 * kAgain, 9 * kAgain / 7),
                                    rc::gen::inRange<Millis>(0, kSoon)),
                      [](const auto& t) { return kStart / kAgain * kAgain + t.first - t.second; });
}

}  // namespace

TEST_CASE("deadlines: polled every millisecond, a sweep comes within its round") {
  // 1 group; fewer groups than milliseconds in a round; as many; one more; many.
  for (const uint32_t records : {1u, 16u, 17u, 1600u, 12'800u, 12'801u, 100'000u}) {
    CAPTURE(records);
    Timers t(records, kStart);
    std::mt19937 random(records);
    for (uint32_t r = 0; r < records; r++) t.start(r, kTimer + random() % 3000);
    for (int ms = 0; ms < 5000; ms++) t.poll(1);
    CHECK(t.wrong() == "");
    CHECK(t.ended() == records);
    CHECK(t.latest() < kRound);
  }
}

TEST_CASE("deadlines: a sweep is late by its round and one wait between polls at most (property)") {
  CHECK(rc::check([] {
    const auto records = *rc::gen::inRange<uint32_t>(1, 3000);
    const auto round = *rc::gen::inRange<uint64_t>(1, 900);
    const auto longest_wait = *rc::gen::inRange<uint64_t>(1, 60);
    const auto seed = *rc::gen::arbitrary<uint32_t>();
    Timers t(records, *any_time());
    std::mt19937 random(seed);
    for (uint32_t r = 0; r < records; r++) t.start(r, kTimer + random() % 2000);
    const Millis end = t.now() + kTimer + 2000 + round + longest_wait;
    while (t.now() < end) t.poll(1 + random() % longest_wait, round);
    RC_ASSERT(t.wrong() == "");
    RC_ASSERT(t.ended() == records);
    RC_ASSERT(t.latest() < round + longest_wait - 1);
  }));
}

TEST_CASE("deadlines: when all end at once, one call visits three groups at most") {
  constexpr uint32_t kRecords = 1000 * kGroup;
  for (const uint64_t wait : {0u, 1u, 900u}) {  // between calls
    CAPTURE(wait);
    Timers t(kRecords, kStart);
    for (uint32_t r = 0; r < kRecords; r++) t.start(r, kTimer);
    size_t most = 0, visited = 0, calls = 0;
    for (bool more = true; more && t.running() != 0 && calls < kRecords; calls++) {
      more = t.sweep(calls == 0 ? kTimer : wait);
      most = std::max(most, t.visited().size());
      visited += t.visited().size();
    }
    CHECK(t.wrong() == "");
    CHECK(most <= 3 * kGroup);
    CHECK(visited == kRecords);  // each once
    CHECK(t.ended() == kRecords);
    CHECK(calls <= kRecords / kGroup);  // each gets on
  }
}

TEST_CASE(
    "deadlines: one call passes over some thousand groups at most, and a round is all that can be due") {
  constexpr uint32_t kGroups = 100'000;
  Timers t(kGroups * kGroup, kStart);
  t.start(kGroups * kGroup - 1, 3600'000);
  t.poll(kRound);
  for (const unsigned rounds : {1u, 3u}) {
    unsigned calls = 1;
    for (unsigned i = 1; i < rounds; i++) t.sweep(kRound);
    for (bool more = t.sweep(kRound); more && calls < 1000; calls++) more = t.sweep(0);
    CAPTURE(rounds);
    CHECK(calls > kGroups / 5000);
    CHECK(calls < kGroups / 3000);
  }
  CHECK(t.wrong() == "");
}

TEST_CASE("deadlines: nothing is visited before its time, nothing that has ended is forgotten (property)") {
  CHECK(rc::check([] {
    constexpr uint32_t kCapacity = 700;
    Timers t(kCapacity, *any_time());
    const auto steps = *rc::gen::arbitrary<std::vector<std::tuple<uint8_t, uint16_t, uint16_t, uint8_t>>>();
    for (const auto& [what, which, length, wait] : steps) {
      // Records are taken from the front, so that the table grows as the binding's does.
      const uint32_t record = which % std::min(t.used() + 20, kCapacity);
      if (what % 2 == 0)
        t.start(record, kTimer + length % 4000);
      else
        t.extend(record, kTimer + length % 4000);
      t.poll(wait % 100);
    }
    for (Millis ms = 0; ms < kTimer + 4000 + kRound; ms += 20) t.poll(20);
    RC_ASSERT(t.wrong() == "");
    RC_ASSERT(t.running() == 0u);
  }));
}

TEST_CASE("deadlines: when all are wanted, a round visits each record once") {
  Timers t(1000, kStart);
  for (uint32_t r = 0; r < 1000; r++) t.start(r, 3600'000);
  t.poll(kRound);
  std::vector<unsigned> visits(1000);
  bool more = t.sweep(kRound, kRound, true);
  for (;;) {
    for (const uint32_t r : t.visited()) visits[r]++;
    if (!more) break;
    more = t.sweep(0, kRound, true);
  }
  CHECK(visits == std::vector<unsigned>(1000, 1));
  CHECK(t.ended() == 0);
  t.poll(kRound);  // and now none: it would be wrong
  CHECK(t.wrong() == "");
}
