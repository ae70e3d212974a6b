#include "dataplane/fragments/join.h"

#include <cstring>

#include "dataplane/packet.h"
#include "net/checksum.h"

namespace culvert::dataplane {
namespace {

using Kind = DatagramKey::Kind;

constexpr unsigned kLargestPacket = 65'535;

unsigned outer_length(Kind kind) { return kind == Kind::ipv4 ? 0 : unsigned{sizeof(net::Ipv6Header)}; }
/// Of the IPv4 header, options included; 0 where there is none.
unsigned inner_length(const rte_mbuf* first, Kind kind) {
  const auto place = Reassembly::Place::of(first);
  return kind == Kind::ipv6 ? 0u : unsigned{place.headers} - place.header;
}

}  // namespace

unsigned joined_length(const Reassembly::Whole& whole, Kind kind) {
  const unsigned inner = inner_length(whole.first, kind) + whole.length;
  return inner > kLargestPacket ? 0 : outer_length(kind) + inner;
}

void join_fragments(uint8_t* to, const Reassembly::Whole& whole, Kind kind) {
  const auto place = Reassembly::Place::of(whole.first);
  const uint8_t* first = bytes_of(whole.first);
  const unsigned outer = outer_length(kind), inner = inner_length(whole.first, kind);
  const net::Be16 length(static_cast<uint16_t>(inner + whole.length));
  if (kind != Kind::ipv4) {
    std::memcpy(to, first, outer);
    auto* ip = reinterpret_cast<net::Ipv6Header*>(to);
    ip->payload_length = length;
    if (whole.congestion) ip->version_class_label = net::Be32(ip->version_class_label.value() | 3u << 20);
    ip->next_header =
        kind == Kind::ipv6 ? first[place.headers - sizeof(net::FragmentHeader)] : uint8_t{net::kIpIpv4};
  }
  if (kind != Kind::ipv6) {
    std::memcpy(to + outer, first + place.header, inner);
    auto* ip = reinterpret_cast<net::Ipv4Header*>(to + outer);
    ip->total_length = length;
    if (whole.congestion) ip->tos |= 3;
    ip->fragment = net::Be16(ip->dont_fragment() ? net::Ipv4Header::kDontFragment : uint16_t{0});
    ip->checksum = net::Be16();
    ip->checksum = net::Sum().add_bytes(ip, inner).checksum();
  }
  for (rte_mbuf* f = whole.first; f != nullptr; f = f->next) {
    const auto of = Reassembly::Place::of(f);
    std::memcpy(to + outer + inner + of.offset, bytes_of(f) + of.headers, of.length);
  }
}

}  // namespace culvert::dataplane
