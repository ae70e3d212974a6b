#include "dataplane/held_syn.h"

#include <algorithm>
#include <cstring>

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

}  // namespace culvert::dataplane
