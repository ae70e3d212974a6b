/// A bar on stderr while long work goes on; on a terminal only, and not before half a second.
///
/// Belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace culvert::tools {

class Progress {
 public:
  /// `doing`: one word or two. `total`: of whatever is counted, bytes for one; 0: not known.
  Progress(std::string doing, uint64_t total);
  /// Takes the bar away.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// So much is done.
  void at(uint64_t done);
  /// Takes the bar away until the next at(), so that something else can be printed.
  void hide();

 private:
  using Clock = std::chrono::steady_clock;

  std::string doing_;
  uint64_t total_;
  bool terminal_, shown_ = false;
  Clock::time_point began_, next_;
};

}  // namespace culvert::tools
