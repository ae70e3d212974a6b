/// Times as RADIUS servers and people write them.
///
/// FreeRADIUS writes Event-Timestamp (RFC 2869 §5.3) in the local time of its server with the abbreviation of
/// a time zone, which names no zone for sure: IST is India's, Ireland's and Israel's. UTC, GMT and numbers
/// are taken at their word, other abbreviations only where they are those of this process' own time zone
/// ($TZ, or the machine's) at that time. A time whose zone is not known is no time here: an hour's error
/// would give a subscriber's traffic to another.
///
/// Functions of values; any thread while nobody changes $TZ.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace culvert::logging::radius {

/// Seconds since the Unix epoch of "Nov 14 2023 22:13:20 CET", "2023-11-14T22:13:20Z" or "1700000000".
std::optional<uint64_t> parse_event_timestamp(std::string_view text);

/// Seconds of "2026-11-21T01:12:07.5Z", "2026-11-21 01:12:07+01:00", "2026-11-21T01:12" or "2026-11-21"; UTC
/// where no zone is named. Fractions are left out.
std::optional<uint64_t> parse_iso_time(std::string_view text);

}  // namespace culvert::logging::radius
