/// Syslog messages (RFC 5424), one for each entry:
///
///     <134>1 2026-11-21T02:45:07.532Z cgn1 culvert 4711 block-allocated [meta sequenceId="1"][culvert@32473
///         event="block-allocated" subscriber="100.64.1.2" ... ordinal="1"] TEXT
///
/// TIMESTAMP is the event's, by the system's clock; MSGID its kind. `sequenceId` (§7.3.1) numbers what this
/// encoder made, repeated events included, from 1 to 2147483647 and again: where a number is missing a
/// datagram is lost. `ordinal` is the event's number in the ledger: the same number is the same event. A gap
/// is told with the MSGID export-gap.
///
/// Over UDP a message is a datagram and cut to max_packet_size (RFC 5426 §3.2); over TCP and TLS its length
/// stands in front (RFC 6587 §3.4.1, RFC 5425 §4.3).
///
/// Belongs to one thread.
#pragma once

#include "logging/export/encoder.h"
#include "logging/export/message_template.h"

namespace culvert::logging {

class SyslogEncoder : public Encoder {
 public:
  /// Of a configuration without fault. `pid`: PROCID.
  SyslogEncoder(const ExportConfig& config, uint32_t pid);

  void begin() override {}
  bool add(const Entry& e, Outbox& out) override;
  void add_gap(uint64_t first, uint64_t last, Outbox& out) override;
  void end(Outbox&) override {}

 private:
  void append_header(unsigned severity, uint64_t time, std::string_view message_id);
  void append_data(const Entry& e);
  void append_message(const Entry& e);
  void put(Outbox& out);

  ExportConfig::Format format_;
  MessageTemplate template_;
  bool structured_data_;
  unsigned facility_;
  size_t max_bytes_;     ///< 0: no limit, and octets are counted
  std::string origin_;   ///< HOSTNAME APP-NAME PROCID, with a space before and behind
  std::string element_;  ///< culvert@32473
  uint32_t sequence_ = 0;
  std::string message_;
};

}  // namespace culvert::logging
