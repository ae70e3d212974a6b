#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "logging/export/byte_stream.h"

namespace culvert::logging {
namespace {

class PlainStream : public ByteStream {
 public:
  explicit PlainStream(int fd) : fd_(fd) {}

  Result begin() override { return Result::done; }
  Result write(const char* data, size_t size, size_t& n) override {
    const ssize_t done = ::send(fd_, data, size, MSG_NOSIGNAL);
    if (done < 0) return failed(Result::want_write);
    n = static_cast<size_t>(done);
    return Result::done;
  }
  Result read(char* data, size_t size, size_t& n) override {
    const ssize_t done = ::recv(fd_, data, size, 0);
    if (done < 0) return failed(Result::want_read);
    n = static_cast<size_t>(done);
    return done == 0 ? Result::ended : Result::done;
  }
  void end_writing() override { shutdown(fd_, SHUT_WR); }

 private:
  Result failed(Result again) {
    if (errno == EAGAIN || errno == EINTR) return again;
    error_ = std::strerror(errno);
    return Result::failed;
  }
  int fd_;
};

}  // namespace

std::unique_ptr<ByteStream> make_plain_stream(int fd) { return std::make_unique<PlainStream>(fd); }

}  // namespace culvert::logging
