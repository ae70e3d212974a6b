// A sealed segment says what the live one said: in the ledger's order, and to questions about addresses and
// subscribers (docs/ledger.md, "A sealed segment").
#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "ledger_sealed_history.h"
#include "logging/ledger/live_reader.h"
#include "logging/ledger/seal.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/sealed_query.h"
#include "logging/ledger/sealed_reader.h"
#include "logging/ledger/sealed_verify.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using culvert::test::History;
using culvert::test::made_segment;
using culvert::test::TestDirectory;
namespace net = culvert::net;

namespace {

/// Subscribers by number, as text.
using Names = std::map<uint64_t, std::string>;

std::string name_of(const SubscriberNote& s) {
  // All that damage left undefined are one.
  return s.instance == 0 && s.length == 0 ? "?"
                                          : fmt::format("{} {}/{}", s.instance, s.prefix.text(), s.length);
}
std::string name_of(const Names& names, uint64_t number) {
  const auto found = names.find(number);
  return found == names.end() ? "?" : found->second;
}

/// What a record says, with names instead of numbers that are a file's own.
std::string said(const Record& r, const Names& names, bool with_ordinal = true) {
  std::string body(r.body), who;
  if (r.kind == Record::Kind::typed && names_subscriber(r.type)) {
    ByteReader in(r.body);
    const uint64_t number = in.varint();
    if (in.good()) {
      who = name_of(names, number);
      body = in.bytes(in.left());
    }
  }
  if (r.kind == Record::Kind::allocated) who = name_of(names, r.subscriber);
  std::string hex;
  for (const char c : body) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return fmt::format("{} kind {} type {} worker {} reason {} block {} peak {} who {} body {} #{}", r.time,
                     static_cast<int>(r.kind), static_cast<int>(r.type), r.event() ? r.worker : 0, r.reason,
                     r.block, r.peak, who, hex, with_ordinal ? r.ordinal : 0);
}

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
  for (const auto& [number, subscriber] : s.subscribers()) names[number] = name_of(subscriber);
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

/// Fails with the first difference.
template <typename List>
void same(const List& a, const List& b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  RC_LOG() << (in_a == a.end() ? "-" : *in_a) << "\n" << (in_b == b.end() ? "-" : *in_b) << "\n";
  RC_ASSERT((in_a == a.end() && in_b == b.end()));
}

/// A sealed segment, opened.
struct Made {
  explicit Made(const std::string& live) : path(directory.path("s.seg")), sealed(seal(live, kNone, path)) {
    segment.emplace(path);
    segment->on_damage = [](const SealedDamage& d) { FAIL(d.what); };
  }
  static constexpr Digest kNone{};
  TestDirectory directory;
  std::string path;
  Sealed sealed;
  std::optional<SealedSegment> segment;
};

History any_history() {
  History h;
  h.seed = *rc::gen::arbitrary<uint64_t>();
  h.addresses = *rc::gen::inRange(1u, 5u);
  h.odd = *rc::gen::arbitrary<bool>();
  // Some are so long that an address needs several pages.
  h.steps = *rc::gen::inRange(0, 15) == 0 ? *rc::gen::inRange(12'000u, 25'000u) : *rc::gen::inRange(0u, 300u);
  h.most_pause = *rc::gen::element(0u, 2u, 500u, 100'000u);
  return h;
}

/// Whether a record is about an address, or a port of it.
bool concerns(const Record& r, const State& state, net::Ipv4Address a, std::optional<uint16_t> port) {
  if (r.kind != Record::Kind::typed) {
    const AddressRange* range = state.range_of_block(r.block);
    if (range == nullptr || range->address_of(r.block) != a) return false;
    return !port || range->block_of(a, *port) == r.block;
  }
  if (!has_binding(r.type) || r.type == Type::mapping_held) return false;
  ByteReader in(r.body);
  in.varint();
  const std::string_view address = in.bytes(4);
  const auto p = in.fixed<uint16_t>();
  const bool whole = in.good();
  if (address.size() != 4 || std::memcmp(address.data(), &a, 4) != 0) return false;
  return !port || (whole && p == *port);
}

/// What an answer and a scan over all records say.
struct Found {
  std::multiset<std::string> carried;
  std::vector<std::string> records;
  bool operator==(const Found&) const = default;
};

Found found(const Answer& answer) {
  Names names;
  for (const auto& [number, s] : answer.subscribers) names[number] = name_of(s);
  Found f;
  for (const Record& r : answer.carried) f.carried.insert(said(r, names, false));
  for (const Record& r : answer.records) f.records.push_back(said(r, names, false));
  return f;
}

/// Looks through all of a live segment. `wants`: a record, and the state before it; `wants_carried`: a
/// carried one.
template <typename Wants, typename WantsCarried>
Found scan(const std::string& live, Interval when, Wants&& wants, WantsCarried&& wants_carried) {
  LiveReader reader(live);
  State state(reader.header()->opened);
  const State all = replay(live, {}, {}).state;
  Names names;
  for (const auto& [number, s] : all.subscribers()) names[number] = name_of(s);
  Found f;
  bool begun = false, in_checkpoint = true;
  const auto begin = [&] {
    if (!std::exchange(begun, true))
      for_each_carried(state, reader.header()->opened, [&](const Record& r) {
        if (wants_carried(r, state, names)) f.carried.insert(said(r, names, false));
      });
  };
  while (reader.next()) {
    const Record& r = reader.record();
    if (r.event() || r.type == Type::checkpoint_end) in_checkpoint = false;
    if (!in_checkpoint && r.time >= when.from) begin();
    if (r.event() && r.time >= when.from && r.time <= when.to && wants(r, state, names))
      f.records.push_back(said(r, names, false));
    state.apply(r);
  }
  begin();
  return f;
}

Interval any_interval(const SealedHeader& h) {
  const auto time = [&] { return *rc::gen::inRange(h.opened, h.ended + 2); };
  uint64_t from = time(), to = time();
  if (*rc::gen::inRange(0, 4) == 0) to = from;
  if (from > to) std::swap(from, to);
  return {from, to};
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

TEST_CASE("An address' records are found, and what held before, as a scan of all finds them",
          "[ledger][sealed]") {
  CHECK(rc::check("answer = scan", [] {
    const std::string live = made_segment(any_history());
    Made made(live);
    for (int i = 0; i < 4; i++) {
      const Interval when = any_interval(made.segment->header());
      const net::Ipv4Address a(*rc::gen::element(0xc6336400u, 0xc6336401u, 0xc6336403u, 0xcb007101u,
                                                 0x0a000001u, 0x01010101u, 0x09090909u));
      std::optional<uint16_t> port;
      if (*rc::gen::arbitrary<bool>()) port = static_cast<uint16_t>(1000 + 20 * *rc::gen::inRange(0, 40));
      const Found answer = found(records_of(*made.segment, a, port, when));
      const Found all = scan(
          live, when, [&](const Record& r, const State& s, const Names&) { return concerns(r, s, a, port); },
          [&](const Record& r, const State& s, const Names&) {
            if (r.kind == Record::Kind::typed) {
              const auto n = decode<MappingHeld>(r.body);
              return n->binding.external == a && (!port || n->binding.port == *port);
            }
            return concerns(r, s, a, port);
          });
      same(answer.carried, all.carried);
      same(answer.records, all.records);
    }
  }));
}

TEST_CASE("A subscriber's records are found, with those that end what he holds, as a scan finds them",
          "[ledger][sealed]") {
  CHECK(rc::check("answer = scan", [] {
    const std::string live = made_segment(any_history());
    Made made(live);
    for (int i = 0; i < 4; i++) {
      const Interval when = any_interval(made.segment->header());
      const auto home = *rc::gen::inRange<uint64_t>(0, 14);
      const auto wanted = *rc::gen::element(
          // one of his addresses, his prefix, some neighbours, IPv4, everybody
          net::Ipv6Prefix{net::Ipv6Address::from_halves(0x20010db8'00000000 + (home << 8) + 3, 9), 128},
          net::Ipv6Prefix{net::Ipv6Address::from_halves(0x20010db8'00000000 + (home << 8), 0), 56},
          net::Ipv6Prefix{net::Ipv6Address::from_halves(0x20010db8'00000000 + (home << 8), 0).masked(54), 54},
          net::Ipv6Prefix{net::Ipv6Address::from_halves(0, 0xffff'6440'0000 + home), 128},
          net::Ipv6Prefix{net::Ipv6Address{}, 0});
      std::set<std::string> them;
      const Replayed replayed = replay(live, {}, {});
      for (const auto& [number, s] : replayed.state.subscribers()) {
        const unsigned common = std::min(s.length, wanted.length);
        if (s.length != 0 && s.prefix.masked(common) == wanted.address.masked(common))
          them.insert(name_of(s));
      }
      if (wanted.length == 0) them.insert("?");
      const auto theirs = [&](const Names& names, uint64_t number) {
        return them.contains(name_of(names, number));
      };
      const auto named = [&](const Record& r, const Names& names) {
        if (r.kind == Record::Kind::allocated) return theirs(names, r.subscriber);
        if (r.kind != Record::Kind::typed || !names_subscriber(r.type)) return false;
        ByteReader in(r.body);
        const uint64_t number = in.varint();
        return in.good() && theirs(names, number);
      };
      const Found answer = found(records_of(*made.segment, wanted, when));
      const Found all = scan(
          live, when,
          [&](const Record& r, const State& s, const Names& names) {
            if (named(r, names)) return true;
            if (r.kind == Record::Kind::typed) return false;
            const auto held = s.held().find(r.block);
            return held != s.held().end() && theirs(names, held->second.subscriber);
          },
          [&](const Record& r, const State&, const Names& names) { return named(r, names); });
      same(answer.carried, all.carried);
      same(answer.records, all.records);
    }
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

TEST_CASE("A record is the former holder's who was overtaken, also beside a page's end", "[ledger][sealed]") {
  // So many events of one millisecond that a page would end among them.
  const LiveHeader header{.serial = 1, .opened = 1000, .first_ordinal = 1};
  BatchWriter out(header);
  const auto note = [&](const auto& n) { out.add(1000, 0, n.kType, encode(n)); };
  note(AddressRange{.first_block = 0,
                    .first_address = net::Ipv4Address(0x01020304),
                    .addresses = 1,
                    .first_port = 0,
                    .set_size = 1,
                    .sets = 65536});
  note(SubscriberNote{.number = 0, .instance = 1, .length = 56});
  note(SubscriberNote{.number = 1, .instance = 2, .length = 56});
  for (uint64_t i = 0; i < 10'000; i++) out.allocated(2000, 0, 1, i, 0);
  for (uint64_t i = 0; i < 10'000; i++) out.allocated(3000, 0, 1, i, 1);
  for (uint64_t i = 0; i < 10'000; i++) out.released(3000, 0, 4, i, 1);
  for (uint64_t i = 0; i < 10'000; i++) out.released(4000 + i, 0, 4, i, 1);
  Made made(encode(header) + std::string(out.take()));
  CHECK(made.segment->directory().pages.size() > 3);
  CHECK(verify(*made.segment, std::nullopt, [](const std::string& what) { FAIL_CHECK(what); }));
  for (const uint64_t time : {2000, 2500, 3000, 3500}) {
    const Answer a = records_of(*made.segment, net::Ipv4Address(0x01020304), 9'999, {time, time});
    REQUIRE(a.carried.size() == (time > 2000 ? 1 : 0));
    if (time > 2000) CHECK(a.subscribers.at(a.carried[0].subscriber).instance == (time > 3000 ? 2 : 1));
    CHECK(a.records.size() == (time == 2000 ? 1 : time == 3000 ? 2 : 0));
  }
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
