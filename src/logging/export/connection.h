/// The way to a collector. An exporter has one, opens it, sends, and opens it again when something failed.
///
/// No collector can hold it up for ever: every wait has an end, and ends at once when the exporter is to
/// stop. What a collector sends back is read and thrown away.
///
/// No transport says which events arrived, so a connection counts with marks: sent() is a number that only
/// grows, and arrived() is the mark up to which all that was sent can be taken as read by the collector.
/// What lies between is sent again after a failure (unconfirmed.h).
///
///   - TCP and TLS: marks are bytes. Taken as arrived is what TCP acknowledged (SIOCOUTQ tells what it did
///     not), less `overlap` bytes, which may still be in the collector's receive buffer and go with it.
///   - UDP: marks are milliseconds. A collector that is not there shows itself by ICMP, seconds later at most
///     (Linux sends one a second): what was sent before that is taken as arrived, though nobody knows.
///
/// Belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "logging/export/config.h"
#include "logging/export/encoder.h"
#include "logging/export/stop_signal.h"

namespace culvert::logging {

class Connection {
 public:
  virtual ~Connection() = default;

  /// These return false when it failed, as error() says, or the stop signal came.
  virtual bool open(const StopSignal& stop) = 0;
  /// Sends all that is in the outbox.
  virtual bool send(const Outbox& out, const StopSignal& stop) = 0;
  /// Waits; false also when the collector ended the connection.
  virtual bool rest(std::chrono::milliseconds time, const StopSignal& stop) = 0;
  /// Ends an open connection in order, within a second. True: everything sent has arrived; over UDP: nobody
  /// said that it has not.
  virtual bool finish() = 0;
  /// Ends it at once.
  virtual void close() = 0;

  virtual uint64_t sent() const = 0;
  virtual uint64_t arrived() const = 0;
  const std::string& error() const { return error_; }

 protected:
  std::string error_;
};

/// The connection of a configuration without fault, not open yet.
std::unique_ptr<Connection> make_connection(const ExportConfig& config);

}  // namespace culvert::logging
