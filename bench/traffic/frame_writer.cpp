#include "frame_writer.h"

#include <array>

#include "net/checksum.h"
#include "net/headers.h"

namespace culvert::bench {
namespace {

/// What FrameMaker writes over, whatever the frame's size.
constexpr unsigned kTemplate = 128;

}  // namespace

const uint8_t* pattern() {
  static const auto bytes = [] {
    std::array<uint8_t, kMaxFrame> p;
    for (unsigned i = 0; i < p.size(); ++i) p[i] = static_cast<uint8_t>(i * 167 + 13 + (i >> 8) * 89);
    return p;
  }();
  return bytes.data();
}

FrameWriter::FrameWriter(const Profile& profile, Direction direction, const net::MacAddress& to,
                         const net::MacAddress& from)
    : profile_(profile) {
  const bool ipv6 = direction == Direction::outbound && profile.carriage != Carriage::nat44;
  l4_ = sizeof(net::EthernetHeader) + (ipv6 ? sizeof(net::Ipv6Header) : sizeof(net::Ipv4Header));
  if (ipv6 && profile.carriage == Carriage::ds_lite) l4_ += sizeof(net::Ipv4Header);
  checksum_ = l4_ + (profile.protocol == Protocol::udp ? 6 : 16);
  for (unsigned i = 0; i < profile.frame_sizes.size(); ++i) {
    const unsigned bytes = profile.ipv4_bytes(i);
    makers_.emplace_back(profile.carriage, profile.protocol, bytes, to, from);
    const unsigned behind_stamp =
        bytes - static_cast<unsigned>(sizeof(net::Ipv4Header)) - Stamp::end(profile.protocol);
    pattern_sums_.push_back(net::Sum().add_bytes(pattern(), behind_stamp));
  }
}

void FrameWriter::prepare(uint8_t* at) const {
  const unsigned begin = l4_ + Stamp::end(profile_.protocol);
  std::memcpy(at + begin, pattern(), kMaxFrame - begin);
}

void FrameWriter::set_tcp_flags(uint8_t flags) {
  if (profile_.protocol != Protocol::tcp) return;
  for (FrameMaker& m : makers_) m.set_tcp_flags(flags);
}

void FrameWriter::finish(uint8_t* at, const Stamp& stamp, unsigned size) const {
  const unsigned begin = l4_ + Stamp::end(profile_.protocol);
  std::memcpy(at + begin, pattern(), kTemplate - begin);
  stamp.put(at + l4_, profile_.protocol);
  net::Be16 checksum;
  std::memcpy(&checksum, at + checksum_, sizeof checksum);
  const auto delta = stamp.sum().add(pattern_sums_[size]).folded();
  checksum = net::udp_nonzero(net::apply_delta(checksum, delta));
  std::memcpy(at + checksum_, &checksum, sizeof checksum);
}

unsigned FrameWriter::outbound(uint8_t* at, const Stamp& stamp) const {
  const unsigned size = profile_.size_of(stamp.sequence);
  const unsigned length =
      makers_[size].outbound(at, profile_.subscriber_of(stamp.mapping), profile_.port_of(stamp.mapping));
  finish(at, stamp, size);
  return length;
}

unsigned FrameWriter::inbound(uint8_t* at, net::Ipv4Address address, uint16_t port,
                              const Stamp& stamp) const {
  const unsigned size = profile_.size_of(stamp.sequence);
  const unsigned length = makers_[size].inbound(at, address, port);
  finish(at, stamp, size);
  return length;
}

}  // namespace culvert::bench
