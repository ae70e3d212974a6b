/// A collector by UDP (connection.h): each message is a datagram, sent no faster than datagrams_per_second.
///
/// A collector that is gone says so by ICMP, if its machine still runs and nothing on the way drops that:
/// the connection has failed then. The socket lives on, so that the collector sees the same sender, and the
/// encoder's sequence numbers go on; but not after other errors: its own address may be gone.
#pragma once

#include <vector>

#include "logging/export/connection.h"
#include "logging/export/pace.h"
#include "logging/export/socket.h"

namespace culvert::logging {

class UdpConnection : public Connection {
 public:
  explicit UdpConnection(const ExportConfig& config);

  bool open(const StopSignal& stop) override;
  bool send(const Outbox& out, const StopSignal& stop) override;
  bool rest(std::chrono::milliseconds time, const StopSignal& stop) override;
  bool finish() override;
  void close() override {}

  uint64_t sent() const override;
  uint64_t arrived() const override;

 private:
  bool fail(int error);

  SocketAddress address_;
  Socket socket_;
  Pace pace_;
};

}  // namespace culvert::logging
