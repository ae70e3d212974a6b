#include "logging/export/connection.h"

#include "logging/export/stream_connection.h"
#include "logging/export/udp_connection.h"

namespace culvert::logging {

std::unique_ptr<Connection> make_connection(const ExportConfig& config) {
  if (config.datagrams()) return std::make_unique<UdpConnection>(config);
  return std::make_unique<StreamConnection>(config);
}

}  // namespace culvert::logging
