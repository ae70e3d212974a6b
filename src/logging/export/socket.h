/// A socket of an export: closed with its owner, never blocking, not inherited by other programs.
///
/// Belongs to one thread.
#pragma once

#include <netinet/in.h>

#include <string>

#include "logging/export/config.h"

namespace culvert::logging {

/// An address and port as the socket calls want it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  /// Of a collector. `size` is 0 where the address is none.
  explicit SocketAddress(const ExportConfig& config);
  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

class Socket {
 public:
  Socket() = default;
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// `type`: SOCK_DGRAM or SOCK_STREAM. False: errno says why.
  bool open(int family, int type);
  void close();
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  /// Takes the error that waits at the socket, 0: none.
  int take_error() const;

 private:
  int fd_ = -1;
};

}  // namespace culvert::logging
