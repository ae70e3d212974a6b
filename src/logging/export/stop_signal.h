/// Tells a thread to end, wherever it waits: the descriptor is readable from then on, for ever.
///
/// set() from any thread.
#pragma once

#include <chrono>

namespace culvert::logging {

class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  void set();
  bool is_set() const;

  enum class Wake { ready, time, stop };
  /// Waits until a descriptor has one of these poll(2) events, an error or an end, the time is over, or the
  /// signal comes. fd -1: only for the time.
  Wake wait(int fd, short events, std::chrono::milliseconds time) const;

 private:
  int fd_;
};

}  // namespace culvert::logging
