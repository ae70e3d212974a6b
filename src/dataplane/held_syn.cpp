#include "dataplane/held_syn.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"

namespace culvert::dataplane {
namespace {

/// SYNs get one of so many ICMP errors of their side.
constexpr uint32_t kPart = 4;

}  // namespace

bool HeldSyns::hold(const net::Ipv4Header& ip, uint8_t interface, uint32_t wait, uint32_t rate, Millis now) {
  const uint64_t answerable = uint64_t{rate} * wait / (kPart * 1000);
  if (count_ >= std::min<uint64_t>(kCapacity, answerable)) return false;
  Bucket& b = bucket(ip.source);
  if (b.count == kShare) return false;
  const auto place = static_cast<uint8_t>(head_ + count_);
  HeldSyn& syn = syns_[place];
  std::memcpy(syn.bytes.data(), &ip, ip.header_length() + HeldSyn::kTcpBytes);
  for (unsigned i = 0; i < b.count; i++) {
    const HeldSyn& other = syns_[b.places[i]];
    if (other.remote() == syn.remote() && other.external() == syn.external()) return false;
  }
  last_due_ = std::max(last_due_, now + wait);
  syn.due = last_due_;
  syn.interface = interface;
  b.places[b.count++] = place;
  count_++;
  return true;
}

void HeldSyns::pop(bool answered, uint32_t rate, Millis now) {
  Bucket& b = bucket(syns_[head_].ip().source);
  *std::find(b.places.begin(), b.places.begin() + b.count, head_) = b.places[b.count - 1];
  b.count--;
  head_++;
  count_--;
  if (answered) next_answer_ = now + kPart * 1000 / std::max(rate, 1u);
}

unsigned write_port_unreachable(uint8_t* at, const HeldSyn& syn, net::Ipv4Address source, uint16_t id) {
  const unsigned quoted = syn.size(), length = 28 + quoted;
  auto* ip = reinterpret_cast<net::Ipv4Header*>(at);
  *ip = net::Ipv4Header{};
  ip->version_ihl = 0x45;
  ip->tos = 0xc0;  // RFC 1812 §4.3.2.5: internetwork control
  ip->total_length = net::Be16(static_cast<uint16_t>(length));
  ip->id = net::Be16(id);
  ip->ttl = 64;
  ip->protocol = net::kIpIcmp;
  ip->source = source;
  ip->destination = syn.ip().source;
  ip->checksum = net::Sum().add_bytes(ip, sizeof *ip).checksum();
  auto* icmp = reinterpret_cast<net::IcmpHeader*>(ip + 1);
  *icmp = net::IcmpHeader{};
  icmp->type = net::kIcmpUnreachable;
  icmp->code = 3;
  std::memcpy(icmp->payload(), syn.bytes.data(), quoted);
  icmp->checksum = net::Sum().add_bytes(icmp, 8 + quoted).checksum();
  return length;
}

}  // namespace culvert::dataplane
