#include "logging/export/stop_signal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace culvert::logging {

StopSignal::StopSignal() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

StopSignal::~StopSignal() { close(fd_); }

void StopSignal::set() { eventfd_write(fd_, 1); }

bool StopSignal::is_set() const {
  pollfd p{fd_, POLLIN, 0};
  return poll(&p, 1, 0) > 0;
}

StopSignal::Wake StopSignal::wait(int fd, short events, std::chrono::milliseconds time) const {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + time;
  pollfd both[2] = {{fd_, POLLIN, 0}, {fd, events, 0}};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now());
    const int n = poll(both, 2, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (both[0].revents != 0) return Wake::stop;
    if (n > 0) return Wake::ready;
    if (n == 0 || errno != EINTR) return Wake::time;
  }
}

}  // namespace culvert::logging
