/// An Entry as a record of IPFIX or NetFlow v9: the NAT events of RFC 8158. Each kind of entry has a
/// template: a list of information elements (IANA's numbers, which NetFlow v9 shares), each with the bytes
/// it takes and a function that writes them.
///
/// Beyond RFC 8158 every record has flowId (148), the event's ordinal in the ledger: the same number is the
/// same event. natInstanceID (463) is the CRC-32C of the instance's name, so that it is the same after every
/// restart and change of the configuration.
///
/// Functions of values; any thread. Bytes are in network order.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "logging/entry.h"

namespace culvert::logging {

struct RecordField {
  uint16_t element = 0;
  uint16_t bytes = 0;
  void (*write)(std::string& out, const Entry& e) = nullptr;
};

struct RecordTemplate {
  uint16_t id = 0;  ///< from 256 on (RFC 7011 §3.4.1)
  std::span<const RecordField> fields;

  size_t record_bytes() const;
  void append_record(std::string& out, const Entry& e) const;
};

/// All that template_of() may give.
std::span<const RecordTemplate> record_templates();
/// nullptr: RFC 8158 has no event for this, and none is sent: what is not about a subscriber's ports, and
/// refusals for want of something that is no port, mapping or session.
const RecordTemplate* template_of(const Entry& e);

/// Numbers in network order, of `bytes` bytes.
void append_big_endian(std::string& out, uint64_t n, unsigned bytes);

}  // namespace culvert::logging
