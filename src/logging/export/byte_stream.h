/// A connected TCP socket, with or without TLS: bytes out, bytes in, never waiting. Who calls waits for what
/// a Result says (stream_connection.h).
///
/// Belongs to one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "logging/export/config.h"

namespace culvert::logging {

class ByteStream {
 public:
  enum class Result : uint8_t {
    done,
    want_read,   ///< try again when the socket can be read
    want_write,  ///< or written
    ended,       ///< the other side ended in order
    failed,      ///< error() says why
  };
  virtual ~ByteStream() = default;

  /// Until done: what is needed before the first byte.
  virtual Result begin() = 0;
  /// `n`: how many bytes were taken.
  virtual Result write(const char* data, size_t size, size_t& n) = 0;
  virtual Result read(char* data, size_t size, size_t& n) = 0;
  /// Tells the other side that nothing follows. It may answer with bytes still.
  virtual void end_writing() = 0;
  const std::string& error() const { return error_; }

 protected:
  std::string error_;
};

/// `fd` is connected, or will be soon; it is not owned. Throws std::runtime_error when TLS lacks something:
/// the file, and what is wrong with it.
std::unique_ptr<ByteStream> make_plain_stream(int fd);
std::unique_ptr<ByteStream> make_tls_stream(int fd, const ExportConfig& config);

}  // namespace culvert::logging
