#include "control/log.h"

#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace culvert::control {
namespace {

constexpr std::pair<Level, std::string_view> kNames[] = {
    {Level::error, "error"}, {Level::warning, "warning"}, {Level::info, "info"}, {Level::debug, "debug"}};

std::string timestamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm t{};
  localtime_r(&now.tv_sec, &t);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                     t.tm_hour, t.tm_min, t.tm_sec, now.tv_nsec / 1'000'000);
}

}  // namespace

std::string_view name_of(Level level) {
  for (const auto& [l, name] : kNames) {
    if (l == level) return name;
  }
  return "unknown";
}

std::optional<Level> parse_level(std::string_view name) {
  for (const auto& [level, n] : kNames) {
    if (n == name) return level;
  }
  return std::nullopt;
}

Log::Log(Level least, int fd) : least_(least), fd_(fd), journal_(std::getenv("JOURNAL_STREAM") != nullptr) {}

void Log::write(Level level, std::string_view text) {
  if (!shows(level)) return;
  const std::string before = journal_ ? fmt::format("<{}>", static_cast<int>(level))
                                      : fmt::format("{} {:<7} ", timestamp(), name_of(level));
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out += before;
    out += text.substr(0, end);
    out += '\n';
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  for (size_t done = 0; done < out.size();) {
    const ssize_t n = ::write(fd_, out.data() + done, out.size() - done);
    if (n <= 0) return;  // nobody left to tell
    done += static_cast<size_t>(n);
  }
}

}  // namespace culvert::control
