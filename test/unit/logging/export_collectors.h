/// Collectors to test exports with: real sockets on the loopback address, each with a thread.
#pragma once

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace culvert::logging::test {

/// Whether a condition came true, in no more than a generous time.
inline bool wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; i++) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

/// A socket bound to a port of 127.0.0.1; port 0: any.
inline int bound_socket(int type, uint16_t& port, int receive_buffer = 0) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (receive_buffer != 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(port);
  socklen_t size = sizeof a;
  if (bind(fd, reinterpret_cast<sockaddr*>(&a), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size) != 0)
    throw std::runtime_error("no port");
  port = ntohs(a.sin_port);
  return fd;
}

class UdpCollector {
 public:
  explicit UdpCollector(uint16_t port = 0) : port_(port), fd_(bound_socket(SOCK_DGRAM, port_, 8 << 20)) {
    thread_ = std::thread([this] {
      while (!stop_) {
        pollfd p{fd_, POLLIN, 0};
        char bytes[65536];
        if (poll(&p, 1, 10) <= 0) continue;
        const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
        std::lock_guard lock(mutex_);
        if (n > 0) datagrams_.emplace_back(bytes, n);
      }
    });
  }
  ~UdpCollector() {
    stop_ = true;
    thread_.join();
    close(fd_);
  }
  uint16_t port() const { return port_; }
  std::vector<std::string> datagrams() {
    std::lock_guard lock(mutex_);
    return datagrams_;
  }

 private:
  uint16_t port_;
  int fd_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<std::string> datagrams_;
  std::thread thread_;
};

/// Accepts one connection at a time. How it behaves may change for the next connection.
class StreamCollector {
 public:
  struct Manner {
    size_t close_after =
        SIZE_MAX;  ///< bytes; then it closes without reading on: what it has not read is lost
    bool reads = true;
    bool ends = true;  ///< it ends its half when the other side did
    std::string says;  ///< sends this, again and again, where `floods`
    bool floods = false;
    SSL_CTX* tls = nullptr;  ///< not owned
  };
  explicit StreamCollector(Manner manner, uint16_t port = 0)
      : manner_(std::move(manner)), port_(port), fd_(bound_socket(SOCK_STREAM, port_)) {
    listen(fd_, 5);
    thread_ = std::thread([this] {
      while (!stop_) {
        pollfd p{fd_, POLLIN, 0};
        if (poll(&p, 1, 10) > 0) serve(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
      }
    });
  }
  ~StreamCollector() {
    stop_ = true;
    thread_.join();
    close(fd_);
  }
  uint16_t port() const { return port_; }
  void behave(Manner manner) {
    std::lock_guard lock(mutex_);
    manner_ = std::move(manner);
  }
  /// What each connection brought so far.
  std::vector<std::string> received() {
    std::lock_guard lock(mutex_);
    return received_;
  }

 private:
  void serve(int fd) {
    Manner manner;
    {
      std::lock_guard lock(mutex_);
      manner = manner_;
      received_.emplace_back();
    }
    SSL* ssl = nullptr;
    bool good = true;
    if (manner.tls != nullptr) {
      ssl = SSL_new(manner.tls);
      SSL_set_fd(ssl, fd);
      good = SSL_accept(ssl) == 1;
    }
    if (!manner.says.empty()) send(fd, manner.says.data(), manner.says.size(), MSG_NOSIGNAL);
    while (good && !stop_) {
      if (manner.floods && send(fd, manner.says.data(), manner.says.size(), MSG_NOSIGNAL) < 0) break;
      pollfd p{fd, POLLIN, 0};
      if (!manner.reads || ((ssl == nullptr || SSL_pending(ssl) == 0) && poll(&p, 1, 10) <= 0)) {
        if (!manner.reads) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        continue;
      }
      char bytes[8192];
      const ssize_t n =
          ssl != nullptr ? SSL_read(ssl, bytes, sizeof bytes) : recv(fd, bytes, sizeof bytes, 0);
      if (n <= 0 && !manner.ends) {
        while (!stop_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      if (n <= 0) break;
      std::lock_guard lock(mutex_);
      received_.back().append(bytes, n);
      if (received_.back().size() >= manner.close_after) break;
    }
    if (ssl != nullptr && good) SSL_shutdown(ssl);
    if (ssl != nullptr) SSL_free(ssl);
    close(fd);
  }

  std::mutex mutex_;
  Manner manner_;
  uint16_t port_;
  int fd_;
  std::atomic<bool> stop_{false};
  std::vector<std::string> received_;
  std::thread thread_;
};

}  // namespace culvert::logging::test
