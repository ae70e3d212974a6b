// Times as people type them (typed_time.h).
#include "typed_time.h"

#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <string>

using namespace culvert::tools;
using Catch::Matchers::Contains;

namespace {

// 2026-11-22T06:30:15.250Z
constexpr uint64_t kNow = 1'795'329'015'250;

/// In a zone, for one test.
class InZone {
 public:
  explicit InZone(const char* name) {
    const char* before = std::getenv("TZ");
    had_ = before != nullptr;
    if (had_) before_ = before;
    use_zone(name);
  }
  ~InZone() {
    if (had_)
      setenv("TZ", before_.c_str(), 1);
    else
      unsetenv("TZ");
    tzset();
  }
  InZone(const InZone&) = delete;
  InZone& operator=(const InZone&) = delete;

 private:
  bool had_ = false;
  std::string before_;
};

/// What a text means, in UTC.
std::string meant(std::string_view text) {
  std::string all;
  for (const TypedTime& t : parse_time(text, kNow))
    all += (all.empty() ? "" : ", ") + utc_text(t.first) + " to " + utc_text(t.last);
  return all;
}
std::string fault(std::string_view text) {
  try {
    return "understood: " + meant(text);
  } catch (const TimeError& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("times with a zone mean the same everywhere", "[tools][time]") {
  const InZone zone(GENERATE("UTC", "Europe/Athens", "America/New_York"));
  const std::string second = "2026-11-21T03:12:40.000Z to 2026-11-21T03:12:40.999Z";
  CHECK(meant("2026-11-21T03:12:40Z") == second);
  CHECK(meant("2026-11-21 03:12:40Z") == second);
  CHECK(meant("2026-11-21 03:12:40 UTC") == second);
  CHECK(meant("2026-11-21T05:12:40+02:00") == second);
  CHECK(meant("2026-11-21 05:12:40 +0200") == second);
  CHECK(meant("2026-11-20 22:12:40-0500") == second);
  CHECK(meant("@1795230760") == second);
  CHECK(meant("2026-11-21T03:12Z") == "2026-11-21T03:12:00.000Z to 2026-11-21T03:12:59.999Z");
  CHECK(meant("2026-11-21Z") == "2026-11-21T00:00:00.000Z to 2026-11-21T23:59:59.999Z");
  CHECK(meant("2026-11-21T03:12:40.5Z") == "2026-11-21T03:12:40.500Z to 2026-11-21T03:12:40.599Z");
  CHECK(meant("2026-11-21T03:12:40.123Z") == "2026-11-21T03:12:40.123Z to 2026-11-21T03:12:40.123Z");
  CHECK(meant("2026-11-21T03:12:40.123456Z") == "2026-11-21T03:12:40.123Z to 2026-11-21T03:12:40.123Z");
  CHECK(meant("@1795230760.25") == "2026-11-21T03:12:40.250Z to 2026-11-21T03:12:40.259Z");
  CHECK(meant("now") == "2026-11-22T06:30:15.250Z to 2026-11-22T06:30:15.250Z");
  CHECK(meant("-2h") == "2026-11-22T04:30:15.250Z to 2026-11-22T04:30:15.250Z");
  CHECK(meant("now-1h30m") == "2026-11-22T05:00:15.250Z to 2026-11-22T05:00:15.250Z");
  CHECK(meant("-7d") == "2026-11-15T06:30:15.250Z to 2026-11-15T06:30:15.250Z");
  // The day is that of the zone that is typed.
  CHECK(meant("today 03:12 +1400") == "2026-11-21T13:12:00.000Z to 2026-11-21T13:12:59.999Z");
}

TEST_CASE("times without a zone are of the process' zone", "[tools][time]") {
  {
    const InZone zone("Europe/Athens");
    CHECK(meant("2026-11-21 03:12:40") == "2026-11-21T01:12:40.000Z to 2026-11-21T01:12:40.999Z");
    CHECK(meant("2026-07-21 03:12:40") == "2026-07-21T00:12:40.000Z to 2026-07-21T00:12:40.999Z");
    CHECK(meant("3:12") == "2026-11-22T01:12:00.000Z to 2026-11-22T01:12:59.999Z");
    CHECK(meant("yesterday 03:12") == "2026-11-21T01:12:00.000Z to 2026-11-21T01:12:59.999Z");
    CHECK(meant("yesterday") == "2026-11-20T22:00:00.000Z to 2026-11-21T21:59:59.999Z");
    CHECK(meant("today") == "2026-11-21T22:00:00.000Z to 2026-11-22T21:59:59.999Z");
  }
  {
    const InZone zone("Pacific/Auckland");  // another day there
    CHECK(meant("today 03:12") == "2026-11-21T14:12:00.000Z to 2026-11-21T14:12:59.999Z");
  }
}

TEST_CASE("a time that was twice is both, one that never was is none", "[tools][time]") {
  const InZone zone("Europe/Athens");
  CHECK(meant("2026-10-25 03:30") ==
        "2026-10-25T00:30:00.000Z to 2026-10-25T00:30:59.999Z, 2026-10-25T01:30:00.000Z to "
        "2026-10-25T01:30:59.999Z");
  CHECK(meant("2026-10-25 03:30 +0300") == "2026-10-25T00:30:00.000Z to 2026-10-25T00:30:59.999Z");
  // A day of 25 hours, one of 23.
  CHECK(meant("2026-10-25") == "2026-10-24T21:00:00.000Z to 2026-10-25T21:59:59.999Z");
  CHECK(meant("2026-03-29") == "2026-03-28T22:00:00.000Z to 2026-03-29T20:59:59.999Z");
  CHECK_THAT(fault("2026-03-29 03:30"), Contains("2026-03-29 03:30: that time never was"));
  CHECK(meant("2026-03-29 02:59") == "2026-03-29T00:59:00.000Z to 2026-03-29T00:59:59.999Z");
  CHECK(meant("2026-03-29 04:00") == "2026-03-29T01:00:00.000Z to 2026-03-29T01:00:59.999Z");
  const InZone beirut("Asia/Beirut");  // where midnight is left out
  CHECK(meant("2026-03-29") == "2026-03-28T22:00:00.000Z to 2026-03-29T20:59:59.999Z");
}

TEST_CASE("what is no time is refused, and says what is one", "[tools][time]") {
  const std::string text = GENERATE(
      as<std::string>(), "", " ", "noon", "2026-11", "2026-13-01", "2026-02-29", "2026-11-21 25:00",
      "2026-11-21 03", "2026-11-21 03:1", "2026-11-21 03:60", "2026-11-21 03:12:61", "2026-11-21 03:12:40 +2",
      "2026-11-21 03:12:40 EET", "2026-11-21T", "2026-11-21 03:12:40Z x", "@", "@x", "@1795230760x", "-",
      "-2", "-2y", "now+1h", "nowish", "03:12 yesterday", "21.11.2026", "0000-01-01", "1969-12-31",
      "9999-12-31", "-99999999999999999999w", "-999999999w");
  CAPTURE(text);
  const std::string said = fault(text);
  CHECK(said.starts_with(text + ": "));
  CHECK_THAT(said, Contains("a time is like 2026-11-21T03:12:40Z"));
}

TEST_CASE("lengths of time", "[tools][time]") {
  CHECK(parse_duration("30s") == 30'000);
  CHECK(parse_duration("1h30m") == 5'400'000);
  CHECK(parse_duration("250ms") == 250);
  CHECK(parse_duration("2m") == 120'000);
  CHECK(parse_duration("1w") == 604'800'000);
  CHECK(parse_duration("0s") == 0);
  for (const char* wrong : {"", "30", "s", "1h30", "1.5h", "-1h", "1 h", "1y", "9999999999s", "999999999w"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_duration(wrong), TimeError);
  }
}

TEST_CASE("zones", "[tools][time]") {
  for (const char* wrong : {"", "Europe", "Europe/Atlantis", "/etc/passwd", "../zoneinfo/UTC", "CET+1"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(use_zone(wrong), TimeError);
  }
}

TEST_CASE("what a clock shows means the moment when it does", "[tools][time]") {
  const InZone zone(GENERATE("UTC", "Europe/Athens", "America/New_York", "Australia/Lord_Howe"));
  rc::prop("", [] {
    const auto time = static_cast<std::time_t>(*rc::gen::inRange<int64_t>(86'400, 4'000'000'000));
    std::tm tm{};
    localtime_r(&time, &tm);
    char shown[32];
    RC_ASSERT(std::strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &tm) != 0);
    const auto all = parse_time(shown, kNow);
    const auto ms = static_cast<uint64_t>(time) * 1000;
    RC_ASSERT(std::find(all.begin(), all.end(), TypedTime{ms, ms + 999}) != all.end());
    char with_zone[40];
    RC_ASSERT(std::strftime(with_zone, sizeof with_zone, "%Y-%m-%dT%H:%M:%S%z", &tm) != 0);
    RC_ASSERT((parse_time(with_zone, kNow) == std::vector<TypedTime>{{ms, ms + 999}}));
  });
}
