/// The control core's loop: file descriptors (epoll), timers and signals, all served by one thread, so that
/// nothing it calls needs a lock.
///
/// A callback may watch, change and forget any descriptor, its own too. It must not block: what takes long is
/// cut into pieces (a streaming answer writes while its socket takes data and goes on at the next
/// `EPOLLOUT`).
///
/// Thread: the one that calls run(); only `stop()` may be called from elsewhere, also from a signal handler.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace culvert::control {

class EventLoop {
 public:
  /// Throws std::runtime_error when the kernel gives no epoll instance.
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// What happened at a descriptor: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR …
  using Callback = std::function<void(uint32_t events)>;
  /// Calls back whenever one of `events` (level-triggered) holds at `fd`. The descriptor stays the caller's,
  /// who calls forget() before closing it.
  void watch(int fd, uint32_t events, Callback callback);
  /// Other events for a descriptor that is watched.
  void change(int fd, uint32_t events);
  void forget(int fd);

  using TimerId = uint64_t;
  /// Calls back every `period`, first after one period. Missed beats are not made up for.
  TimerId every(std::chrono::milliseconds period, std::function<void()> callback);
  /// Calls back once.
  TimerId after(std::chrono::milliseconds delay, std::function<void()> callback);
  void cancel(TimerId id);

  /// Blocks `number` in this thread (and those it starts later) and calls back here when it comes.
  void on_signal(int number, std::function<void()> callback);

  /// Serves until stop().
  void run();
  /// Serves what is ready now, waiting for at most `wait`.
  void run_once(std::chrono::milliseconds wait);
  /// Makes run() return after the callback it is in. Async-signal-safe.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Timer {
    Clock::time_point due;
    std::chrono::milliseconds period{0};  ///< 0: once
    std::function<void()> callback;
  };
  void run_timers();
  std::chrono::milliseconds until_timer(std::chrono::milliseconds most) const;
  void read_signals();

  int epoll_ = -1;
  int wake_ = -1;     ///< eventfd of stop()
  int signals_ = -1;  ///< signalfd
  std::atomic<bool> stop_{false};
  std::map<int, std::shared_ptr<Callback>> watched_;
  std::map<TimerId, Timer> timers_;
  TimerId next_timer_ = 1;
  std::map<int, std::function<void()>> signal_callbacks_;
};

}  // namespace culvert::control
