#include "logging/export/socket.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace culvert::logging {

SocketAddress::SocketAddress(const ExportConfig& config) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, config.address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(config.port);
    std::memcpy(&storage, &v4, size = sizeof v4);
  } else if (inet_pton(AF_INET6, config.address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(config.port);
    std::memcpy(&storage, &v6, size = sizeof v6);
  }
}

bool Socket::open(int family, int type) {
  close();
  fd_ = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd_ >= 0;
}

void Socket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

int Socket::take_error() const {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace culvert::logging
