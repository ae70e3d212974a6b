#include "logging/export/nat_records.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "dataplane/drop_reason.h"
#include "logging/ledger/crc32c.h"
#include "net/mapped.h"

namespace culvert::logging {
namespace {

using Kind = Entry::Kind;
using dataplane::DropReason;

/// natQuotaExceededEvent (466). 0: it is not a quota.
uint32_t quota_of(const Entry& e) {
  static constexpr std::pair<DropReason, uint32_t> kQuotas[] = {
      {DropReason::session_table_full, 1},                                // maximum session entries
      {DropReason::mapping_table_full, 2},                                // maximum BIB entries
      {DropReason::instance_mappings, 2},     {DropReason::no_ports, 3},  // maximum entries per user
      {DropReason::subscriber_ports, 3},      {DropReason::subscriber_mappings, 3},
      {DropReason::subscriber_sessions, 3},   {DropReason::subscriber_rate, 3},
      {DropReason::subscriber_table_full, 4},  // maximum active subscribers
  };
  for (const auto& [reason, quota] : kQuotas)
    if (e.text == name_of(reason)) return quota;
  return 0;
}

/// natEvent (230)
uint8_t nat_event(const Entry& e) {
  const bool nat64 = e.carriage == Entry::Carriage::nat64;
  switch (e.kind) {
    // One without a destination is a mapping: an entry of the BIB.
    case Kind::session_created:
      return static_cast<uint8_t>((nat64 ? 6 : 4) + (e.destination ? 0 : 4));
    case Kind::session_deleted:
      return static_cast<uint8_t>((nat64 ? 7 : 5) + (e.destination ? 0 : 4));
    case Kind::mapping_created:
      return nat64 ? 10 : 8;
    case Kind::mapping_deleted:
      return nat64 ? 11 : 9;
    case Kind::block_allocated:
      return 16;
    case Kind::block_released:
      return 17;
    case Kind::refused:
      if (quota_of(e) != 0) return 13;
      return e.text == name_of(DropReason::no_blocks) ? 3 : 0;
    default:
      return 0;
  }
}

void put_ipv4(std::string& out, net::Ipv4Address a) { append_big_endian(out, a.value(), 4); }
void put_ipv6(std::string& out, const net::Ipv6Address& a) {
  out.append(reinterpret_cast<const char*>(a.bytes.data()), a.bytes.size());
}
/// The IPv4 address that stands in an IPv6 one, zeros if none does.
void put_mapped(std::string& out, const net::Ipv6Address& a) {
  put_ipv4(out, net::mapped_ipv4(a).value_or(net::Ipv4Address{}));
}
const net::Ipv6Address& internal_of(const Entry& e) { return e.internal ? *e.internal : e.subscriber; }
uint64_t ports_of(const Entry& e) {
  return std::min(0xffff, e.last_port < e.first_port ? 0 : e.last_port - e.first_port + 1);
}

using Out = std::string&;
using In = const Entry&;

// Element, bytes, value: https://www.iana.org/assignments/ipfix, whose names the comments are.
constexpr RecordField kTime{323, 8, [](Out o, In e) { append_big_endian(o, e.system_time(), 8); }};
constexpr RecordField kFlowId{148, 8, [](Out o, In e) { append_big_endian(o, e.ordinal.value_or(0), 8); }};
constexpr RecordField kNatEvent{230, 1, [](Out o, In e) { append_big_endian(o, nat_event(e), 1); }};
constexpr RecordField kNatInstanceId{
    463, 4, [](Out o, In e) { append_big_endian(o, ledger::crc32c(e.instance), 4); }};
constexpr RecordField kSubscriberIpv4{8, 4, [](Out o, In e) { put_mapped(o, e.subscriber); }};
constexpr RecordField kSubscriberIpv4Length{9, 1, [](Out o, In e) {
                                              const unsigned n = e.subscriber_length;
                                              append_big_endian(o, n - std::min(n, net::kMappedBits), 1);
                                            }};
constexpr RecordField kSubscriberIpv6{27, 16, [](Out o, In e) { put_ipv6(o, e.subscriber); }};
constexpr RecordField kSubscriberIpv6Length{
    29, 1, [](Out o, In e) { append_big_endian(o, e.subscriber_length, 1); }};
constexpr RecordField kInternalIpv4{8, 4, [](Out o, In e) { put_mapped(o, internal_of(e)); }};
constexpr RecordField kInternalIpv6{27, 16, [](Out o, In e) { put_ipv6(o, internal_of(e)); }};
constexpr RecordField kInternalPort{7, 2, [](Out o, In e) { append_big_endian(o, e.internal_port, 2); }};
constexpr RecordField kProtocol{4, 1, [](Out o, In e) { append_big_endian(o, e.protocol, 1); }};
constexpr RecordField kExternal{225, 4, [](Out o, In e) { put_ipv4(o, e.external); }};
constexpr RecordField kExternalPort{227, 2, [](Out o, In e) { append_big_endian(o, e.first_port, 2); }};
constexpr RecordField kRangeStart{361, 2, [](Out o, In e) { append_big_endian(o, e.first_port, 2); }};
constexpr RecordField kRangeEnd{362, 2, [](Out o, In e) { append_big_endian(o, e.last_port, 2); }};
constexpr RecordField kRangeStep{363, 2, [](Out o, In) { append_big_endian(o, 1, 2); }};
constexpr RecordField kRangePorts{364, 2, [](Out o, In e) { append_big_endian(o, ports_of(e), 2); }};
constexpr RecordField kDestination{
    12, 4, [](Out o, In e) { put_ipv4(o, e.destination.value_or(net::Ipv4Address{})); }};
constexpr RecordField kDestinationPort{11, 2,
                                       [](Out o, In e) { append_big_endian(o, e.destination_port, 2); }};
// NAT64's destination is known as it is behind the NAT.
constexpr RecordField kPostDestination{226, 4, kDestination.write};
constexpr RecordField kPostDestinationPort{228, 2, kDestinationPort.write};
constexpr RecordField kQuota{466, 4, [](Out o, In e) { append_big_endian(o, quota_of(e), 4); }};
constexpr RecordField kRefused{133, 8, [](Out o, In e) { append_big_endian(o, e.count, 8); }};

// Blocks: the subscriber's address, and his prefix's length.
constexpr RecordField kBlock4[] = {
    kTime,     kFlowId,     kNatEvent, kNatInstanceId, kSubscriberIpv4, kSubscriberIpv4Length,
    kExternal, kRangeStart, kRangeEnd, kRangeStep,     kRangePorts};
constexpr RecordField kBlock6[] = {
    kTime,     kFlowId,     kNatEvent, kNatInstanceId, kSubscriberIpv6, kSubscriberIpv6Length,
    kExternal, kRangeStart, kRangeEnd, kRangeStep,     kRangePorts};
// BIB entries: of NAT44, of DS-Lite, with the softwire's prefix, and of NAT64.
constexpr RecordField kBib44[] = {kTime,         kFlowId,   kNatEvent, kNatInstanceId, kInternalIpv4,
                                  kInternalPort, kProtocol, kExternal, kExternalPort};
constexpr RecordField kBibDsLite[] = {
    kTime,         kFlowId,       kNatEvent, kNatInstanceId, kSubscriberIpv6, kSubscriberIpv6Length,
    kInternalIpv4, kInternalPort, kProtocol, kExternal,      kExternalPort};
constexpr RecordField kBib64[] = {kTime,         kFlowId,   kNatEvent, kNatInstanceId, kInternalIpv6,
                                  kInternalPort, kProtocol, kExternal, kExternalPort};
// Sessions, where destinations are logged.
constexpr RecordField kSession44[] = {kTime,         kFlowId,       kNatEvent,       kNatInstanceId,
                                      kInternalIpv4, kInternalPort, kProtocol,       kExternal,
                                      kExternalPort, kDestination,  kDestinationPort};
constexpr RecordField kSessionDsLite[] = {
    kTime,           kFlowId,       kNatEvent, kNatInstanceId, kSubscriberIpv6, kSubscriberIpv6Length,
    kInternalIpv4,   kInternalPort, kProtocol, kExternal,      kExternalPort,   kDestination,
    kDestinationPort};
constexpr RecordField kSession64[] = {kTime,         kFlowId,          kNatEvent,           kNatInstanceId,
                                      kInternalIpv6, kInternalPort,    kProtocol,           kExternal,
                                      kExternalPort, kPostDestination, kPostDestinationPort};
// Refusals: a quota, or a pool without a free block.
constexpr RecordField kQuota4[] = {
    kTime, kFlowId, kNatEvent, kNatInstanceId, kQuota, kSubscriberIpv4, kSubscriberIpv4Length, kRefused};
constexpr RecordField kQuota6[] = {
    kTime, kFlowId, kNatEvent, kNatInstanceId, kQuota, kSubscriberIpv6, kSubscriberIpv6Length, kRefused};
constexpr RecordField kExhausted4[] = {
    kTime, kFlowId, kNatEvent, kNatInstanceId, kSubscriberIpv4, kSubscriberIpv4Length, kRefused};
constexpr RecordField kExhausted6[] = {
    kTime, kFlowId, kNatEvent, kNatInstanceId, kSubscriberIpv6, kSubscriberIpv6Length, kRefused};

enum Which : size_t {
  block4,
  block6,
  bib44,
  bib_ds_lite,
  bib64,
  session44,
  session_ds_lite,
  session64,
  quota4,
  quota6,
  exhausted4,
  exhausted6,
};
constexpr RecordTemplate kTemplates[] = {
    {256, kBlock4}, {257, kBlock6},    {258, kBib44},         {259, kBibDsLite},
    {260, kBib64},  {261, kSession44}, {262, kSessionDsLite}, {263, kSession64},
    {264, kQuota4}, {265, kQuota6},    {266, kExhausted4},    {267, kExhausted6},
};

Which by_carriage(const Entry& e, Which first) {
  return static_cast<Which>(first + std::min<size_t>(2, static_cast<size_t>(e.carriage)));
}
Which by_family(const Entry& e, Which first) {
  const bool ipv4 = e.subscriber_length >= net::kMappedBits && net::mapped_ipv4(e.subscriber).has_value();
  return static_cast<Which>(first + (ipv4 ? 0 : 1));
}

}  // namespace

void append_big_endian(std::string& out, uint64_t n, unsigned bytes) {
  while (bytes-- != 0) out += static_cast<char>(n >> (8 * bytes));
}

size_t RecordTemplate::record_bytes() const {
  size_t n = 0;
  for (const RecordField& f : fields) n += f.bytes;
  return n;
}

void RecordTemplate::append_record(std::string& out, const Entry& e) const {
  for (const RecordField& f : fields) f.write(out, e);
}

std::span<const RecordTemplate> record_templates() { return kTemplates; }

const RecordTemplate* template_of(const Entry& e) {
  const uint8_t event = nat_event(e);
  if (event == 0) return nullptr;
  Which which = block4;
  switch (e.kind) {
    case Kind::block_allocated:
    case Kind::block_released:
      which = by_family(e, block4);
      break;
    case Kind::mapping_created:
    case Kind::mapping_deleted:
      which = by_carriage(e, bib44);
      break;
    case Kind::session_created:
    case Kind::session_deleted:
      // Without a destination a session says what a BIB entry says; natEvent tells which it is.
      which = by_carriage(e, e.destination ? session44 : bib44);
      break;
    default:
      which = by_family(e, event == 13 ? quota4 : exhausted4);
  }
  return &kTemplates[which];
}

}  // namespace culvert::logging
