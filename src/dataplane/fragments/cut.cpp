#include "dataplane/fragments/cut.h"

#include <algorithm>
#include <cstring>

#include "dataplane/packet.h"
#include "net/checksum.h"

namespace culvert::dataplane {
namespace {

constexpr uint8_t kEndOfOptions = 0, kNoOperation = 1, kCopied = 0x80;

/// RFC 791 §3.1: only options with the copied flag stand in every fragment.
void clear_first_only_options(uint8_t* options, unsigned size) {
  for (unsigned at = 0; at < size && options[at] != kEndOfOptions;) {
    const uint8_t kind = options[at];
    const unsigned length = kind == kNoOperation || at + 1 >= size ? 1 : options[at + 1];
    if (kind != kNoOperation && (kind & kCopied) == 0)
      std::memset(options + at, kNoOperation, std::min(length, size - at));
    at += std::max(length, 1u);
  }
}

CutPlan plan(unsigned header, unsigned fragment_header, unsigned payload, unsigned limit) {
  if (header + payload <= limit) return {1, payload};
  if (limit < header + fragment_header + 8) return {};
  const unsigned chunk = (limit - header - fragment_header) & ~7u;
  return {(payload + chunk - 1) / chunk, chunk};
}

}  // namespace

CutPlan plan_ipv4(const net::Ipv4Header& whole, unsigned limit) {
  const unsigned header = whole.header_length();
  if (whole.total_length.value() < header) return {};
  return plan(header, 0, whole.total_length.value() - header, limit);
}

CutPlan plan_ipv6(const net::Ipv6Header& whole, unsigned limit) {
  return plan(sizeof whole, sizeof(net::FragmentHeader), whole.payload_length.value(), limit);
}

void write_piece(rte_mbuf* m, const net::Ipv4Header& whole, const CutPlan& plan, unsigned index) {
  const unsigned header = whole.header_length();
  const unsigned payload = whole.total_length.value() - header;
  const unsigned offset = index * plan.chunk;
  const unsigned length = std::min(plan.chunk, payload - offset);
  const bool more = offset + length < payload || whole.more();
  trim_to(m, header + length);
  uint8_t* data = bytes_of(m);
  const auto* from = reinterpret_cast<const uint8_t*>(&whole);
  std::memcpy(data, from, header);
  std::memcpy(data + header, from + header + offset, length);
  if (index != 0) clear_first_only_options(data + sizeof whole, header - unsigned{sizeof whole});
  auto* ip = reinterpret_cast<net::Ipv4Header*>(data);
  ip->total_length = net::Be16(static_cast<uint16_t>(header + length));
  const unsigned flags = (whole.fragment.value() & net::Ipv4Header::kDontFragment) |
                         (more ? unsigned{net::Ipv4Header::kMoreFragments} : 0u);
  ip->fragment = net::Be16(static_cast<uint16_t>(flags | (whole.offset() + offset) / 8));
  ip->checksum = net::Be16();
  ip->checksum = net::Sum().add_bytes(ip, header).checksum();
}

void write_piece(rte_mbuf* m, const net::Ipv6Header& whole, const CutPlan& plan, unsigned index,
                 uint32_t id) {
  const unsigned payload = whole.payload_length.value();
  const unsigned offset = index * plan.chunk;
  const unsigned length = std::min(plan.chunk, payload - offset);
  const bool alone = plan.pieces == 1;
  const unsigned headers = unsigned{sizeof whole} + (alone ? 0 : unsigned{sizeof(net::FragmentHeader)});
  trim_to(m, headers + length);
  uint8_t* data = bytes_of(m);
  const auto* from = reinterpret_cast<const uint8_t*>(&whole);
  std::memcpy(data, from, sizeof whole);
  std::memcpy(data + headers, from + sizeof whole + offset, length);
  if (alone) return;
  auto* ip = reinterpret_cast<net::Ipv6Header*>(data);
  ip->payload_length = net::Be16(static_cast<uint16_t>(sizeof(net::FragmentHeader) + length));
  ip->next_header = net::kIpFragment;
  auto* fragment = reinterpret_cast<net::FragmentHeader*>(ip + 1);
  *fragment = net::FragmentHeader{};
  fragment->next_header = whole.next_header;
  fragment->set_place(offset, offset + length < payload);
  fragment->id = net::Be32(id);
}

}  // namespace culvert::dataplane
