// Records become sessions, whatever order they come in.
#include <algorithm>
#include <catch2/catch.hpp>

#include "logging/radius/session.h"
#include "net/mapped.h"

using namespace culvert::logging::radius;
namespace ledger = culvert::logging::ledger;

namespace {

Record record(Status status, uint64_t time, std::optional<uint64_t> session_time = std::nullopt,
              const char* prefix = nullptr) {
  Record r;
  r.status = status;
  r.nas = "n";
  r.id = "1";
  r.time = {time, time};
  r.session_time = session_time;
  if (prefix != nullptr) r.prefixes.push_back(*culvert::net::parse_subscriber(prefix));
  return r;
}

/// As an import does it: sorted, then put together.
std::vector<Session> put_together(const std::vector<Record>& records) {
  std::vector<Session> sessions, done;
  for (const Record& r : records) sessions.push_back(session_of(r));
  std::stable_sort(sessions.begin(), sessions.end(), before);
  for (const Session& s : sessions) {
    if (!done.empty() && continues(done.back(), s)) {
      combine(done.back(), s);
      continue;
    }
    if (!done.empty()) end_by_reuse(done.back(), s);
    done.push_back(s);
  }
  return done;
}

}  // namespace

TEST_CASE("Start, interim updates and Stop are one session, in any order, and twice", "[radius]") {
  const std::vector<Record> all = {
      record(Status::start, 1000), record(Status::interim, 1300, 300, "2001:db8::/56"),
      record(Status::interim, 1600, 600, "2001:db8::/56"), record(Status::stop, 1900, 900)};
  std::vector<Record> mixed = {all[3], all[1], all[0], all[3], all[2], all[0]};
  for (const auto& records : {all, mixed}) {
    const auto sessions = put_together(records);
    REQUIRE(sessions.size() == 1);
    const Session& s = sessions.front();
    CHECK(s.begin == Begin::start);
    CHECK(s.began == Span{1000, 1000});
    CHECK(s.end == End::stop);
    CHECK(s.ended == Span{1900, 1900});
    CHECK(s.seen_from == 1000);
    CHECK(s.seen_until == 1900);
    REQUIRE(s.prefixes.size() == 1);
    CHECK(s.prefixes.front().seen_from == 1300);
    CHECK(s.prefixes.front().seen_until == 1600);
  }
}

TEST_CASE("Without a Start, Acct-Session-Time says when it began", "[radius]") {
  const auto later = put_together({record(Status::interim, 1300, 300), record(Status::stop, 1900, 902)});
  REQUIRE(later.size() == 1);
  CHECK(later.front().begin == Begin::session_time);
  // The earlier of the two.
  CHECK(later.front().began == Span{998, 998});
  const auto never = put_together({record(Status::interim, 1300), record(Status::stop, 1900)});
  CHECK(never.front().begin == Begin::unknown);
  CHECK(never.front().seen_from == 1300);
  CHECK(put_together({record(Status::stop, 10, 900)}).front().began == Span{0, 0});
}

TEST_CASE("A Start or a Stop that was sent again is the first one", "[radius]") {
  Record start = record(Status::start, 1000), again = start, stop = record(Status::stop, 1900),
         stop_again = stop;
  // The NAS has no clock that it tells, and does not say how long it tried.
  again.time = {1030, 1030};
  stop_again.time = {1960, 1960};
  const auto sessions = put_together({again, stop_again, start, stop});
  REQUIRE(sessions.size() == 1);
  CHECK(sessions.front().began == Span{1000, 1000});
  CHECK(sessions.front().ended == Span{1900, 1900});
}

TEST_CASE("An id that the NAS gives again is another session", "[radius]") {
  SECTION("after a Stop, at once") {
    const auto s = put_together({record(Status::start, 1000), record(Status::stop, 1010),
                                 record(Status::start, 1010), record(Status::stop, 1020)});
    REQUIRE(s.size() == 2);
    CHECK(s[0].ended == Span{1010, 1010});
    CHECK(s[1].began == Span{1010, 1010});
    CHECK(s[1].ended == Span{1020, 1020});
  }
  SECTION("with the Stop lost") {
    const auto s = put_together({record(Status::start, 1000), record(Status::interim, 1500),
                                 record(Status::start, 2000), record(Status::stop, 3000)});
    REQUIRE(s.size() == 2);
    CHECK(s[0].end == End::reused);
    CHECK(s[0].ended == Span{1500, 2000});
    CHECK(s[1].end == End::stop);
  }
  SECTION("with Stop and Start lost") {
    const auto s = put_together({record(Status::start, 1000), record(Status::stop, 1100),
                                 record(Status::interim, 2000, 60), record(Status::interim, 3000, 1060)});
    REQUIRE(s.size() == 2);
    CHECK(s[1].began == Span{1940, 1940});
    CHECK(s[1].end == End::unknown);
  }
  SECTION("and the Start of the first lost") {
    const auto s = put_together({record(Status::interim, 1000), record(Status::start, 2000)});
    REQUIRE(s.size() == 2);
    CHECK(s[0].end == End::reused);
    CHECK(s[0].ended == Span{1000, 2000});
  }
  SECTION("to another user") {
    Record bob = record(Status::interim, 2000);
    bob.user_name = "bob";
    Record alice = record(Status::interim, 1000);
    alice.user_name = "alice";
    const auto s = put_together({alice, bob});
    REQUIRE(s.size() == 2);
    CHECK(s[0].end == End::reused);
    CHECK(s[0].ended == Span{1000, 2000});
  }
}

TEST_CASE("A session of no length, and one whose records' clocks overlap", "[radius]") {
  const auto none = put_together({record(Status::start, 1000), record(Status::stop, 1000)});
  REQUIRE(none.size() == 1);
  CHECK(none.front().ended == Span{1000, 1000});
  Record start = record(Status::start, 1000), stop = record(Status::stop, 1001);
  start.time = {1000, 1005};
  stop.time = {1001, 1004};
  const auto overlapping = put_together({start, stop});
  REQUIRE(overlapping.size() == 1);
  CHECK(overlapping.front().began == Span{1000, 1005});
  CHECK(overlapping.front().ended == Span{1001, 1004});
}

TEST_CASE("No prefix of a session is lost, however many it has", "[radius]") {
  std::vector<Record> records;
  for (int i = 0; i < 100; i++) {
    records.push_back(record(Status::interim, 1000 + static_cast<uint64_t>(i)));
    const auto host = static_cast<uint32_t>(0x64400000 + i);
    records.back().prefixes.push_back({culvert::net::mapped(culvert::net::Ipv4Address(host)), 128});
  }
  size_t prefixes = 0;
  for (const Session& s : put_together(records)) {
    CHECK(s.prefixes.size() <= kMaxPrefixes);
    CHECK(s.end == End::unknown);
    prefixes += s.prefixes.size();
  }
  CHECK(prefixes == 100);
}

TEST_CASE("A session is read as it was written, and never beyond its end", "[radius]") {
  Record r = record(Status::stop, 1'700'000'000, 86400, "2001:db8:1::/56");
  r.prefixes.push_back(*culvert::net::parse_subscriber("100.64.0.1"));
  r.time.latest += 7;
  r.user_name = "alice";
  r.circuit_id = std::string(253, 'c');
  Session session = session_of(r);
  std::string bytes;
  ledger::ByteWriter out(bytes);
  encode(session, out);
  Session read;
  read.nas = session.nas;
  read.id = session.id;
  ledger::ByteReader in(bytes);
  decode(in, read);
  CHECK(in.good());
  CHECK(in.done());
  CHECK(read == session);
  for (size_t cut = 0; cut < bytes.size(); cut++) {
    ledger::ByteReader short_in(std::string_view(bytes).substr(0, cut));
    decode(short_in, read);
    CHECK_FALSE(short_in.good());
  }
}
