/// What culvertd tells its operator: lines with a level, to stderr or the journal.
///
/// With $JOURNAL_STREAM set (systemd started us) a line begins with sd-daemon(3)'s `<N>` priority and the
/// journal adds the time; otherwise with a timestamp and the level. A line is written by one write(2), so
/// that lines of different threads never mix. What is put on record is not told here: that is the ledger's.
///
/// Thread: any.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

namespace culvert::control {

/// In sd-daemon(3)'s numbers.
enum class Level : uint8_t { error = 3, warning = 4, info = 6, debug = 7 };

std::string_view name_of(Level level);
std::optional<Level> parse_level(std::string_view name);

class Log {
 public:
  explicit Log(Level least = Level::info, int fd = 2);

  void set_level(Level least) { least_.store(least, std::memory_order_relaxed); }
  Level level() const { return least_.load(std::memory_order_relaxed); }
  bool shows(Level level) const { return level <= least_.load(std::memory_order_relaxed); }
  /// One line; line breaks inside become separate lines of the same level.
  void write(Level level, std::string_view text);

  template <typename... A>
  void error(fmt::format_string<A...> f, A&&... a) {
    say(Level::error, f, std::forward<A>(a)...);
  }
  template <typename... A>
  void warning(fmt::format_string<A...> f, A&&... a) {
    say(Level::warning, f, std::forward<A>(a)...);
  }
  template <typename... A>
  void info(fmt::format_string<A...> f, A&&... a) {
    say(Level::info, f, std::forward<A>(a)...);
  }
  template <typename... A>
  void debug(fmt::format_string<A...> f, A&&... a) {
    say(Level::debug, f, std::forward<A>(a)...);
  }

 private:
  template <typename... A>
  void say(Level level, fmt::format_string<A...> f, A&&... a) {
    if (shows(level)) write(level, fmt::format(f, std::forward<A>(a)...));
  }

  std::atomic<Level> least_;
  int fd_;
  bool journal_;
};

}  // namespace culvert::control
