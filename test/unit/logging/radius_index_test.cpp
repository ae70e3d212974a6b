// The index: what is sorted, what is written, what is read again, and what is not believed.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "logging/radius/index.h"
#include "logging/radius/index_writer.h"
#include "logging/radius/sorter.h"
#include "net/mapped.h"
#include "radius_details.h"
#include "test_directory.h"

using namespace culvert::logging::radius;
using culvert::test::TestDirectory;

namespace {

/// Sessions in the order of an index: on two NASes, some of them with the same prefix.
std::vector<Session> sessions(unsigned n) {
  std::vector<Session> all;
  for (unsigned i = 0; i < n; i++) {
    Session s;
    s.nas = i < n / 3 ? "192.0.2.1" : "bras2";
    s.id = fmt::format("{:08}", i);
    s.session_id = s.id;
    s.user_name = fmt::format("user{}@isp.example, a name that is longer than a key", i % 7);
    s.calling_station_id = fmt::format("line {}", i % 5);
    s.begin = Begin::start;
    s.began = {1'700'000'000 + i, 1'700'000'001 + i};
    s.seen_from = s.began.latest;
    s.seen_until = s.began.earliest + 100;
    if (i % 2 == 0) {
      s.end = End::stop;
      s.ended = {s.seen_until, s.seen_until};
    }
    const auto v4 = culvert::net::mapped(culvert::net::Ipv4Address(0x64400000 + i % 11));
    s.prefixes = {{{v4, 128}, s.seen_from, s.seen_until},
                  {{culvert::net::Ipv6Address::from_halves(0x20010db800000000 + (i << 8), 0), 56},
                   s.seen_from,
                   s.seen_until}};
    all.push_back(s);
  }
  return all;
}

const Restarts kRestarts = {
    {"192.0.2.1", {{{1'700'000'050, 1'700'000'051}, true}, {{1'700'000'060, 1'700'000'060}, false}}},
    {"never seen", {{{5, 5}, true}}}};
const std::vector<Source> kSources = {{{1, 2, 3, 4}, {5, 6}, 7, 8}, {{9, 10, 11, 12}, {13, 14}, 15, 16}};

void write_index(const TestDirectory& d, const std::vector<Session>& all, size_t memory = 1 << 20) {
  File file = File::create(d.path("index"));
  IndexWriter writer(file, d.path(""), memory);
  for (const Session& s : all) writer.add(s);
  writer.finish(kRestarts, kSources, {1'700'000'000, 1'700'001'000});
}

/// All that a reader finds, as text.
std::string content(const std::string& path) {
  const Index index(File::open(path));
  std::string text =
      fmt::format("{} to {}\n", index.header().covered.earliest, index.header().covered.latest);
  Index::Sessions stream(index);
  for (Session s; stream.next(s);) text += fmt::format("{} {} {}\n", s.nas, s.id, s.user_name);
  for (Index::Cursor c(index, {}); c.valid(); c.next()) {
    const Entry& e = c.entry();
    text += fmt::format("{:02x} {} {} {}\n", fmt::join(e.key, ""), e.from, e.until, e.ordinal);
  }
  for (const Nas& nas : index.nases())
    text += fmt::format("{} {} {}\n", nas.name, nas.first, nas.restarts.size());
  for (const Source& s : index.sources()) text += fmt::format("{} {}\n", s.place.offset, s.tail);
  return text;
}

}  // namespace

TEST_CASE("More items than memory holds come back in order", "[radius]") {
  const TestDirectory d;
  CHECK(rc::check("sorted", [&] {
    auto items = *rc::gen::container<std::vector<std::string>>(rc::gen::string<std::string>());
    Sorter sorter(d.path(""), *rc::gen::inRange<size_t>(0, 400));
    for (const std::string& item : items) sorter.add(item);
    sorter.sort();
    std::sort(items.begin(), items.end());
    for (const std::string& item : items) {
      const auto next = sorter.next();
      RC_ASSERT(next.has_value());
      RC_ASSERT(*next == item);
    }
    RC_ASSERT(!sorter.next());
    RC_ASSERT(!sorter.next());
  }));
  CHECK(std::filesystem::is_empty(d.path("")));
}

TEST_CASE("Sessions come back by their numbers, and one after the other", "[radius]") {
  const TestDirectory d;
  // Few and many: in one block, and in some hundred.
  for (const unsigned n : {0u, 1u, 3u, 20'000u}) {
    const auto all = sessions(n);
    write_index(d, all, 64 << 10);
    const Index index(File::open(d.path("index")));
    REQUIRE(index.header().sessions == n);
    Index::Sessions stream(index);
    Session s;
    for (unsigned i = 0; i < n; i++) {
      REQUIRE(stream.next(s));
      REQUIRE(s == all[i]);
      if (i % 97 == 0) REQUIRE(index.session(i) == all[i]);
    }
    CHECK_FALSE(stream.next(s));
    CHECK_THROWS_AS(index.session(n), DamagedIndex);
    REQUIRE(index.sources() == kSources);
    CHECK(index.header().has_length(56) == (n != 0));
    CHECK_FALSE(index.header().has_length(64));
    if (n < 3) continue;
    CHECK(index.nases().size() == 3);
    CHECK(index.nas_of(0).name == "192.0.2.1");
    CHECK(index.nas_of(0).restarts == kRestarts.at("192.0.2.1"));
    CHECK(index.nas_of(n - 1).name == "bras2");
  }
}

TEST_CASE("A key finds its entries, wherever they lie", "[radius]") {
  const TestDirectory d;
  constexpr unsigned kSessions = 20'000;
  const auto all = sessions(kSessions);
  write_index(d, all, 64 << 10);
  const Index index(File::open(d.path("index")));
  CHECK(index.header().entries == 4 * kSessions);
  const auto found = [&](const Key& key) {
    std::vector<uint64_t> ordinals;
    for (Index::Cursor c(index, key); c.valid() && c.entry().key == key; c.next()) {
      CHECK(c.entry().from == all[c.entry().ordinal].began.earliest);
      CHECK(c.entry().until == all[c.entry().ordinal].ended.latest);
      ordinals.push_back(c.entry().ordinal);
    }
    return ordinals;
  };
  std::vector<uint64_t> every_11th, every_5th;
  for (uint64_t i = 3; i < kSessions; i += 11) every_11th.push_back(i);
  for (uint64_t i = 4; i < kSessions; i += 5) every_5th.push_back(i);
  CHECK(found(prefix_key(*culvert::net::parse_subscriber("100.64.0.3"))) == every_11th);
  CHECK(found(text_key(KeyKind::calling_station_id, "line 4")) == every_5th);
  CHECK(found(prefix_key(*culvert::net::parse_subscriber("100.64.0.11"))).empty());
  CHECK(found(text_key(KeyKind::user_name, "zz")).empty());
  CHECK(found({0xff}).empty());
  // Users' names are cut in keys: all of these begin alike but for one letter.
  CHECK(found(text_key(KeyKind::user_name, "user6@isp.example, a name that is longer than a key")).size() ==
        kSessions / 7);
}

TEST_CASE("An index of which any bit is wrong says so, or says the same", "[radius]") {
  const TestDirectory d;
  write_index(d, sessions(12));
  const std::string path = d.path("index"), good = culvert::test::read_file(path), right = content(path);
  size_t told = 0;
  for (size_t at = 0; at < good.size(); at++) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
    culvert::test::write_file(path, bad);
    try {
      const std::string now = content(path);
      CHECK(now == right);
    } catch (const std::runtime_error& e) {
      CHECK(std::string(e.what()).find(path) == 0);
      told++;
    }
  }
  CHECK(told == good.size());
  for (size_t size = 0; size < good.size(); size += 7) {
    culvert::test::write_file(path, good.substr(0, size));
    CHECK_THROWS_AS(content(path), std::runtime_error);
  }
}

TEST_CASE("An index of another version, and a file that is none, are told by name", "[radius]") {
  const TestDirectory d;
  write_index(d, sessions(1));
  std::string bytes = culvert::test::read_file(d.path("index"));
  bytes[8] = 2;
  culvert::test::write_file(d.path("index"), bytes);
  CHECK_THROWS_WITH(Index(File::open(d.path("index"))),
                    Catch::Contains("has version 2, this program reads 1"));
  culvert::test::write_file(d.path("index"), "something else");
  CHECK_THROWS_WITH(Index(File::open(d.path("index"))), Catch::Contains("index: is no index"));
  CHECK_THROWS_WITH(File::open(d.path("none")), Catch::Contains("none: cannot be opened: No such file"));
}
