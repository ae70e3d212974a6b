#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "table.h"

namespace culvert::tools {
namespace {

using namespace std::chrono_literals;

constexpr size_t kWidth = 30;  ///< of the bar, in columns

}  // namespace

Progress::Progress(std::string doing, uint64_t total)
    : doing_(std::move(doing)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      began_(Clock::now()),
      next_(began_ + 500ms) {}

Progress::~Progress() { hide(); }

void Progress::at(uint64_t done) {
  if (!terminal_ || total_ == 0) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + 200ms;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  const auto full = static_cast<size_t>(part * kWidth);
  std::string line = fmt::format("\r{} [{}{}] {:.0f}%", doing_, std::string(full, '#'),
                                 std::string(kWidth - full, '.'), 100 * part);
  const double seconds = std::chrono::duration<double>(now - began_).count();
  if (part > 0.01)
    line += fmt::format(", {} to go", duration_text(static_cast<int64_t>(seconds / part * (1 - part))));
  line += "\x1b[K";
  std::fputs(line.c_str(), stderr);
  shown_ = true;
}

void Progress::hide() {
  if (std::exchange(shown_, false)) std::fputs("\r\x1b[K", stderr);
}

}  // namespace culvert::tools
