// A sealed segment says in the ledger's order what the live one said (docs/ledger.md, "A sealed segment").
#include <set>

#include "ledger_sealed_said.h"
#include "logging/ledger/live_reader.h"
#include "logging/ledger/sealed_reader.h"
#include "logging/ledger/sealed_verify.h"

using namespace culvert::test;

namespace {

/// A segment's records: those of the checkpoint that say what is held, and the others in their order.
struct Said {
  std::multiset<std::string> checkpoint;
  std::vector<std::string> records;
  std::vector<std::string> lost;  ///< what damage took, and where
};

/// Reads a segment twice: subscribers may be defined behind who is named.
template <typename Read>
Said all_said(Read&& read) {
  Names names;
  read([&](const Record& r) {
    if (const auto s = decode<SubscriberNote>(r.body); r.type == Type::subscriber && s)
      names.emplace(s->number, name_of(*s));
  });
  Said all;
  bool in_checkpoint = true;
  read([&](const Record& r) {
    if (r.event() || r.type == Type::checkpoint_end) in_checkpoint = false;
    if (r.kind == Record::Kind::typed && r.type == DamageNote::kType) {
      const auto n = decode<DamageNote>(r.body);
      all.lost.push_back(fmt::format("{} of {} bytes after {} #{}", n->events, n->bytes, r.time, r.ordinal));
      return;
    }
    const auto is = [&](Type t) { return r.kind == Record::Kind::typed && r.type == t; };
    if (is(Type::subscriber)) return;
    if (in_checkpoint && (is(Type::held) || is(Type::resting) || is(Type::mapping_held))) {
      const auto held = decode<Held>(r.body);
      all.checkpoint.insert(is(Type::held)
                                ? fmt::format("held {} by {} for {} since {}", held->block,
                                              name_of(names, held->subscriber), held->reason, held->since)
                                : said(r, names));
      return;
    }
    all.records.push_back(said(r, names));
  });
  return all;
}

Said live_said(const std::string& live) {
  std::vector<std::string> lost;
  Said all = all_said([&](auto&& take) {
    LiveReader reader(live);
    lost.clear();
    reader.on_damage = [&](const Damage& d) {
      if (!d.at_end)
        lost.push_back(
            fmt::format("{} of {} bytes after {} #{}", d.events, d.bytes, d.after, d.first_ordinal));
    };
    while (reader.next()) take(reader.record());
  });
  all.lost = lost;
  return all;
}

Said sealed_said(SealedSegment& segment) {
  return all_said([&](auto&& take) {
    SealedReader reader(segment);
    while (reader.next()) take(reader.record());
  });
}

/// What holds, with names.
std::vector<std::string> facts(const State& s) {
  Names names;
  s.subscribers().for_each([&](const SubscriberNote& n) { names[n.number] = name_of(n); });
  std::vector<std::string> f;
  for (const auto& [block, h] : s.held())
    f.push_back(
        fmt::format("{} held by {} since {} for {}", block, name_of(names, h.subscriber), h.since, h.reason));
  for (const auto& [block, since] : s.resting()) f.push_back(fmt::format("{} rests since {}", block, since));
  for (const auto& [endpoint, m] : s.mappings())
    f.push_back(fmt::format("{}:{}/{} is {}'s from {} to {}", m.binding.external.text(), m.binding.port,
                            m.binding.protocol, name_of(names, m.binding.subscriber), m.since, m.ends));
  for (const auto& source : s.sources())
    if (source) f.push_back(fmt::format("worker {} {} {}", source->worker, source->epoch, source->next));
  for (const auto& [number, i] : s.instances()) f.push_back(fmt::format("{} is {}", number, i.name));
  for (const auto& [block, r] : s.ranges())
    f.push_back(fmt::format("{} {} {}", block, r.first_address.text(), r.blocks()));
  f.push_back(fmt::format("clock {} checked {} ended {}", s.clock_ahead(), s.checked(), s.ended()));
  std::ranges::sort(f);
  return f;
}

State state_of_sealed(SealedSegment& segment) {
  State state(segment.header().opened);
  SealedReader reader(segment);
  while (reader.next()) state.apply(reader.record());
  state.finish();
  return state;
}

}  // namespace

TEST_CASE("A sealed segment tells in the ledger's order what the live one told", "[ledger][sealed]") {
  CHECK(rc::check("live = sealed", [] {
    const std::string live = made_segment(any_history());
    Made made(live);
    const Said before = live_said(live), after = sealed_said(*made.segment);
    same(before.records, after.records);
    same(before.checkpoint, after.checkpoint);
    RC_ASSERT(after.lost.empty());
    const Replayed replayed = replay(live, {}, {});
    same(facts(replayed.state), facts(state_of_sealed(*made.segment)));
    RC_ASSERT(made.segment->header().events == replayed.events);
    RC_ASSERT(made.segment->header().ended == replayed.last_time);
  }));
}

TEST_CASE("What sealing makes of an orderly live segment passes verify", "[ledger][sealed]") {
  CHECK(rc::check("no finding", [] {
    History h = any_history();
    h.odd = false;
    const std::string live = made_segment(h);
    std::vector<std::string> faults, findings;
    const TestDirectory directory;
    Digest before{};
    before[3] = 7;
    seal(live, before, directory.path("s.seg"), UINT64_MAX, {},
         [&](const Record&, const std::string& what) { faults.push_back(what); });
    SealedSegment segment(directory.path("s.seg"));
    verify(segment, before, [&](const std::string& what) { findings.push_back(what); });
    // A mapping may be deleted that is not there.
    RC_ASSERT(findings.size() == faults.size());
    for (size_t i = 0; i < faults.size(); i++) RC_ASSERT(findings[i].ends_with(faults[i]));
    RC_ASSERT(!verify(segment, Digest{}, [](const std::string&) {}));
  }));
}

TEST_CASE("A damaged live segment is sealed without what damage took, and that is counted",
          "[ledger][sealed]") {
  CHECK(rc::check("live = sealed, also where damage was", [] {
    std::string live = made_segment(any_history());
    const size_t flips = *rc::gen::inRange<size_t>(1, 4);
    for (size_t i = 0; i < flips; i++) {
      const auto at = *rc::gen::inRange(kLiveHeaderBytes, live.size());
      live[at] = static_cast<char>(live[at] ^ *rc::gen::inRange(1, 256));
    }
    const TestDirectory directory;
    uint64_t lost = 0;
    seal(live, {}, directory.path("s.seg"), UINT64_MAX, [&](const Damage& d) { lost += d.events; });
    SealedSegment segment(directory.path("s.seg"));
    const Said before = live_said(live), after = sealed_said(segment);
    same(before.records, after.records);
    same(before.checkpoint, after.checkpoint);
    same(before.lost, after.lost);
    RC_ASSERT(segment.header().lost == lost);
    same(facts(replay(live, {}, {}).state), facts(state_of_sealed(segment)));
  }));
}

TEST_CASE("What a crash cut off the live segment was nowhere on record, and is no damage of the sealed one",
          "[ledger][sealed]") {
  const std::string live = made_segment({.steps = 50});
  const TestDirectory directory;
  std::vector<Damage> damage;
  const Sealed whole = seal(live, {}, directory.path("whole.seg"));
  const Sealed cut = seal(live + "half a batch", {}, directory.path("cut.seg"), UINT64_MAX,
                          [&](const Damage& d) { damage.push_back(d); });
  CHECK(damage.size() == 1);
  CHECK(cut.sha256 == whole.sha256);
}

TEST_CASE("Events that the next segment has again are not sealed here", "[ledger][sealed]") {
  const std::string live = made_segment({.steps = 200});
  const TestDirectory directory;
  const uint64_t first = replay(live, {}, {}).header.first_ordinal;
  seal(live, {}, directory.path("s.seg"), first + 50);
  SealedSegment segment(directory.path("s.seg"));
  CHECK(segment.header().events == 50);
  Said all = live_said(live), here = sealed_said(segment);
  REQUIRE(here.records.size() < all.records.size());
  CHECK(std::equal(here.records.begin(), here.records.end(), all.records.begin()));
}

TEST_CASE("A sealed segment says who came before it, its times and clocks", "[ledger][sealed]") {
  const LiveHeader header{.serial = 5, .opened = 1'000'000, .first_ordinal = 77};
  BatchWriter out(header);
  const auto clock = [&](uint64_t time, int64_t ahead) {
    out.add(time, 0, Type::clock, encode(ClockNote{ahead}));
  };
  clock(1'000'000, 40);
  clock(1'000'500, -3);
  clock(1'000'700, 12);
  out.add(1'000'900, 0, Type::segment_end, {});
  const TestDirectory directory;
  Digest before{};
  before.fill(9);
  const std::string path = directory.path("s.seg");
  const Sealed sealed = seal(encode(header) + std::string(out.take()), before, path);
  CHECK(std::filesystem::file_size(path) == sealed.bytes);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
  SealedSegment segment(path);
  const SealedHeader& h = segment.header();
  CHECK(h == sealed.header);
  CHECK(segment.sha256() == sealed.sha256);
  CHECK((h.serial == 5 && h.opened == 1'000'000 && h.ended == 1'000'900 && h.first_ordinal == 77));
  CHECK((h.events == 0 && h.lost == 0 && h.clock_ahead_min == -3 && h.clock_ahead_max == 40));
  CHECK(h.predecessor == before);
  std::vector<Type> notes;
  segment.for_each_note([&](const Record& r) { notes.push_back(r.type); });
  CHECK(notes == std::vector{Type::clock, Type::clock, Type::clock, Type::segment_end});
}

TEST_CASE("What is no live segment, or cannot be written, is an error, and leaves no file",
          "[ledger][sealed]") {
  const TestDirectory directory;
  CHECK_THROWS_WITH(seal("no segment", {}, directory.path("s.seg")), "is not a live segment of a ledger");
  const std::string live = made_segment({});
  CHECK_THROWS_WITH(seal(live, {}, directory.path("none/s.seg")),
                    Catch::Contains(directory.path("none/s.seg")));
  CHECK_THROWS_WITH(SealedSegment(directory.path("none.seg")), Catch::Contains(directory.path("none.seg")));
  CHECK(std::filesystem::is_empty(directory.path("")));
  TestDirectory small;
  if (!small.mount_tmpfs("size=16k")) return;
  CHECK_THROWS_WITH(seal(made_segment({.steps = 10'000}), {}, small.path("s.seg")),
                    Catch::Contains(small.path("s.seg")));
  CHECK(std::filesystem::is_empty(small.path("")));
}
