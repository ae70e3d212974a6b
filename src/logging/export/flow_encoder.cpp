#include "logging/export/flow_encoder.h"

#include <algorithm>

namespace culvert::logging {
namespace {

constexpr uint16_t kIpfix = 10, kNetflow9 = 9;
constexpr size_t kSetHeader = 4;
/// Set IDs: RFC 7011 §3.3.2, RFC 3954 §5.2.
constexpr uint16_t kIpfixTemplates = 2, kIpfixOptionsTemplates = 3, kNetflow9Templates = 0;
/// Of a message over TCP. RFC 7011 allows 65535.
constexpr size_t kStreamBytes = 16'384;

constexpr uint16_t kReliability = 512;  ///< template of the Exporting Process Reliability Statistics
constexpr uint16_t kExportingProcessId = 144, kNotSentFlowTotalCount = 166;
constexpr size_t kReliabilityBytes = 4 + 8;

void overwrite(std::string& message, size_t at, uint64_t n, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) message[at + i] = static_cast<char>(n >> (8 * (bytes - 1 - i)));
}

}  // namespace

FlowEncoder::FlowEncoder(const ExportConfig& config)
    : ipfix_(config.protocol == ExportConfig::Protocol::ipfix),
      datagrams_(config.datagrams()),
      domain_(config.observation_domain_id),
      max_bytes_(datagrams_ ? config.max_packet_size : kStreamBytes),
      refresh_ms_(uint64_t{config.template_refresh_timeout} * 1000),
      refresh_messages_(config.template_refresh_packet) {}

void FlowEncoder::begin() {
  message_.clear();
  set_ = 0;
  records_ = 0;
  data_records_ = 0;
  templates_sent_ = false;
  if (ipfix_ && !datagrams_) sequence_ = 0;
}

bool FlowEncoder::templates_due() const {
  if (!templates_sent_) return true;
  return datagrams_ && (messages_since_ >= refresh_messages_ || now_.unix_ms - templates_at_ >= refresh_ms_);
}

void FlowEncoder::open_message() {
  append_big_endian(message_, ipfix_ ? kIpfix : kNetflow9, 2);
  append_big_endian(message_, 0, 2);  // IPFIX: length, NetFlow v9: count; known at the end
  if (!ipfix_) append_big_endian(message_, now_.uptime_ms, 4);
  append_big_endian(message_, now_.unix_ms / 1000, 4);
  append_big_endian(message_, sequence_, 4);
  append_big_endian(message_, domain_, 4);
}

void FlowEncoder::open_set(uint16_t id) {
  set_ = message_.size();
  set_id_ = id;
  append_big_endian(message_, id, 2);
  append_big_endian(message_, 0, 2);
}

void FlowEncoder::close_set() {
  if (set_ == 0) return;
  message_.append((4 - message_.size() % 4) % 4, '\0');  // RFC 7011 §3.3.1, RFC 3954 §5.3
  overwrite(message_, set_ + 2, message_.size() - set_, 2);
  set_ = 0;
}

void FlowEncoder::end(Outbox& out) {
  if (message_.empty()) return;
  close_set();
  overwrite(message_, 2, ipfix_ ? message_.size() : records_, 2);
  out.bytes += message_;
  out.ends.push_back(out.bytes.size());
  sequence_ += ipfix_ ? data_records_ : 1;
  messages_since_++;
  message_.clear();
  records_ = 0;
  data_records_ = 0;
}

void FlowEncoder::make_room(uint16_t id, size_t bytes, Outbox& out) {
  constexpr size_t kPadding = 3;
  const size_t needed = (set_ != 0 && set_id_ == id ? 0 : kPadding + kSetHeader) + bytes + kPadding;
  if (!message_.empty() && message_.size() + needed > max_bytes_) end(out);
  if (message_.empty()) open_message();
  if (set_ != 0 && set_id_ == id) return;
  close_set();
  open_set(id);
}

void FlowEncoder::append_templates(Outbox& out) {
  templates_sent_ = true;
  templates_at_ = now_.unix_ms;
  end(out);
  for (const RecordTemplate& t : record_templates()) {
    make_room(ipfix_ ? kIpfixTemplates : kNetflow9Templates, 4 + 4 * t.fields.size(), out);
    append_big_endian(message_, t.id, 2);
    append_big_endian(message_, t.fields.size(), 2);
    for (const RecordField& f : t.fields) {
      append_big_endian(message_, f.element, 2);
      append_big_endian(message_, f.bytes, 2);
    }
    records_++;
  }
  messages_since_ = 0;
  if (!ipfix_) return;
  make_room(kIpfixOptionsTemplates, 6 + 2 * 4, out);
  append_big_endian(message_, kReliability, 2);
  append_big_endian(message_, 2, 2);  // fields
  append_big_endian(message_, 1, 2);  // of them scope
  append_big_endian(message_, kExportingProcessId, 2);
  append_big_endian(message_, 4, 2);
  append_big_endian(message_, kNotSentFlowTotalCount, 2);
  append_big_endian(message_, 8, 2);
  // Only where there is something to tell: nfcapd does not count records of options, as the RFC does, and
  // would miss flows.
  if (lost_ != 0) append_reliability(out);
}

void FlowEncoder::append_reliability(Outbox& out) {
  make_room(kReliability, kReliabilityBytes, out);
  append_big_endian(message_, domain_, 4);
  append_big_endian(message_, lost_, 8);
  data_records_++;
}

bool FlowEncoder::add(const Entry& e, Outbox& out) {
  const RecordTemplate* t = template_of(e);
  if (t == nullptr) return false;
  if (templates_due()) append_templates(out);
  make_room(t->id, t->record_bytes(), out);
  t->append_record(message_, e);
  records_++;
  data_records_++;
  return true;
}

void FlowEncoder::add_gap(uint64_t first, uint64_t last, Outbox& out) {
  first = std::max(first, lost_below_);  // a gap may be told again
  if (first <= last) lost_ += last - first + 1;
  lost_below_ = std::max(lost_below_, last + 1);
  if (!ipfix_) return;
  if (templates_due()) append_templates(out);
  append_reliability(out);
}

}  // namespace culvert::logging
