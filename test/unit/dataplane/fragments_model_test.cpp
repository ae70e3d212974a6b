// Reassembly as a state machine: fragments of many owners, good and bad, over time, against a model of maps.
// After every step both hold the same, have dropped the same for the same reasons, and every buffer is in
// exactly one place; in the end none is missing.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>

#include "fragment_bench.h"

using namespace culvert::test;

namespace {

/// How often somebody's datagram had to go to make room, by whose it was.
struct Seen {
  unsigned own = 0, hoarders = 0, oldest = 0, refused = 0;
};

/// What there should be, without indexes or lists.
class Model {
 public:
  Model(uint32_t capacity, Seen& seen) : capacity_(capacity), seen_(seen) {}

  /// Returns the number of fragments of the datagram that is whole; 0: none is.
  unsigned add(uint32_t host, uint16_t id, const Piece& p, Millis now) {
    if (p.length == 0 || (p.more && p.length % 8 != 0) || p.offset + p.length > 65'535) {
      drops[DropReason::fragment_malformed]++;
      return 0;
    }
    const Key key{host, id};
    if (auto it = datagrams_.find(key); it != datagrams_.end() && it->second.ends <= now) end(key);
    if (auto it = datagrams_.find(key); it != datagrams_.end()) {
      if (const auto why = refusal(it->second, p)) {
        drops[*why]++;
        if (!it->second.refused && *why != DropReason::fragment_duplicate) refuse(key, *why);
        return 0;
      }
    }
    make_room(host);
    if (auto it = datagrams_.find(key); it == datagrams_.end()) {
      if (datagrams_.size() == 2 * capacity_) forget_one();
      datagrams_.emplace(key, Datagram{now + FragmentBench::kTimeout, ++clock_});
    } else if (it->second.refused) {
      drops[DropReason::fragment_limit]++;
      return 0;
    }
    Datagram& d = datagrams_.at(key);
    d.pieces.push_back(p);
    change(host, 1);
    unsigned bytes = 0, length = 0;
    for (const Piece& there : d.pieces) {
      bytes += there.length;
      if (!there.more) length = there.offset + there.length;
    }
    if (bytes != length) return 0;
    const auto n = static_cast<unsigned>(d.pieces.size());
    change(host, -static_cast<int>(n));
    datagrams_.erase(key);
    return n;
  }
  /// In which order a sweep ends datagrams is its own business, but decides who of several owners has had as
  /// many for the longest. Not if those whose time has come are one owner's, or all there are.
  bool order_matters(Millis now) const {
    std::set<uint32_t> ending, staying;
    for (const auto& [key, d] : datagrams_) (d.ends <= now ? ending : staying).insert(key.first);
    return ending.size() > 1 && !staying.empty();
  }
  void sweep(Millis now) {
    while (true) {
      const auto it =
          std::ranges::find_if(datagrams_, [&](const auto& entry) { return entry.second.ends <= now; });
      if (it == datagrams_.end()) return;
      end(Key(it->first));
    }
  }
  unsigned held() const {
    unsigned n = 0;
    for (const auto& [host, share] : shares_) n += share.count;
    return n;
  }
  std::map<DropReason, uint64_t> drops;

 private:
  using Key = std::pair<uint32_t, uint16_t>;
  struct Datagram {
    Millis ends;
    uint64_t born;
    std::vector<Piece> pieces{};
    std::optional<DropReason> refused{};
    uint64_t refused_at = 0;
  };
  struct Share {
    unsigned count = 0;
    uint64_t since = 0;
  };

  static std::optional<DropReason> refusal(const Datagram& d, const Piece& p) {
    if (d.refused) return d.refused;
    const auto same = [&](const Piece& o) {
      return o.offset == p.offset && o.length == p.length && o.more == p.more && o.content == p.content;
    };
    if (std::ranges::any_of(d.pieces, same)) return DropReason::fragment_duplicate;
    for (const Piece& o : d.pieces) {
      const unsigned end = o.offset + o.length, new_end = p.offset + p.length;
      const bool apart = end <= p.offset || new_end <= o.offset;
      if (!apart || (!o.more && !p.more) || (!o.more && p.offset >= end) || (!p.more && o.offset >= new_end))
        return DropReason::fragment_overlap;
    }
    return {};
  }
  void make_room(uint32_t host) {
    const unsigned share = std::min(capacity_, std::max(capacity_ / 4, 121u));
    if (shares_[host].count == share) {
      seen_.own++;
      refuse(oldest([&](const Key& key) { return key.first == host; }), DropReason::fragment_limit);
    }
    if (held() < capacity_) return;
    // Who has most, and of those has had so many for the longest.
    const auto before = [](const auto& a, const auto& b) {
      return a.second.count != b.second.count ? a.second.count > b.second.count
                                              : a.second.since < b.second.since;
    };
    const auto hoarder = std::ranges::min_element(shares_, before);
    const bool hoards = hoarder->second.count > share / 4;
    (hoards ? seen_.hoarders : seen_.oldest)++;
    refuse(oldest([&](const Key& key) { return !hoards || key.first == hoarder->first; }),
           DropReason::fragment_limit);
  }
  template <typename Wanted>
  Key oldest(Wanted&& wanted) const {
    std::optional<Key> found;
    for (const auto& [key, d] : datagrams_)
      if (!d.refused && wanted(key) && (!found || d.born < datagrams_.at(*found).born)) found = key;
    return found.value();
  }
  void forget_one() {
    seen_.refused++;
    std::optional<Key> found;
    for (const auto& [key, d] : datagrams_)
      if (d.refused && (!found || d.refused_at < datagrams_.at(*found).refused_at)) found = key;
    datagrams_.erase(found.value());
  }
  void refuse(const Key& key, DropReason why) {
    Datagram& d = datagrams_.at(key);
    drops[why] += d.pieces.size();
    change(key.first, -static_cast<int>(d.pieces.size()));
    d.pieces.clear();
    d.refused = why;
    d.refused_at = ++clock_;
  }
  void end(const Key& key) {
    if (!datagrams_.at(key).refused) refuse(key, DropReason::fragment_timeout);
    datagrams_.erase(key);
  }
  void change(uint32_t host, int by) {
    Share& s = shares_[host];
    s.count += static_cast<unsigned>(by);
    s.since = ++clock_;
  }

  unsigned capacity_;
  Seen& seen_;
  uint64_t clock_ = 0;
  std::map<Key, Datagram> datagrams_;
  std::map<uint32_t, Share> shares_;
};

struct Step {
  enum { add, wait, sweep } what;
  uint8_t host;
  uint8_t id;
  Piece piece;
  unsigned ms;
};
std::ostream& operator<<(std::ostream& os, const Step& s) {
  if (s.what == Step::wait) return os << "wait " << s.ms;
  if (s.what == Step::sweep) return os << "wait " << s.ms << " and sweep";
  return os << "host " << int{s.host} << " id " << int{s.id} << " [" << s.piece.offset << ','
            << s.piece.offset + s.piece.length << (s.piece.more ? ") more " : ") last ")
            << int{s.piece.content};
}

/// Pieces of a datagram of 29 bytes, mostly, and what does not go with them.
constexpr Piece kPieces[] = {{0, 8, true},   {0, 8, true},   {8, 16, true},      {8, 16, true},
                             {24, 5, false}, {24, 5, false}, {0, 8, true},       {24, 5, false},
                             {0, 16, true},  {8, 8, true},   {16, 8, true},      {24, 8, true},
                             {24, 8, false}, {16, 3, false}, {0, 8, true, 1},    {24, 5, false, 1},
                             {0, 0, true},   {8, 7, true},   {65'528, 8, false}, {0, 8, false}};

/// `greedy`: most is one host's.
Step any_step(uint32_t seed, bool greedy) {
  std::mt19937 random(seed);
  Step s{};
  const unsigned what = random() % 300;
  s.what = what == 0 ? Step::sweep : what < 4 ? Step::wait : Step::add;
  s.ms = random() % 700 + (s.what == Step::sweep ? 250 : 0);  // a round of the sweep
  s.host = static_cast<uint8_t>(greedy && random() % 4 != 0 ? 0 : random() % 90);
  s.id = static_cast<uint8_t>(random() % (s.host % 30 == 0 ? 200 : 4));
  const bool odd = random() % 8 == 0;
  s.piece = kPieces[random() % (odd ? std::size(kPieces) : 8)];
  return s;
}

#define EXPECT(what) \
  if (!(what)) throw std::runtime_error("not so: " #what)

/// The same way through both.
void compare(BufferPool& pool, uint32_t capacity, const std::vector<Step>& steps, Seen& seen) {
  {
    FragmentBench bench(pool, capacity);
    Model model(capacity, seen);
    uint64_t taken = 0, handed_out = 0;
    for (const Step& s : steps) {
      if (s.what != Step::add) {
        bench.now += s.ms;
        if (s.what == Step::wait) continue;
        if (model.order_matters(bench.now)) bench.now += bench.kTimeout;
        while (bench.waiting.sweep(bench.now)) {
        }
        model.sweep(bench.now);
      } else {
        taken++;
        const unsigned expected = model.add(s.host, s.id, s.piece, bench.now);
        const Reassembly::Whole whole = bench.add(s.host, s.id, s.piece);
        EXPECT((whole.first != nullptr) == (expected != 0));
        if (expected != 0) {
          EXPECT(whole.fragments == expected);
          bench.give_back(whole);
          handed_out += expected;
        }
      }
      uint64_t dropped = 0;
      for (const auto& [reason, n] : model.drops) {
        EXPECT(bench.drops(reason) == n);
        dropped += n;
      }
      EXPECT(bench.all_drops() == dropped);
      EXPECT(bench.waiting.held() == model.held());
      EXPECT(bench.waiting.held() <= capacity);
      EXPECT(bench.waiting.held() == taken - handed_out - dropped);
      EXPECT(bench.counters.fragments_received.get() == taken);
      EXPECT(bench.accounts_are_right());
    }
    if (steps.size() % 2 == 0) {  // otherwise what is held goes with the Reassembly
      bench.wait_until(bench.now + bench.kTimeout + 500);
      EXPECT(bench.waiting.held() == 0u);
      EXPECT(bench.accounts_are_right());
    }
  }
  EXPECT(rte_mempool_in_use_count(pool.get()) == 0u);
}

}  // namespace

TEST_CASE("RFC 4787 REQ-14a, RFC 6146 §3.4: reassembly holds and drops what a model of maps does",
          "[dataplane][fragments]") {
  BufferPool pool = test_buffers(900, 1500);
  Seen seen;
  CHECK(rc::check("short ways, many capacities", [&] {
    const auto capacity = *rc::gen::inRange<uint32_t>(1, 100);
    const auto greedy = *rc::gen::arbitrary<bool>();
    const auto step =
        rc::gen::map(rc::gen::arbitrary<uint32_t>(), [=](uint32_t seed) { return any_step(seed, greedy); });
    const auto count = *rc::gen::inRange<size_t>(0, 800);
    compare(pool, capacity, *rc::gen::container<std::vector<Step>>(count, step), seen);
  }));
  for (const uint32_t capacity : {1u, 8u, 40u, 200u, 800u}) {
    for (const bool greedy : {false, true}) {
      const uint32_t seed = std::random_device()();
      CAPTURE(capacity, greedy, seed);
      std::mt19937 random(seed);
      std::vector<Step> steps(5000 + capacity % 7);
      for (Step& s : steps) s = any_step(static_cast<uint32_t>(random()), greedy);
      CHECK_NOTHROW(compare(pool, capacity, steps, seen));
    }
  }
  // Whoever can have to go had to: what was to be compared came about.
  CAPTURE(seen.own, seen.hoarders, seen.oldest, seen.refused);
  CHECK(seen.own > 100);
  CHECK(seen.hoarders > 100);
  CHECK(seen.oldest > 100);
  CHECK(seen.refused > 100);
}
