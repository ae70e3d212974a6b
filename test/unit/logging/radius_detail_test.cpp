// FreeRADIUS detail files, read in pieces, whole or broken.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "logging/radius/detail_reader.h"
#include "logging/radius/printable.h"
#include "logging/radius/times.h"
#include "net/mapped.h"
#include "radius_details.h"

using namespace culvert::logging::radius;
using culvert::test::Attributes;
using culvert::test::detail_record;

namespace {

/// What FreeRADIUS 3.2.1 wrote down of such a packet.
constexpr char kStart[] = R"(Sun Nov 22 05:45:52 2026
	Acct-Status-Type = Start
	Acct-Session-Id = "0001"
	User-Name = "alice \"x\" \\ tab\tnl\n\303\251"
	NAS-IP-Address = 192.0.2.1
	NAS-Port-Id = "ge-0/0/1:100"
	Calling-Station-Id = "00:11:22:33:44:55"
	Framed-IP-Address = 100.64.0.1
	Framed-IPv6-Prefix = 2001:db8:0:1::/64
	Delegated-IPv6-Prefix = 2001:db8:1000::/56
	Delegated-IPv6-Prefix = 2001:db8:2000::/56
	Framed-IPv6-Address = 2001:db8:0:1::1
	ADSL-Agent-Circuit-Id = 0x6f6c74312065746820302f312f323a313030
	ADSL-Agent-Remote-Id = 0x72656d6f74652d37
	Class = 0x01020304
	Event-Timestamp = "Nov 22 2026 05:45:40 UTC"
	Acct-Delay-Time = 3
	Framed-Interface-Id = 0:0:0:1
	Acct-Unique-Session-Id = "4c6cac286a112a48a5733d1875d7fdc7"
	Timestamp = 1795326352

)";

struct Reading {
  std::vector<Record> records;
  Tally tally;
  Place whole;
};

Reading read(std::string_view text, size_t piece = SIZE_MAX) {
  Reading reading;
  DetailReader reader([&](const Record& r) { reading.records.push_back(r); });
  for (size_t at = 0; at < text.size(); at += std::min(piece, text.size() - at))
    reader.feed(text.substr(at, piece));
  reading.tally = reader.tally();
  reading.whole = reader.whole();
  return reading;
}

Attributes session(const std::string& status = "Start") {
  return {{"Acct-Status-Type", status}, {"Acct-Session-Id", "\"1\""}, {"NAS-IP-Address", "192.0.2.1"}};
}

/// Of one record with these attributes besides: nullopt where it was dropped.
std::optional<Record> read_with(const Attributes& more, const std::string& status = "Start") {
  Attributes all = session(status);
  all.insert(all.end(), more.begin(), more.end());
  const Reading reading = read(detail_record(all, 1'795'326'352));
  CHECK(reading.records.size() + reading.tally.wrong + reading.tally.not_accounting == 1);
  return reading.records.empty() ? std::nullopt : std::optional(reading.records.front());
}

std::vector<std::string> prefixes(const Record& r) {
  std::vector<std::string> texts;
  for (const auto& p : r.prefixes) texts.push_back(culvert::net::subscriber_text(p.address, p.length));
  return texts;
}

/// Sets $TZ for as long as it lives.
struct TimeZone {
  explicit TimeZone(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  ~TimeZone() {
    unsetenv("TZ");
    tzset();
  }
};

}  // namespace

TEST_CASE("A record says who, where and when", "[radius]") {
  const Reading reading = read(kStart);
  REQUIRE(reading.records.size() == 1);
  const Record& r = reading.records.front();
  CHECK(r.status == Status::start);
  CHECK(r.nas == "192.0.2.1");
  CHECK(r.id == "4c6cac286a112a48a5733d1875d7fdc7");
  CHECK(r.session_id == "0001");
  CHECK(r.user_name == "alice \"x\" \\ tab\tnl\n\xc3\xa9");
  CHECK(r.calling_station_id == "00:11:22:33:44:55");
  CHECK(r.circuit_id == "olt1 eth 0/1/2:100");
  CHECK(r.remote_id == "remote-7");
  CHECK(r.nas_port_id == "ge-0/0/1:100");
  // The NAS' clock said :40; it arrived at :52, and the NAS had tried for 3 s.
  CHECK(r.time == Span{1'795'326'340, 1'795'326'349});
  CHECK(prefixes(r) == std::vector<std::string>{"100.64.0.1", "2001:db8:0:1::/64", "2001:db8:1000::/56",
                                                "2001:db8:2000::/56", "2001:db8:0:1::1"});
  CHECK(reading.whole == Place{sizeof kStart - 1, 21});
}

TEST_CASE("Every kind of record that is a session's, and others", "[radius]") {
  CHECK(read_with({}, "Stop")->status == Status::stop);
  CHECK(read_with({}, "Interim-Update")->status == Status::interim);
  CHECK(read_with({}, "Alive")->status == Status::interim);
  CHECK(read_with({}, "Accounting-On")->status == Status::accounting_on);
  CHECK(read_with({}, "Accounting-Off")->status == Status::accounting_off);
  CHECK(read_with({}, "Accounting-Off")->id.empty());
  CHECK_FALSE(read_with({}, "Tunnel-Start"));
  const Reading other = read("Sun Nov 22 05:45:52 2026\n\tUser-Name = \"x\"\n\tTimestamp = 1\n\n");
  CHECK(other.tally.not_accounting == 1);
  CHECK(read_with({{"Acct-Session-Time", "600"}}, "Stop")->session_time == 600u);
}

TEST_CASE("Circuit and line are found in the vendors' spellings", "[radius]") {
  CHECK(read_with({{"Agent-Circuit-Id", "0x616263"}})->circuit_id == "abc");
  CHECK(read_with({{"Agent-Remote-Id", "\"abc\""}})->remote_id == "abc");
  CHECK(read_with({{"Cisco-AVPair", "\"client-mac-address=0011.2233.4455\""},
                   {"Cisco-AVPair", "\"circuit-id-tag=abc\""},
                   {"Cisco-AVPair", "\"remote-id-tag=def\""}})
            ->circuit_id == "abc");
}

TEST_CASE("A NAS is known by its address, or its name, or where the packet came from", "[radius]") {
  const auto nas = [](const Attributes& all) {
    Attributes record{{"Acct-Status-Type", "Start"}, {"Acct-Session-Id", "\"1\""}};
    record.insert(record.end(), all.begin(), all.end());
    const Reading reading = read(detail_record(record, 1));
    return reading.records.empty() ? "" : reading.records.front().nas;
  };
  CHECK(nas({{"NAS-Identifier", "\"bras1\""}, {"NAS-IPv6-Address", "2001:db8::1"}}) == "2001:db8::1");
  CHECK(nas({{"NAS-Identifier", "\"bras1\""}, {"Packet-Src-IP-Address", "192.0.2.9"}}) == "bras1");
  CHECK(nas({{"Packet-Src-IP-Address", "192.0.2.9"}}) == "192.0.2.9");
  CHECK(nas({}).empty());
  CHECK(nas({{"NAS-Identifier", "\"a\\000b\""}}).empty());
}

TEST_CASE("Addresses that mean none or anybody are left out, wrong ones drop the record", "[radius]") {
  CHECK(prefixes(*read_with({{"Framed-IP-Address", "0.0.0.0"},
                             {"Delegated-IPv6-Prefix", "::/0"},
                             {"Framed-IPv6-Prefix", "2001:db8::1/64"}})) ==
        std::vector<std::string>{"2001:db8::/64"});
  CHECK(prefixes(*read_with({{"Framed-IP-Address", "255.255.255.254"}})).empty());
  CHECK_FALSE(read_with({{"Framed-IP-Address", "100.64.0.256"}}));
  CHECK_FALSE(read_with({{"Framed-IPv6-Prefix", "2001:db8::/129"}}));
  CHECK_FALSE(read_with({{"Delegated-IPv6-Prefix", "2001:db8::/56 x"}}));
  Attributes many;
  for (int i = 0; i < 65; i++) many.emplace_back("Framed-IP-Address", fmt::format("100.64.0.{}", i));
  CHECK_FALSE(read_with(many));
  many.pop_back();
  CHECK(read_with(many)->prefixes.size() == 64);
}

TEST_CASE("A record of which anything is wrong is dropped whole", "[radius]") {
  CHECK_FALSE(read_with({{"User-Name", "\"alice"}}));
  CHECK_FALSE(read_with({{"User-Name", "\"a\"b\""}}));
  CHECK_FALSE(read_with({{"User-Name", "\"a\\"}}));
  CHECK_FALSE(read_with({{"User-Name", "\"a\\08\""}}));
  CHECK_FALSE(read_with({{"ADSL-Agent-Circuit-Id", "0x616"}}));
  CHECK_FALSE(read_with({{"Acct-Session-Time", "12Sun Nov 22"}}));
  CHECK_FALSE(read_with({{"NAS-IP-Address", "192.0.2.1"}}));
  CHECK_FALSE(read_with({{"User-Name", "\"" + std::string(254, 'x') + "\""}}));
  CHECK(read_with({{"User-Name", "\"" + std::string(253, 'x') + "\""}}));
  CHECK(read("x\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = \"1\"\n\tNAS-IP-Address = 192.0.2.1\n"
             "\tEvent-Timestamp = 1795326352\n\n")
            .tally.wrong == 1);
  // What does not matter is not looked at.
  CHECK(read_with({{"Class", "\"x"}, {"X", ""}}));
}

TEST_CASE("A record that is cut off takes no other with it", "[radius]") {
  const auto record = [](const char* user, const char* address) {
    Attributes all = session();
    all.insert(all.begin() + 1, {"User-Name", user});
    all.emplace_back("Framed-IP-Address", address);
    return detail_record(all, 1'795'326'352);
  };
  const std::string whole = record("\"alice\"", "100.64.0.1"), other = record("\"bob\"", "100.64.0.2");
  for (size_t cut = 0; cut < whole.size(); cut++) {
    // At the end of the file it waits for its rest.
    const Reading waiting = read(other + whole.substr(0, cut));
    CHECK(waiting.records.size() == 1);
    CHECK(waiting.tally.wrong == 0);
    CHECK(waiting.whole.offset == other.size());
    // With others behind it, it is dropped; the next is lost with it where its first line cannot be told from
    // a value. Nobody gets another one's address.
    const Reading broken = read(other + whole.substr(0, cut) + other + other);
    CHECK(broken.records.size() >= 2);
    CHECK(broken.records.size() <= 3);
    // Of a first line that is cut off, nobody misses anything.
    CHECK(broken.tally.wrong == (cut <= whole.find('\n') ? 0u : 1u));
    for (const Record& r : broken.records) {
      CHECK(r.user_name == "bob");
      CHECK(prefixes(r) == std::vector<std::string>{"100.64.0.2"});
    }
  }
  const Reading headless = read("\tUser-Name = \"x\"\n" + whole);
  CHECK(headless.records.size() == 1);
  CHECK(headless.tally.wrong == 1);
  CHECK(headless.tally.wrong_line == 1);
}

TEST_CASE("Lines without end cost their record only", "[radius]") {
  const std::string whole = detail_record(session(), 5);
  const std::string endless(3 * DetailReader::kMaxLine, 'x');
  for (const size_t piece : {size_t{1} << 20, size_t{1000}}) {
    const Reading reading =
        read(whole + endless + "\n\n" + whole + "\tX = " + endless + "\n\n" + whole, piece);
    CHECK(reading.records.size() == 3);
    CHECK(reading.tally.wrong == 2);
    CHECK(reading.tally.wrong_line == 7);
  }
}

TEST_CASE("It does not matter in which pieces a file comes", "[radius]") {
  CHECK(rc::check("pieces", [] {
    std::string text;
    for (int i = *rc::gen::inRange(0, 4); i >= 0; i--) {
      std::string record = kStart;
      if (*rc::gen::inRange(0, 3) == 0) record.erase(*rc::gen::inRange<size_t>(0, record.size()));
      if (*rc::gen::inRange(0, 3) == 0)
        record[*rc::gen::inRange<size_t>(0, record.size())] = *rc::gen::element('\n', '"', '\\', 'x', '\t');
      text += record;
    }
    const Reading whole = read(text), pieces = read(text, *rc::gen::inRange<size_t>(1, 100));
    RC_ASSERT(whole.records.size() == pieces.records.size());
    RC_ASSERT(whole.tally.wrong == pieces.tally.wrong);
    RC_ASSERT(whole.tally.wrong_line == pieces.tally.wrong_line);
    RC_ASSERT(whole.whole == pieces.whole);
    for (size_t i = 0; i < whole.records.size(); i++) {
      RC_ASSERT(whole.records[i].user_name == pieces.records[i].user_name);
      RC_ASSERT(whole.records[i].time == pieces.records[i].time);
    }
  }));
}

TEST_CASE("Which clock is believed", "[radius]") {
  constexpr uint64_t kArrival = 1'795'326'352;
  const auto time_with = [](const std::string& event, const std::string& delay = "0") {
    return read_with({{"Event-Timestamp", event}, {"Acct-Delay-Time", delay}})->time;
  };
  CHECK(time_with(std::to_string(kArrival - 10)) == Span{kArrival - 10, kArrival});
  CHECK(time_with(std::to_string(kArrival + 10)) == Span{kArrival, kArrival + 10});
  CHECK(time_with(std::to_string(kArrival - 10), "10") == Span{kArrival - 10, kArrival - 10});
  CHECK(time_with(std::to_string(kArrival - 86400)) == Span{kArrival - 86400, kArrival});
  CHECK(time_with(std::to_string(kArrival - 86401)) == Span{kArrival, kArrival});
  CHECK(time_with("\"Jan  1 2000 00:02:10 UTC\"") == Span{kArrival, kArrival});
  CHECK(time_with("\"Nov 22 2026 05:45:52 XYZ\"") == Span{kArrival, kArrival});
  const Reading wild = read(detail_record({{"Acct-Status-Type", "Start"},
                                           {"Acct-Session-Id", "\"1\""},
                                           {"NAS-Identifier", "\"n\""},
                                           {"Event-Timestamp", "1"}},
                                          kArrival));
  CHECK(wild.tally.wild_clock == 1);
  CHECK(wild.tally.unknown_zone == 0);
}

TEST_CASE("Event-Timestamp in every form that servers write", "[radius]") {
  CHECK(parse_event_timestamp("Nov 14 2023 22:13:20 UTC") == 1'700'000'000u);
  CHECK(parse_event_timestamp("Nov  4 2023 22:13:20 GMT") == 1'699'136'000u);
  CHECK(parse_event_timestamp("Nov 14 2023 19:13:20 -03") == 1'700'000'000u);
  CHECK(parse_event_timestamp("Nov 15 2023 03:58:20 +0545") == 1'700'000'000u);
  CHECK(parse_event_timestamp("2023-11-14T22:13:20Z") == 1'700'000'000u);
  CHECK(parse_event_timestamp("2023-11-14T23:13:20+01:00") == 1'700'000'000u);
  CHECK(parse_event_timestamp("1700000000") == 1'700'000'000u);
  for (const char* wrong :
       {"", "Nov 14 2023 22:13:20", "Nov 14 2023 22:13:20 CET", "Nov 31 2023 22:13:20 UTC",
        "Nov 14 2023 24:13:20 UTC", "Nov 14 2023 22:13:20 UTC ", "17000000000000", "-1",
        "Foo 14 2023 22:13:20 UTC", "2023-11-14T22:13:20 CET", "Nov 14 2023 22:13:20 +0"})
    CHECK_FALSE(parse_event_timestamp(wrong));
}

TEST_CASE("A time zone's abbreviation counts where it is this process' own", "[radius]") {
  const TimeZone berlin("Europe/Berlin");
  CHECK(parse_event_timestamp("Nov 14 2023 23:13:20 CET") == 1'700'000'000u);
  CHECK(parse_event_timestamp("Jul  1 2023 12:00:00 CEST") == 1'688'205'600u);
  CHECK_FALSE(parse_event_timestamp("Jul  1 2023 12:00:00 CET"));
  CHECK_FALSE(parse_event_timestamp("Nov 14 2023 23:13:20 IST"));
  // The hour that is there twice.
  CHECK(parse_event_timestamp("Oct 29 2023 02:30:00 CEST") == 1'698'539'400u);
  CHECK(parse_event_timestamp("Oct 29 2023 02:30:00 CET") == 1'698'543'000u);
  // The hour that is not there.
  CHECK_FALSE(parse_event_timestamp("Mar 26 2023 02:30:00 CET"));
}

TEST_CASE("Times as people write them are UTC unless they say otherwise", "[radius]") {
  const TimeZone berlin("Europe/Berlin");
  CHECK(parse_iso_time("2023-11-14T22:13:20Z") == 1'700'000'000u);
  CHECK(parse_iso_time("2023-11-14 22:13:20.999") == 1'700'000'000u);
  CHECK(parse_iso_time("2023-11-14 23:13:20+01:00") == 1'700'000'000u);
  CHECK(parse_iso_time("2023-11-14 22:13 UTC") == 1'700'000'000u - 20);
  CHECK(parse_iso_time("2023-11-14") == 1'699'920'000u);
  for (const char* wrong : {"", "2023", "2023-11-14T", "2023-11-14T22", "2023-11-14 22:13:20 CET",
                            "yesterday", "2023-02-29", "1969-12-31T00:00:00Z"})
    CHECK_FALSE(parse_iso_time(wrong));
}

TEST_CASE("What a subscriber calls himself cannot command a terminal", "[radius]") {
  CHECK(printable("alice@isp \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "alice@isp \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(printable("\x1b[2J\x7f\n") == "\\x1b[2J\\x7f\\x0a");
  // U+009B, a surrogate, an overlong slash, beyond Unicode, cut off.
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");
}
