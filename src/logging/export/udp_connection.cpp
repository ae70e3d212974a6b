#include "logging/export/udp_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace culvert::logging {
namespace {

using namespace std::chrono;
using namespace std::chrono_literals;

constexpr milliseconds kRefusalTime{2000};  ///< in which ICMP tells that nobody is there

uint64_t steady_us() {
  return static_cast<uint64_t>(duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count());
}

}  // namespace

UdpConnection::UdpConnection(const ExportConfig& config)
    : address_(config), pace_(config.datagrams_per_second) {}

bool UdpConnection::fail(int error) {
  // Whatever else it is, the address of ours that the socket has may be gone.
  if (error != ECONNREFUSED) socket_.close();
  error_ = error == ECONNREFUSED ? "nobody receives there (ICMP port unreachable)" : std::strerror(error);
  return false;
}

bool UdpConnection::open(const StopSignal&) {
  if (!socket_.is_open()) {
    if (!socket_.open(address_.family(), SOCK_DGRAM)) return fail(errno);
    if (connect(socket_.fd(), address_.get(), address_.size) != 0) return fail(errno);
  }
  socket_.take_error();  // of what was sent before
  return true;
}

bool UdpConnection::send(const Outbox& out, const StopSignal& stop) {
  size_t allowed = 0;
  for (size_t done = 0; done < out.ends.size();) {
    if (allowed == 0) allowed = pace_.take(out.ends.size() - done, steady_us());
    if (allowed != 0) {
      // One by one: sendmmsg(2) drops the error of one in the middle, which is all that we ever hear.
      const size_t begin = done == 0 ? 0 : out.ends[done - 1];
      if (::send(socket_.fd(), out.bytes.data() + begin, out.ends[done] - begin, MSG_NOSIGNAL) >= 0) {
        done++;
        allowed--;
        continue;
      }
      if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR) return fail(errno);
    }
    // The pace's turn, or the interface's queue is full: neither is the collector's fault.
    if (stop.wait(-1, 0, 1ms) == StopSignal::Wake::stop) return false;
  }
  return true;
}

bool UdpConnection::rest(milliseconds time, const StopSignal& stop) {
  switch (stop.wait(socket_.fd(), 0, time)) {  // an error comes unasked
    case StopSignal::Wake::stop:
      return false;
    case StopSignal::Wake::time:
      return true;
    case StopSignal::Wake::ready:
      break;
  }
  const int error = socket_.take_error();
  return error == 0 || fail(error);
}

bool UdpConnection::finish() {
  const int error = socket_.take_error();
  return error == 0 || fail(error);
}

uint64_t UdpConnection::sent() const { return steady_us() / 1000; }

uint64_t UdpConnection::arrived() const {
  const uint64_t now = steady_us() / 1000, unsure = kRefusalTime.count();
  return now - std::min(now, unsure);
}

}  // namespace culvert::logging
