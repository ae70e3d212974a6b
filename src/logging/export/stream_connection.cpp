#include "logging/export/stream_connection.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

namespace culvert::logging {
namespace {

using namespace std::chrono;
using namespace std::chrono_literals;
using Result = ByteStream::Result;
using Wake = StopSignal::Wake;

constexpr milliseconds kOpenTime = 10s;   ///< for connecting, and again for TLS
constexpr milliseconds kStallTime = 30s;  ///< without a byte taken or acknowledged
constexpr milliseconds kFinishTime = 500ms;
constexpr uint64_t kMostReceived = 65'536;  ///< a collector has nothing to say

bool set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/// A peer that vanished is noticed within a minute, whether something is under way or not.
bool set_options(int fd) {
  return set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
         set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30) && set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10) &&
         set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3) &&
         set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(kStallTime.count()));
}

}  // namespace

StreamConnection::StreamConnection(ExportConfig config) : config_(std::move(config)), address_(config_) {}

bool StreamConnection::fail(std::string what) {
  error_ = std::move(what);
  return false;
}

bool StreamConnection::open(const StopSignal& stop) {
  written_ = received_ = 0;
  if (connect(stop) && begin(stop)) return true;
  close();
  return false;
}

void StreamConnection::close() {
  stream_.reset();
  socket_.close();
}

bool StreamConnection::connect(const StopSignal& stop) {
  if (!socket_.open(address_.family(), SOCK_STREAM) || !set_options(socket_.fd()))
    return fail(std::strerror(errno));
  if (::connect(socket_.fd(), address_.get(), address_.size) == 0) return true;
  if (errno != EINPROGRESS) return fail(std::strerror(errno));
  const Wake wake = stop.wait(socket_.fd(), POLLOUT, kOpenTime);
  if (wake == Wake::time) return fail("does not answer");
  const int error = socket_.take_error();
  if (error != 0) return fail(std::strerror(error));
  return wake == Wake::ready;
}

bool StreamConnection::begin(const StopSignal& stop) {
  try {
    const bool tls = config_.transport == ExportConfig::Transport::tls;
    stream_ = tls ? make_tls_stream(socket_.fd(), config_) : make_plain_stream(socket_.fd());
  } catch (const std::exception& e) {
    return fail(e.what());
  }
  const auto end = steady_clock::now() + kOpenTime;
  for (;;) {
    const Result result = stream_->begin();
    if (result == Result::done) return true;
    if (result == Result::failed) return fail(stream_->error());
    if (result == Result::ended) return fail("ended the connection");
    const auto left = ceil<milliseconds>(end - steady_clock::now());
    const Wake wake = stop.wait(socket_.fd(), result == Result::want_read ? POLLIN : POLLOUT, left);
    if (wake == Wake::time) return fail("does not answer by TLS");
    if (wake == Wake::stop) return false;
  }
}

/// Reads what is there and throws it away.
bool StreamConnection::drain() {
  std::array<char, 4096> bytes;
  for (;;) {
    size_t n = 0;
    switch (stream_->read(bytes.data(), bytes.size(), n)) {
      case Result::done:
        received_ += n;
        if (received_ > kMostReceived) return fail("sends data itself, as no collector does");
        break;
      case Result::want_read:
      case Result::want_write:
        return true;
      case Result::ended:
        return fail("ended the connection");
      case Result::failed:
        return fail(stream_->error());
    }
  }
}

bool StreamConnection::send(const Outbox& out, const StopSignal& stop) {
  auto progress = steady_clock::now();
  for (size_t done = 0; done < out.bytes.size();) {
    if (!drain()) return false;  // where the reason of an end is told, before writing only finds it broken
    size_t n = 0;
    const Result result = stream_->write(out.bytes.data() + done, out.bytes.size() - done, n);
    if (result == Result::done) {
      done += n;
      written_ += n;
      progress = steady_clock::now();
      continue;
    }
    if (result == Result::failed) return fail(stream_->error());
    if (result == Result::ended) return fail("ended the connection");
    const auto left = ceil<milliseconds>(progress + kStallTime - steady_clock::now());
    if (left <= 0ms) return fail("takes nothing any more");
    // One that sends must be read, or it would wait for us as we wait for it.
    const short events = result == Result::want_write ? POLLIN | POLLOUT : POLLIN;
    if (stop.wait(socket_.fd(), events, left) == Wake::stop) return false;
  }
  return true;
}

bool StreamConnection::rest(milliseconds time, const StopSignal& stop) {
  switch (stop.wait(socket_.fd(), POLLIN, time)) {
    case Wake::stop:
      return false;
    case Wake::time:
      return true;
    case Wake::ready:
      return drain();
  }
  return true;
}

bool StreamConnection::finish() {
  const StopSignal never;
  const auto end = steady_clock::now() + kFinishTime;
  stream_->end_writing();
  std::array<char, 4096> bytes;
  for (size_t n = 0; received_ <= kMostReceived; received_ += n) {
    n = 0;
    const Result result = stream_->read(bytes.data(), bytes.size(), n);
    // An end that crossed what was sent last answers nothing.
    if (result == Result::ended) return unacknowledged() == 0;
    if (result == Result::failed) return false;
    if (result == Result::done) continue;
    const auto left = ceil<milliseconds>(end - steady_clock::now());
    if (never.wait(socket_.fd(), POLLIN, left) != Wake::ready) return false;
  }
  return false;
}

std::optional<uint64_t> StreamConnection::unacknowledged() const {
  int bytes = 0;
  if (ioctl(socket_.fd(), SIOCOUTQ, &bytes) != 0 || bytes < 0) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

uint64_t StreamConnection::arrived() const {
  const uint64_t unsure = config_.overlap + unacknowledged().value_or(written_);
  return written_ - std::min(written_, unsure);
}

}  // namespace culvert::logging
