#include "typed_time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "logging/entry_fields.h"

namespace culvert::tools {
namespace {

constexpr int64_t kSecond = 1000, kDay = 86'400;  ///< ms; s
constexpr int64_t kLongest = 100'000 * kDay * kSecond;
/// Years beyond are mistyped.
constexpr int kFirstYear = 1970, kLastYear = 9998;

[[noreturn]] void fail(std::string_view text, std::string_view why) {
  throw TimeError(fmt::format(
      "{}: {}; a time is like 2026-11-21T03:12:40Z, \"2026-11-21 03:12\", \"yesterday 03:12:40 +0200\", now, "
      "-2h or @1763694760",
      text, why));
}

/// Reads a typed text from left to right.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { skip_spaces(); }

  bool done() const { return text_.empty(); }
  void skip_spaces() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
  }
  bool take(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  /// A number of `least` to `most` digits.
  std::optional<int64_t> number(size_t least, size_t most) {
    size_t n = 0;
    while (n < text_.size() && n < most && text_[n] >= '0' && text_[n] <= '9') n++;
    if (n < least) return std::nullopt;
    int64_t value = 0;
    const std::string_view digits = text_.substr(0, n);
    std::from_chars(digits.begin(), digits.end(), value);
    text_.remove_prefix(n);
    return value;
  }
  /// Digits behind a point, as ms; `digits`: how many.
  int64_t fraction(size_t& digits) {
    int64_t ms = 0;
    for (digits = 0; !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; digits++) {
      if (digits < 3) ms = 10 * ms + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    for (size_t n = digits; n < 3; n++) ms *= 10;
    return ms;
  }
  std::string_view rest() const { return text_; }

 private:
  std::string_view text_;
};

struct Date {
  int year = 0, month = 0, day = 0;
};

/// Seconds since the epoch of a date and time in UTC.
int64_t utc(const Date& d, int64_t second_of_day) {
  std::tm tm{};
  tm.tm_year = d.year - 1900;
  tm.tm_mon = d.month - 1;
  tm.tm_mday = d.day;
  return timegm(&tm) + second_of_day;
}
/// How far a zone's clocks are ahead of UTC, in s.
int64_t ahead(int64_t time) {
  const std::time_t t = time;
  std::tm tm{};
  localtime_r(&t, &tm);
  return tm.tm_gmtoff;
}
Date date_of(int64_t local) {
  const std::time_t t = local;
  std::tm tm{};
  gmtime_r(&t, &tm);
  return {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday};
}
bool exists(const Date& d) {
  const Date same = date_of(utc(d, 0));
  return d.year >= kFirstYear && d.year <= kLastYear && same.month == d.month && same.day == d.day;
}

/// When clocks in the zone showed this; `zone`: how far it is ahead, none: the process'. Empty: never.
std::set<int64_t> moments(int64_t local, const std::optional<int64_t>& zone) {
  if (zone) return {local - *zone};
  // What is ahead changes at most once within two days.
  std::set<int64_t> found;
  for (const int64_t day : {-kDay, int64_t{0}, kDay})
    if (const int64_t t = local - ahead(local + day); t + ahead(t) == local) found.insert(t);
  return found;
}

/// When a day began: where its midnight was left out, with the first second that was.
int64_t day_begin(const Date& d, const std::optional<int64_t>& zone, int64_t days) {
  const int64_t local = utc(d, days * kDay);
  const std::set<int64_t> at = moments(local, zone);
  return at.empty() ? local - ahead(local - kDay) : *at.begin();
}

TypedTime span(int64_t first, int64_t end) {
  if (first < 0) first = 0;
  return {static_cast<uint64_t>(first), static_cast<uint64_t>(std::max(first, end - 1))};
}

/// What stands behind the zone's sign.
std::optional<int64_t> take_offset(Words& in) {
  const auto hours = in.number(2, 2);
  in.take(":");
  const auto minutes = in.number(2, 2);
  if (!hours || !minutes || *hours > 14 || *minutes > 59) return std::nullopt;
  return *hours * 3600 + *minutes * 60;
}

class Parser {
 public:
  Parser(std::string_view text, uint64_t now) : text_(text), in_(text), now_(static_cast<int64_t>(now)) {}

  std::vector<TypedTime> parse() {
    if (in_.take("now")) {
      const int64_t back = in_.done() ? 0 : relative();
      return {span(now_ - back, now_ - back + 1)};
    }
    if (in_.rest().starts_with("-")) {
      const int64_t back = relative();
      return {span(now_ - back, now_ - back + 1)};
    }
    if (in_.take("@")) return {epoch()};
    take_date();
    in_.skip_spaces();
    take_time();
    in_.skip_spaces();
    take_zone();
    if (!in_.done()) fail(text_, fmt::format("\"{}\" is more than a time", in_.rest()));
    if (!date_) {
      const int64_t seconds = now_ / kSecond;
      date_ = date_of(seconds + zone_.value_or(ahead(seconds)) - days_ago_ * kDay);
    }
    return spans();
  }

 private:
  int64_t relative() {
    if (!in_.take("-")) fail(text_, "is no time");
    try {
      return static_cast<int64_t>(parse_duration(in_.rest()));
    } catch (const TimeError& e) {
      fail(text_, "is no time");
    }
  }

  TypedTime epoch() {
    const auto seconds = in_.number(1, 12);
    if (!seconds) fail(text_, "seconds since 1970 are needed behind @");
    size_t digits = 0;
    const int64_t ms = in_.take(".") ? in_.fraction(digits) : 0;
    if (!in_.done()) fail(text_, "is no number of seconds");
    return with_fraction(*seconds * kSecond, ms, digits);
  }
  static TypedTime with_fraction(int64_t at, int64_t ms, size_t digits) {
    constexpr std::array<int64_t, 4> kLength = {1000, 100, 10, 1};
    return span(at + ms, at + ms + kLength[std::min<size_t>(digits, 3)]);
  }

  void take_date() {
    if (in_.take("today")) return has_date_ = true, void();
    if (in_.take("yesterday")) return has_date_ = true, days_ago_ = 1, void();
    Words ahead_of = in_;
    const auto year = ahead_of.number(4, 4);
    if (!year || !ahead_of.take("-")) return;
    const auto month = ahead_of.number(2, 2);
    if (!month || !ahead_of.take("-")) fail(text_, "a date is YYYY-MM-DD");
    const auto day = ahead_of.number(2, 2);
    if (!day) fail(text_, "a date is YYYY-MM-DD");
    date_ = Date{static_cast<int>(*year), static_cast<int>(*month), static_cast<int>(*day)};
    if (!exists(*date_)) fail(text_, "there is no such date");
    has_date_ = true;
    in_ = ahead_of;
    needs_time_ = in_.take("T");
  }

  void take_time() {
    const auto hours = in_.number(1, 2);
    if (!hours) {
      if (!has_date_ || needs_time_) fail(text_, "is no time");
      return;
    }
    const auto minutes = in_.take(":") ? in_.number(2, 2) : std::nullopt;
    if (!minutes) fail(text_, "a time of day is HH:MM or HH:MM:SS");
    int64_t seconds = 0;
    length_ = 60 * kSecond;
    if (in_.take(":")) {
      const auto s = in_.number(2, 2);
      if (!s) fail(text_, "a time of day is HH:MM or HH:MM:SS");
      seconds = *s;
      length_ = kSecond;
      if (in_.take(".")) ms_ = in_.fraction(digits_);
    }
    if (*hours > 23 || *minutes > 59 || seconds > 59) fail(text_, "there is no such time of day");
    second_of_day_ = *hours * 3600 + *minutes * 60 + seconds;
  }

  void take_zone() {
    if (in_.take("Z") || in_.take("UTC")) {
      zone_ = 0;
    } else if (const bool east = in_.take("+"); east || in_.take("-")) {
      const auto offset = take_offset(in_);
      if (!offset) fail(text_, "a zone is Z, +02:00 or +0200; others by --tz, like --tz Europe/Athens");
      zone_ = east ? *offset : -*offset;
    }
  }

  std::vector<TypedTime> spans() const {
    if (!second_of_day_)
      return {span(day_begin(*date_, zone_, 0) * kSecond, day_begin(*date_, zone_, 1) * kSecond)};
    std::vector<TypedTime> all;
    for (const int64_t t : moments(utc(*date_, *second_of_day_), zone_))
      all.push_back(digits_ != 0 ? with_fraction(t * kSecond, ms_, digits_)
                                 : span(t * kSecond, t * kSecond + length_));
    if (all.empty())
      fail(text_, "that time never was: clocks were set forward over it (say which zone, if it is another)");
    return all;
  }

  std::string_view text_;
  Words in_;
  int64_t now_;
  bool has_date_ = false, needs_time_ = false;
  int64_t days_ago_ = 0;
  std::optional<Date> date_;
  std::optional<int64_t> second_of_day_, zone_;
  int64_t length_ = 0, ms_ = 0;  ///< ms
  size_t digits_ = 0;            ///< behind the seconds' point
};

}  // namespace

std::vector<TypedTime> parse_time(std::string_view text, uint64_t now) { return Parser(text, now).parse(); }

uint64_t parse_duration(std::string_view text) {
  const auto refuse = [&] {
    throw TimeError(fmt::format("{}: is no length of time; one is like 30s, 5m, 2h, 1h30m or 7d", text));
  };
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {{"ms", 1},
                                                             {"s", kSecond},
                                                             {"m", 60 * kSecond},
                                                             {"h", 3600 * kSecond},
                                                             {"d", kDay * kSecond},
                                                             {"w", 7 * kDay * kSecond}};
  Words in(text);
  int64_t sum = 0;
  if (in.done()) refuse();
  while (!in.done()) {
    const auto n = in.number(1, 9);
    const auto* unit = n ? std::begin(kUnits) : std::end(kUnits);
    while (unit != std::end(kUnits) && !in.take(unit->first)) ++unit;
    if (unit == std::end(kUnits)) refuse();
    sum += *n * unit->second;
    if (sum > kLongest) refuse();
  }
  return static_cast<uint64_t>(sum);
}

void use_zone(const std::string& name) {
  const char* directory = std::getenv("TZDIR");
  const std::filesystem::path zones = directory != nullptr ? directory : "/usr/share/zoneinfo";
  std::error_code ignored;
  if (name != "UTC" && (name.empty() || name.front() == '/' || name.find("..") != std::string::npos ||
                        !std::filesystem::is_regular_file(zones / name, ignored)))
    throw TimeError(fmt::format("{}: no such time zone; one is like Europe/Athens (the names in {})", name,
                                zones.string()));
  setenv("TZ", name.c_str(), 1);
  tzset();
}

std::string utc_text(uint64_t millis) {
  std::string text;
  logging::append_time(text, millis);
  return text;
}

}  // namespace culvert::tools
