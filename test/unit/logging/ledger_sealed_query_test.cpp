// Questions to a sealed segment are answered from a few of its pages as a scan of all records would answer
// them (docs/ledger.md, "A sealed segment").
#include <map>
#include <set>

#include "ledger_sealed_said.h"
#include "logging/ledger/live_reader.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/sealed_query.h"
#include "logging/ledger/sealed_verify.h"

using namespace culvert::test;
namespace net = culvert::net;

namespace {

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
  in.byte();
  if (!in.good() || std::memcmp(address.data(), &a, 4) != 0) return false;
  return !port || p == *port;
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
  all.subscribers().for_each([&](const SubscriberNote& n) { names[n.number] = name_of(n); });
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

/// Any, but often about where a page begins.
Interval any_interval(const SealedSegment& segment) {
  const SealedHeader& h = segment.header();
  const auto time = [&] {
    if (*rc::gen::arbitrary<bool>()) return *rc::gen::inRange(h.opened, h.ended + 2);
    return (*rc::gen::elementOf(segment.directory().pages)).time - *rc::gen::inRange(0u, 2u);
  };
  uint64_t from = time(), to = time();
  if (*rc::gen::inRange(0, 4) == 0) to = from;
  if (from > to) std::swap(from, to);
  return {from, std::max(to, h.opened)};
}

/// Compares an answer about an address with a scan.
void ask_about_address(const std::string& live, SealedSegment& segment) {
  const Interval when = any_interval(segment);
  const net::Ipv4Address a(*rc::gen::element(0xc6336400u, 0xc6336400u, 0xc6336401u, 0xc6336403u, 0xcb007101u,
                                             0x0a000001u, 0x01010101u, 0x09090909u));
  std::optional<uint16_t> port;
  if (*rc::gen::arbitrary<bool>()) port = static_cast<uint16_t>(1000 + 20 * *rc::gen::inRange(0, 40));
  const Found answer = found(records_of(segment, a, port, when));
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

/// Compares an answer about a subscriber with a scan.
void ask_about_subscriber(const std::string& live, SealedSegment& segment) {
  const Interval when = any_interval(segment);
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
  replayed.state.subscribers().for_each([&](const SubscriberNote& s) {
    const unsigned common = std::min(s.length, wanted.length);
    if (s.length != 0 && s.prefix.masked(common) == wanted.address.masked(common)) them.insert(name_of(s));
  });
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
  // What ends their time is theirs, whomever it names.
  struct Overtaken {
    uint64_t time = 0;
    bool theirs = false;
  };
  std::map<uint64_t, std::vector<Overtaken>> overtaken;
  const auto ends_mapping = [&](const Record& r, const State& s, const Names& names) {
    if (r.type != Type::mapping_created && r.type != Type::mapping_deleted) return false;
    ByteReader in(r.body);
    in.varint();
    const std::string_view address = in.bytes(4);
    const auto port = in.fixed<uint16_t>();
    const uint8_t protocol = in.byte();
    if (!in.good()) return false;
    net::Ipv4Address external;
    std::memcpy(&external, address.data(), sizeof external);
    const auto held = s.mappings().find({external.value(), port, protocol});
    return held != s.mappings().end() && theirs(names, held->second.binding.subscriber);
  };
  const Found answer = found(records_of(segment, wanted, when));
  const Found all = scan(
      live, when,
      [&](const Record& r, const State& s, const Names& names) {
        if (r.kind == Record::Kind::typed) return named(r, names) || ends_mapping(r, s, names);
        // Who was overtaken is who is released, in the same ms.
        auto& former = overtaken[r.block];
        std::erase_if(former, [&](const Overtaken& o) { return o.time != r.time; });
        if (r.kind == Record::Kind::released && !former.empty()) {
          const bool was_theirs = former.front().theirs;
          former.erase(former.begin());
          return was_theirs;
        }
        const auto held = s.held().find(r.block);
        if (held == s.held().end()) return named(r, names);
        const bool was_theirs = theirs(names, held->second.subscriber);
        if (r.kind == Record::Kind::allocated) former.push_back({r.time, was_theirs});
        return was_theirs || named(r, names);
      },
      [&](const Record& r, const State&, const Names& names) { return named(r, names); });
  same(answer.carried, all.carried);
  same(answer.records, all.records);
}

}  // namespace

TEST_CASE("An address' records are found, and what held before, as a scan of all finds them",
          "[ledger][sealed]") {
  CHECK(rc::check("answer = scan", [] {
    const std::string live = made_segment(any_history());
    Made made(live);
    for (int i = 0; i < 4; i++) ask_about_address(live, *made.segment);
  }));
}

TEST_CASE("A subscriber's records are found, with those that end what he holds, as a scan finds them",
          "[ledger][sealed]") {
  CHECK(rc::check("answer = scan", [] {
    const std::string live = made_segment(any_history());
    Made made(live);
    for (int i = 0; i < 4; i++) ask_about_subscriber(live, *made.segment);
  }));
}

TEST_CASE("An address of several pages is as one of one", "[ledger][sealed]") {
  const std::string live = made_segment({.seed = 3, .steps = 30'000, .addresses = 1, .most_pause = 50});
  Made made(live);
  const SealedDirectory& directory = made.segment->directory();
  REQUIRE(directory.pages.size() - directory.first_address_page() > 5);
  CHECK(rc::check("address", [&] { ask_about_address(live, *made.segment); }));
  CHECK(rc::check("subscriber", [&] { ask_about_subscriber(live, *made.segment); }));
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
