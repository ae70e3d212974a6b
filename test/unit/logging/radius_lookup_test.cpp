// Who had a prefix: all who may have had it, and what is known of when.
#include <catch2/catch.hpp>

#include "logging/radius/build.h"
#include "logging/radius/lookup.h"
#include "net/mapped.h"
#include "radius_details.h"
#include "test_directory.h"

using namespace culvert::logging::radius;
using culvert::net::parse_subscriber;

namespace {

struct Told {
  const char* id;
  Status status;
  uint64_t time;
  std::vector<const char*> prefixes = {"2001:db8:1::/56"};
  const char* nas = "n";
};

Index index_of(const std::vector<Told>& records) {
  const culvert::test::TestDirectory d;
  BuildOptions options;
  options.scratch = d.path("");
  Builder builder(options);
  for (const Told& t : records) {
    Record r;
    r.status = t.status;
    r.nas = t.nas;
    if (t.status != Status::accounting_on && t.status != Status::accounting_off) r.id = t.id;
    r.user_name = fmt::format("user of {}", t.id);
    r.calling_station_id = "line 1";
    r.time = {t.time, t.time};
    for (const char* p : t.prefixes) r.prefixes.push_back(*parse_subscriber(p));
    builder.add(r);
  }
  File file = File::unnamed(d.path(""));
  builder.build(nullptr, {}, file);
  return Index(std::move(file));
}

std::string text_of(const Match& m) {
  const auto time = [](uint64_t ms) {
    return ms == UINT64_MAX ? "?" : fmt::format("{}.{:03}", ms / 1000, ms % 1000);
  };
  return fmt::format("{} {}-{} {}-{} {}{}", m.session.id, time(m.began.earliest), time(m.began.latest),
                     time(m.ended.earliest), time(m.ended.latest), name_of(m.ending),
                     m.certain ? " certain" : "");
}

using Texts = std::vector<std::string>;

Texts find(const Index& index, const char* prefix, Window window = {}, uint64_t slack = 0) {
  Texts found;
  find_prefix(index, *parse_subscriber(prefix), window, slack,
              [&](const Match& m) { found.push_back(text_of(m)); });
  return found;
}
Texts at(const Index& index, uint64_t ms, uint64_t slack = 0) {
  return find(index, "2001:db8:1::/56", {ms, ms}, slack);
}

}  // namespace

TEST_CASE("A session is found in its time, up to the millisecond, and slack around it", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000}, {"a", Status::stop, 2000}});
  const std::string a = "a 1000.000-1000.999 2000.000-2000.999 stop";
  CHECK(at(index, 999'999).empty());
  CHECK(at(index, 1'000'000) == Texts{a});
  CHECK(at(index, 1'000'998) == Texts{a});
  CHECK(at(index, 1'000'999) == Texts{a + " certain"});
  CHECK(at(index, 2'000'000) == Texts{a + " certain"});
  CHECK(at(index, 2'000'001) == Texts{a});
  CHECK(at(index, 2'000'999) == Texts{a});
  CHECK(at(index, 2'001'000).empty());
  CHECK(at(index, 999'999 - 1999, 2000) == Texts{a});
  CHECK(at(index, 999'999 - 2000, 2000).empty());
  CHECK(at(index, 2'002'999, 2000) == Texts{a});
  CHECK(at(index, 2'003'000, 2000).empty());
  CHECK(at(index, 1'002'999, 2000) == Texts{a + " certain"});
  CHECK(at(index, 1'002'998, 2000) == Texts{a});
  CHECK(find(index, "2001:db8:1::/56", {1'500'000, 2'000'001}) == Texts{a});
  CHECK(find(index, "2001:db8:1::/56") == Texts{a});
  CHECK(find(index, "2001:db8:1::/56", {0, UINT64_MAX}, 86'400'000) == Texts{a});
}

TEST_CASE("Two that had it at once are both told of", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000},
                                {"b", Status::start, 1500},
                                {"a", Status::stop, 2000},
                                {"b", Status::stop, 2500}});
  CHECK(at(index, 1'700'000) == Texts{"a 1000.000-1000.999 2000.000-2000.999 stop certain",
                                      "b 1500.000-1500.999 2500.000-2500.999 stop certain"});
  CHECK(at(index, 2'200'000) == Texts{"b 1500.000-1500.999 2500.000-2500.999 stop certain"});
}

TEST_CASE("Without a Stop a session goes on, for all that anybody knows", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000}, {"a", Status::interim, 1600}});
  CHECK(at(index, 1'600'000) == Texts{"a 1000.000-1000.999 1600.000-? unknown certain"});
  CHECK(at(index, 1'600'001) == Texts{"a 1000.000-1000.999 1600.000-? unknown"});
  CHECK(at(index, 1'000'000'000'000) == Texts{"a 1000.000-1000.999 1600.000-? unknown"});
}

TEST_CASE("A restart of its NAS ends what has no Stop", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000},
                                {"", Status::accounting_off, 1500, {}},
                                {"a", Status::interim, 1600},
                                {"", Status::accounting_on, 1600, {}},
                                {"", Status::accounting_on, 1700, {}, "another"},
                                {"", Status::accounting_off, 1800, {}},
                                {"", Status::accounting_on, 1900, {}},
                                {"b", Status::start, 1950},
                                {"c", Status::start, 2000, {"2001:db8:2::/56"}},
                                {"c", Status::stop, 2100, {"2001:db8:2::/56"}}});
  // What it outlived, and what may have been just before it was seen, ends nothing; nor does another NAS'.
  CHECK(find(index, "2001:db8:1::/56") == Texts{"a 1000.000-1000.999 1600.000-1800.999 accounting-off",
                                                "b 1950.000-1950.999 1950.000-? unknown"});
  CHECK(find(index, "2001:db8:2::/56") == Texts{"c 2000.000-2000.999 2100.000-2100.999 stop"});
}

TEST_CASE("The next session with its prefix on its NAS ends it", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000},
                                {"a", Status::interim, 1600},
                                {"overlaps", Status::start, 1600},
                                {"elsewhere", Status::start, 1650, {"2001:db8:1::/56"}, "another"},
                                {"unseen", Status::interim, 1660},
                                {"b", Status::start, 1700},
                                {"c", Status::start, 1800, {"2001:db8:2::/56"}}});
  CHECK(at(index, 1'700'500) == Texts{"unseen 0.000-1660.999 1660.000-1700.999 superseded",
                                      "a 1000.000-1000.999 1600.000-1700.999 superseded",
                                      "overlaps 1600.000-1600.999 1600.000-1700.999 superseded",
                                      "elsewhere 1650.000-1650.999 1650.000-? unknown",
                                      "b 1700.000-1700.999 1700.000-? unknown"});
  CHECK(at(index, 1'701'000) ==
        Texts{"elsewhere 1650.000-1650.999 1650.000-? unknown", "b 1700.000-1700.999 1700.000-? unknown"});
  // By its line, no prefix is asked about: a line may have several sessions.
  Texts found;
  find_text(index, KeyKind::calling_station_id, "line 1", {}, 0,
            [&](const Match& m) { found.push_back(text_of(m)); });
  CHECK(found.size() == 6);
  CHECK(found[1] == "a 1000.000-1000.999 1600.000-? unknown");
}

TEST_CASE("The id given to another session ends it", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000},
                                {"a", Status::interim, 1600},
                                {"a", Status::start, 3000, {"2001:db8:2::/56"}},
                                {"", Status::accounting_on, 2000, {}}});
  CHECK(find(index, "2001:db8:1::/56") == Texts{"a 1000.000-1000.999 1600.000-2000.999 accounting-on"});
  CHECK(find(index, "2001:db8:2::/56") == Texts{"a 3000.000-3000.999 3000.000-? unknown"});
  CHECK(find(index_of({{"a", Status::start, 1000}, {"a", Status::start, 3000}}), "2001:db8:1::/56").front() ==
        "a 1000.000-1000.999 1000.000-3000.999 reused");
}

TEST_CASE("A prefix that came late or went early is not the session's for certain all the time", "[radius]") {
  const Index index = index_of({{"a", Status::start, 1000, {}},
                                {"a", Status::interim, 1010, {"2001:db8:1::/56"}},
                                {"a", Status::interim, 1500, {"2001:db8:1::/56"}},
                                {"a", Status::stop, 2000, {}}});
  const std::string a = "a 1000.000-1000.999 2000.000-2000.999 stop";
  CHECK(at(index, 1'005'000) == Texts{a});
  CHECK(at(index, 1'010'999) == Texts{a + " certain"});
  CHECK(at(index, 1'500'000) == Texts{a + " certain"});
  CHECK(at(index, 1'500'001) == Texts{a});
}

TEST_CASE("Prefixes that cover what is asked for, and those within it", "[radius]") {
  const Index index = index_of({{"48", Status::start, 1000, {"2001:db8:1::/48"}},
                                {"56", Status::start, 1000, {"2001:db8:1:100::/56", "100.64.0.1"}},
                                {"64", Status::start, 1000, {"2001:db8:1:1ff::/64"}},
                                {"128", Status::start, 1000, {"2001:db8:1:1ff::1"}},
                                {"beside", Status::start, 1000, {"2001:db8:1:200::/56", "100.64.0.2"}},
                                {"before", Status::start, 1000, {"2001:db8:0:ff00::/56", "100.64.0.0"}}});
  const auto ids = [&](const char* prefix) {
    std::string all;
    find_prefix(index, *parse_subscriber(prefix), {}, 0, [&](const Match& m) { all += m.session.id + " "; });
    return all;
  };
  CHECK(ids("2001:db8:1:1ff::1") == "48 56 64 128 ");
  CHECK(ids("2001:db8:1:1ff::/64") == "48 56 64 128 ");
  CHECK(ids("2001:db8:1:1ff::2") == "48 56 64 ");
  CHECK(ids("2001:db8:1:100::/56") == "48 56 64 128 ");
  CHECK(ids("2001:db8:1:100::/57") == "48 56 ");
  CHECK(ids("2001:db8:1::/48") == "48 56 64 128 beside ");
  CHECK(ids("2001:db8::/32") == "before 48 56 64 128 beside ");
  CHECK(ids("100.64.0.1") == "56 ");
  CHECK(ids("100.64.0.0/24") == "before 56 beside ");
  CHECK(ids("100.64.0.3").empty());
  CHECK(ids("2001:db9::/32").empty());
  CHECK(ids("::/0") == "before 56 beside before 48 56 64 128 beside ");
}

TEST_CASE("Texts are compared to their end", "[radius]") {
  const Index index = index_of({{"a name that is longer than a key is: 1", Status::start, 1000},
                                {"a name that is longer than a key is: 2", Status::start, 1000}});
  const auto count = [&](KeyKind kind, const char* text) {
    int n = 0;
    find_text(index, kind, text, {}, 0, [&](const Match& m) { n += m.prefix ? 100 : 1; });
    return n;
  };
  CHECK(count(KeyKind::user_name, "user of a name that is longer than a key is: 2") == 1);
  CHECK(count(KeyKind::user_name, "user of a name that is longer than a key is: 3") == 0);
  CHECK(count(KeyKind::calling_station_id, "line 1") == 2);
  CHECK(count(KeyKind::calling_station_id, "line") == 0);
  CHECK(count(KeyKind::user_name, "line 1") == 0);
}
