/// A network namespace that the test's thread is in for a while. The kernel removes it with everything in it
/// when the thread leaves it or dies.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

namespace culvert::test {

class NetworkNamespace {
 public:
  NetworkNamespace() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    entered_ = geteuid() == 0 && before_ >= 0 && unshare(CLONE_NEWNET) == 0;
  }
  ~NetworkNamespace() {
    if (entered_) setns(before_, CLONE_NEWNET);
    if (before_ >= 0) close(before_);
  }
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;
  /// False without the right to; the test has nothing to say then.
  explicit operator bool() const { return entered_; }

 private:
  int before_;
  bool entered_ = false;
};

}  // namespace culvert::test
