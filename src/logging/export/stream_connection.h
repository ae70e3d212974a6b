/// A collector by TCP, with or without TLS (connection.h).
///
/// A collector that takes nothing for 30 s, vanishes from the network, or sends more than a few bytes itself
/// has failed. Certificates and keys are read anew for each connection.
///
/// finish() knows that all has arrived when the other side ends its half after ours: a kernel whose program
/// closed before reading everything resets the connection instead.
#pragma once

#include <optional>

#include "logging/export/byte_stream.h"
#include "logging/export/connection.h"
#include "logging/export/socket.h"

namespace culvert::logging {

class StreamConnection : public Connection {
 public:
  explicit StreamConnection(ExportConfig config);

  bool open(const StopSignal& stop) override;
  bool send(const Outbox& out, const StopSignal& stop) override;
  bool rest(std::chrono::milliseconds time, const StopSignal& stop) override;
  bool finish() override;
  void close() override;

  uint64_t sent() const override { return written_; }
  uint64_t arrived() const override;

 private:
  bool fail(std::string what);
  bool connect(const StopSignal& stop);
  bool begin(const StopSignal& stop);
  bool drain();
  /// Bytes that the collector's kernel has not acknowledged.
  std::optional<uint64_t> unacknowledged() const;

  ExportConfig config_;
  SocketAddress address_;
  Socket socket_;
  std::unique_ptr<ByteStream> stream_;
  uint64_t written_ = 0, received_ = 0;  ///< bytes of this connection
};

}  // namespace culvert::logging
