/// Reading FreeRADIUS detail files (rlm_detail, versions 2 to 3):
///
///     Sun Nov 22 05:45:52 2026
///             Acct-Status-Type = Start
///             User-Name = "alice \"x\" \303\251"
///             ADSL-Agent-Circuit-Id = 0x6f6c7431
///             Timestamp = 1795326352
///     (an empty line)
///
/// A record is a line that is not indented, whatever it says, then attributes, each on an indented line, then
/// an empty line. The server may be writing while we read: what has no empty line behind it yet is unfinished
/// and left for the next time. A record cut off by a crash is recognised by the next one's first line, or by
/// what is wrong in it, and dropped: half a record might name the wrong subscriber.
///
/// Bytes come in pieces of any size; one record is kept. Hostile bytes cost their records, nothing else.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "logging/radius/record.h"

namespace culvert::logging::radius {

/// What was found while reading.
struct Tally {
  uint64_t records = 0;         ///< of accounting, handed over
  uint64_t not_accounting = 0;  ///< other packets', or of an Acct-Status-Type that is no session's
  uint64_t wrong = 0;           ///< dropped
  uint64_t unknown_zone = 0;    ///< records with an Event-Timestamp of a time zone not known here
  uint64_t wild_clock = 0;      ///< records whose Event-Timestamp is more than a day off
  /// The first wrong record: its first line (from 1), and what is wrong.
  uint64_t wrong_line = 0;
  const char* wrong_why = nullptr;
  uint64_t unknown_zone_line = 0, wild_clock_line = 0;  ///< the first records of these
};

/// A place between two records of a file.
struct Place {
  uint64_t offset = 0;  ///< bytes before it
  uint64_t lines = 0;   ///< lines before it
  bool operator==(const Place&) const = default;
};

class DetailReader {
 public:
  /// Begins at a place where a record begins. `on_record` gets each accounting record; it is good during the
  /// call.
  explicit DetailReader(std::function<void(const Record&)> on_record, const Place& start = {});

  void feed(std::string_view bytes);
  /// Behind the last record that is finished.
  const Place& whole() const { return whole_; }
  const Tally& tally() const { return tally_; }

  /// Longer lines are wrong.
  static constexpr size_t kMaxLine = 16384;

 private:
  void line(std::string_view text);
  void attribute(std::string_view text);
  void begin();
  void end();

  std::function<void(const Record&)> on_record_;
  RecordBuilder builder_;
  Tally tally_;
  Place at_, whole_;
  std::string partial_;     ///< a line whose end has not come yet
  bool too_long_ = false;   ///< that line is longer than kMaxLine: its bytes are not kept
  bool in_record_ = false;  ///< lines since the last empty one
  bool headed_ = false;     ///< the first of them was not indented
  uint64_t first_line_ = 0;
  std::string unescaped_;
};

}  // namespace culvert::logging::radius
