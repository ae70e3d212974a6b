/// Times as people type them, and what they mean: the first and the last millisecond, UTC. `03:12` is all of
/// that minute, `yesterday` all of that day.
///
///     2026-11-21T03:12:40Z    2026-11-21 03:12:40 +0200    2026-11-21 03:12    2026-11-21
///     03:12:40    today    yesterday 03:12    now    -2h    -1h30m    @1763694760
///
/// Without a zone, times are of the zone in $TZ (use_zone() sets it), or else the machine's. A time that was
/// twice there, as a clock was set back at the end of summer, means both; one that never was is an error.
///
/// Functions; the zone is the process', so one thread.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::tools {

/// What cannot be understood; what() names what was typed, and shows what can.
struct TimeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Milliseconds since 1970-01-01 UTC, both included.
struct TypedTime {
  uint64_t first = 0, last = 0;
  bool operator==(const TypedTime&) const = default;
};

/// One, or two where the time was twice. `now`: in ms; what is typed may be relative to it. Throws TimeError.
std::vector<TypedTime> parse_time(std::string_view text, uint64_t now);

/// "30s", "5m", "2h", "1d", "1h30m", in ms. Throws TimeError.
uint64_t parse_duration(std::string_view text);

/// From here on times without a zone are of this one, like "Europe/Athens". Throws TimeError when the machine
/// does not know it.
void use_zone(const std::string& name);

/// "2026-11-21T01:12:40.000Z"
std::string utc_text(uint64_t millis);

}  // namespace culvert::tools
