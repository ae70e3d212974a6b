#include "control/event_loop.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace culvert::control {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (epoll_ < 0 || wake_ < 0) fail("epoll");
  watch(wake_, EPOLLIN, [this](uint32_t) {
    uint64_t n;
    if (read(wake_, &n, sizeof n) < 0) return;
  });
}

EventLoop::~EventLoop() {
  if (signals_ >= 0) close(signals_);
  close(wake_);
  close(epoll_);
}

void EventLoop::watch(int fd, uint32_t events, Callback callback) {
  epoll_event e{};
  e.events = events;
  e.data.fd = fd;
  const bool known = watched_.contains(fd);
  if (epoll_ctl(epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) != 0) fail("epoll_ctl");
  watched_[fd] = std::make_shared<Callback>(std::move(callback));
}

void EventLoop::change(int fd, uint32_t events) {
  epoll_event e{};
  e.events = events;
  e.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &e) != 0) fail("epoll_ctl");
}

void EventLoop::forget(int fd) {
  if (watched_.erase(fd) != 0) epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::every(std::chrono::milliseconds period, std::function<void()> callback) {
  period = std::max(period, std::chrono::milliseconds(1));
  timers_[next_timer_] = Timer{Clock::now() + period, period, std::move(callback)};
  return next_timer_++;
}

EventLoop::TimerId EventLoop::after(std::chrono::milliseconds delay, std::function<void()> callback) {
  timers_[next_timer_] = Timer{Clock::now() + delay, {}, std::move(callback)};
  return next_timer_++;
}

void EventLoop::cancel(TimerId id) { timers_.erase(id); }

void EventLoop::on_signal(int number, std::function<void()> callback) {
  signal_callbacks_[number] = std::move(callback);
  sigset_t set;
  sigemptyset(&set);
  for (const auto& [n, ignored] : signal_callbacks_) sigaddset(&set, n);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) fail("pthread_sigmask");
  const int fd = signalfd(signals_, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) fail("signalfd");
  if (signals_ < 0) {
    signals_ = fd;
    watch(fd, EPOLLIN, [this](uint32_t) { read_signals(); });
  }
}

void EventLoop::read_signals() {
  signalfd_siginfo info;
  while (read(signals_, &info, sizeof info) == sizeof info) {
    const auto it = signal_callbacks_.find(static_cast<int>(info.ssi_signo));
    if (it != signal_callbacks_.end()) it->second();
  }
}

std::chrono::milliseconds EventLoop::until_timer(std::chrono::milliseconds most) const {
  for (const auto& [id, timer] : timers_) {
    most = std::min(most, std::chrono::ceil<std::chrono::milliseconds>(timer.due - Clock::now()));
  }
  return std::max(most, std::chrono::milliseconds(0));
}

void EventLoop::run_timers() {
  const auto now = Clock::now();
  std::vector<TimerId> due;
  for (const auto& [id, timer] : timers_) {
    if (timer.due <= now) due.push_back(id);
  }
  for (TimerId id : due) {
    const auto it = timers_.find(id);
    if (it == timers_.end()) continue;  // cancelled by one before it
    const auto callback = it->second.callback;
    if (it->second.period.count() == 0) {
      timers_.erase(it);
    } else {
      it->second.due = std::max(it->second.due + it->second.period, now);
    }
    callback();
  }
}

void EventLoop::run_once(std::chrono::milliseconds wait) {
  std::array<epoll_event, 64> events;
  const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                           static_cast<int>(until_timer(wait).count()));
  for (int i = 0; i < n; ++i) {
    const auto it = watched_.find(events[static_cast<size_t>(i)].data.fd);
    if (it == watched_.end()) continue;  // forgotten by one before it
    const auto callback = it->second;    // lives until it returns, though it may forget itself
    (*callback)(events[static_cast<size_t>(i)].events);
  }
  run_timers();
}

void EventLoop::run() {
  while (!stop_.load()) run_once(std::chrono::seconds(10));
  stop_ = false;
}

void EventLoop::stop() {
  stop_.store(true);
  const uint64_t one = 1;
  if (write(wake_, &one, sizeof one) < 0) return;  // full: it wakes up anyway
}

}  // namespace culvert::control
