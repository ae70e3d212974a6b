#include "logging/radius/times.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

namespace culvert::logging::radius {
namespace {

/// Latest time that is believed: the year 9999.
constexpr int64_t kEnd = 253'402'300'800;

struct Fields {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

/// Takes what it expects off the front of a text; once something else is there, it stays bad.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  bool good() const { return good_; }
  std::string_view rest() const { return rest_; }

  int number(size_t least, size_t most) {
    size_t n = 0;
    while (n < most && n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') n++;
    int value = 0;
    if (n < least) good_ = false;
    const std::string_view digits = rest_.substr(0, n);
    if (good_) std::from_chars(digits.begin(), digits.end(), value);
    rest_.remove_prefix(n);
    return value;
  }
  bool has(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  void must(std::string_view expected) { good_ = has(expected) && good_; }
  std::string_view take(size_t n) {
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  void clock(Fields& f) {
    f.hour = number(2, 2);
    must(":");
    f.minute = number(2, 2);
    if (!has(":")) return;
    f.second = number(2, 2);
    if (has(".")) number(1, 9);
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::optional<int64_t> seconds_of(const Fields& f) {
  using namespace std::chrono;
  const year_month_day date{year(f.year), month(static_cast<unsigned>(f.month)),
                            day(static_cast<unsigned>(f.day))};
  // 60: a leap second.
  if (!date.ok() || f.hour > 23 || f.minute > 59 || f.second > 60) return std::nullopt;
  const auto days = sys_days(date).time_since_epoch().count();
  return int64_t{days} * 86400 + f.hour * 3600 + f.minute * 60 + f.second;
}

/// "+01:00", "-0330", "+03": seconds east of Greenwich.
std::optional<int64_t> offset_of(std::string_view zone) {
  const bool west = zone.starts_with('-');
  if (!west && !zone.starts_with('+')) return std::nullopt;
  Scanner in(zone.substr(1));
  const int hours = in.number(2, 2);
  in.has(":");
  const int minutes = in.rest().empty() ? 0 : in.number(2, 2);
  if (!in.good() || !in.rest().empty() || hours > 26 || minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (hours * 3600 + minutes * 60);
}

/// By this process' time zone: the time whose local form this is, abbreviation included. That also tells the
/// two hours apart which are one when the clock is set back.
std::optional<int64_t> local_seconds(const Fields& f, std::string_view zone) {
  for (const int summer : {0, 1}) {
    std::tm t{};
    t.tm_year = f.year - 1900;
    t.tm_mon = f.month - 1;
    t.tm_mday = f.day;
    t.tm_hour = f.hour;
    t.tm_min = f.minute;
    t.tm_sec = f.second;
    t.tm_isdst = summer;
    const time_t at = mktime(&t);
    std::tm back{};
    if (at == -1 || localtime_r(&at, &back) == nullptr) continue;
    if (back.tm_hour == f.hour && back.tm_min == f.minute && back.tm_mday == f.day && zone == back.tm_zone)
      return at;
  }
  return std::nullopt;
}

std::optional<uint64_t> in_zone(const Fields& f, std::string_view zone) {
  auto seconds = seconds_of(f);
  if (!seconds) return std::nullopt;
  if (const auto offset = offset_of(zone))
    *seconds -= *offset;
  else if (zone != "UTC" && zone != "GMT" && zone != "Z" && !zone.empty())
    seconds = local_seconds(f, zone);
  if (!seconds || *seconds < 0 || *seconds >= kEnd) return std::nullopt;
  return static_cast<uint64_t>(*seconds);
}

}  // namespace

std::optional<uint64_t> parse_iso_time(std::string_view text) {
  Scanner in(text);
  Fields f;
  f.year = in.number(4, 4);
  in.must("-");
  f.month = in.number(2, 2);
  in.must("-");
  f.day = in.number(2, 2);
  if (!in.rest().empty()) {
    if (!in.has("T")) in.must(" ");
    in.clock(f);
  }
  std::string_view zone = in.rest();
  if (zone.starts_with(' ')) zone.remove_prefix(1);
  const bool known = zone.empty() || zone == "Z" || zone == "UTC" || offset_of(zone);
  return in.good() && known ? in_zone(f, zone) : std::nullopt;
}

std::optional<uint64_t> parse_event_timestamp(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size())
    return number < kEnd ? std::optional(number) : std::nullopt;

  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  Scanner in(text);
  Fields f;
  const auto month = std::find(kMonths.begin(), kMonths.end(), in.take(3));
  if (month == kMonths.end()) return parse_iso_time(text);
  f.month = static_cast<int>(month - kMonths.begin()) + 1;
  in.must(" ");
  in.has(" ");
  f.day = in.number(1, 2);
  in.must(" ");
  f.year = in.number(4, 4);
  in.must(" ");
  in.clock(f);
  in.must(" ");
  return in.good() && !in.rest().empty() ? in_zone(f, in.rest()) : std::nullopt;
}

}  // namespace culvert::logging::radius
