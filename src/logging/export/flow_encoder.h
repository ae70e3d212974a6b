/// IPFIX messages (RFC 7011) and NetFlow v9 packets (RFC 3954): a header, the templates when they are due,
/// and as many records as there is room for. The two differ in their headers, in the numbers of their sets,
/// and in what they count:
///
///   - IPFIX's sequence number is the number of data records sent before in this transport session
///     (RFC 7011 §3.1): it begins anew with every connection over TCP;
///   - NetFlow v9's is the number of packets sent before (RFC 3954 §5.1), whatever the connection.
///
/// Over UDP a message fits max_packet_size and templates are sent again by time and count (RFC 7011 §8.4,
/// RFC 3954 §9); over TCP they are sent once a connection (RFC 7011 §10.4.2) and messages are larger. RFC
/// 3954 says nothing of TCP: packets follow each other, and a packet ends with the record that completes its
/// count.
///
/// IPFIX tells a gap by the Exporting Process Reliability Statistics (RFC 7011 §4.3): notSentFlowTotalCount.
/// NetFlow v9 has nothing for that; flowId shows it.
///
/// Belongs to one thread.
#pragma once

#include "logging/export/encoder.h"
#include "logging/export/nat_records.h"

namespace culvert::logging {

class FlowEncoder : public Encoder {
 public:
  /// Of a configuration without fault.
  explicit FlowEncoder(const ExportConfig& config);

  void begin() override;
  bool add(const Entry& e, Outbox& out) override;
  void add_gap(uint64_t first, uint64_t last, Outbox& out) override;
  void end(Outbox& out) override;

 private:
  void open_message();
  void open_set(uint16_t id);
  void close_set();
  /// A record of so many bytes is about to follow in the set `id`: sees to it that there is room.
  void make_room(uint16_t id, size_t bytes, Outbox& out);
  void append_templates(Outbox& out);
  void append_reliability(Outbox& out);
  bool templates_due() const;

  bool ipfix_, datagrams_;
  uint32_t domain_;
  size_t max_bytes_;
  uint64_t refresh_ms_;
  uint32_t refresh_messages_;

  std::string message_;  ///< being made; empty: none
  size_t set_ = 0;       ///< where its last set begins, 0: none is open
  uint16_t set_id_ = 0;
  uint16_t records_ = 0;       ///< in it, templates too
  uint32_t data_records_ = 0;  ///< in it, without templates
  uint32_t sequence_ = 0;

  bool templates_sent_ = false;
  uint64_t templates_at_ = 0;    ///< when
  uint32_t messages_since_ = 0;  ///< templates were sent
  uint64_t lost_below_ = 0;      ///< events that were counted in lost_ lie below
  uint64_t lost_ = 0;            ///< events that the collector never gets
};

}  // namespace culvert::logging
