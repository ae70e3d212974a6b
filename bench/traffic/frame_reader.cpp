#include "frame_reader.h"

#include "net/headers.h"
#include "net/rfc6052.h"

namespace culvert::bench {
namespace {

template <typename T>
T at(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

constexpr unsigned kEthernet = sizeof(net::EthernetHeader);
constexpr unsigned kIpv4 = sizeof(net::Ipv4Header), kIpv6 = sizeof(net::Ipv6Header);

}  // namespace

FrameReader::FrameReader(const Profile& profile, Direction direction)
    : profile_(profile),
      direction_(direction),
      ipv6_(direction == Direction::inbound && profile.carriage != Carriage::nat44) {
  // The made-up ISP's addresses are taken from a frame of its first subscriber.
  alignas(64) uint8_t frame[kMaxFrame] = {};
  FrameMaker(profile.carriage, Protocol::udp, kSmallestIpv4, {}, {}).outbound(frame, 0, 1);
  const uint8_t* ip = frame + kEthernet;
  switch (profile.carriage) {
    case Carriage::nat44:
      first_inside_ = at<net::Ipv4Header>(ip).source;
      break;
    case Carriage::ds_lite:
      remote_ = at<net::Ipv6Header>(ip).destination;
      behind_b4_ = at<net::Ipv4Header>(ip + kIpv6).source;
      break;
    case Carriage::nat64:
      remote_ = at<net::Ipv6Header>(ip).destination;
  }
}

bool FrameReader::find(const uint8_t* frame, unsigned size, Place& place) const {
  if (size < kEthernet) return false;
  const uint16_t type = at<net::EthernetHeader>(frame).type.value();
  const uint8_t* ip = frame + kEthernet;
  unsigned left = size - kEthernet;
  if (type != (ipv6_ ? net::kEtherIpv6 : net::kEtherIpv4)) return false;
  uint8_t next = net::kIpIpv4;
  if (ipv6_) {
    if (left < kIpv6) return false;
    const auto header = at<net::Ipv6Header>(ip);
    if (header.version() != 6 || header.payload_length.value() > left - kIpv6) return false;
    place.ipv6 = ip;
    next = header.next_header;
    left = header.payload_length.value();
    ip += kIpv6;
  }
  if (!ipv6_ || profile_.carriage == Carriage::ds_lite) {
    if (next != net::kIpIpv4 || left < kIpv4) return false;
    const auto header = at<net::Ipv4Header>(ip);
    if (header.version_ihl != 0x45 || header.total_length.value() > left ||
        header.total_length.value() < kIpv4) {
      return false;
    }
    place.ipv4 = ip;
    next = header.protocol;
    left = header.total_length.value() - kIpv4;
    ip += kIpv4;
  }
  place.l4 = ip;
  place.transport = left;
  return next == static_cast<uint8_t>(profile_.protocol) && left >= Stamp::end(profile_.protocol);
}

bool FrameReader::is_whole(const Place& place, unsigned ipv4_bytes, bool deep) const {
  if (place.transport + kIpv4 != ipv4_bytes) return false;
  if (profile_.protocol == Protocol::udp && at<net::UdpHeader>(place.l4).length.value() != place.transport)
    return false;
  if (!deep) return true;
  net::Sum sum;
  sum.add(net::Be16(static_cast<uint8_t>(profile_.protocol)))
      .add(net::Be16(static_cast<uint16_t>(place.transport)));
  if (place.ipv4 != nullptr) {
    if (net::Sum().add_bytes(place.ipv4, kIpv4).folded() != 0xffff) return false;
    const auto header = at<net::Ipv4Header>(place.ipv4);
    sum.add(header.source).add(header.destination);
  } else {
    const auto header = at<net::Ipv6Header>(place.ipv6);
    sum.add(header.source).add(header.destination);
  }
  if (sum.add_bytes(place.l4, place.transport).folded() != 0xffff) return false;
  const unsigned stamped = Stamp::end(profile_.protocol);
  return std::memcmp(place.l4 + stamped, pattern(), place.transport - stamped) == 0;
}

bool FrameReader::is_home(const Place& place, const Stamp& stamp) const {
  if (direction_ == Direction::outbound)
    return place.ipv4 != nullptr && at<net::Ipv4Header>(place.ipv4).destination == kServer;
  const uint32_t subscriber = profile_.subscriber_of(stamp.mapping);
  if (at<net::Be16>(place.l4 + 2).value() != profile_.port_of(stamp.mapping)) return false;
  if (place.ipv6 != nullptr) {
    const auto header = at<net::Ipv6Header>(place.ipv6);
    if (header.source != remote_ || header.destination != home(profile_.carriage, subscriber)) return false;
    if (place.ipv4 == nullptr) return true;
  }
  const auto header = at<net::Ipv4Header>(place.ipv4);
  const auto subscribers =
      place.ipv6 != nullptr ? behind_b4_ : net::Ipv4Address(first_inside_.value() + subscriber);
  return header.source == kServer && header.destination == subscribers;
}

Reading FrameReader::read(const uint8_t* frame, unsigned size, Tags tags, uint32_t mappings,
                          bool deep) const {
  Reading result;
  Place place;
  if (!find(frame, size, place)) return result;
  if (at<net::Be16>(place.l4 + (direction_ == Direction::outbound ? 2 : 0)).value() != kServerPort)
    return result;
  result.stamp = Stamp::take(place.l4, profile_.protocol);
  if (const auto age = static_cast<uint16_t>(tags.now - result.stamp.tag); age != 0) {
    if (age <= tags.earlier) result.verdict = Verdict::late;
    return result;
  }
  if (direction_ == Direction::outbound && place.ipv4 != nullptr) {
    result.address = at<net::Ipv4Header>(place.ipv4).source;
    result.port = at<net::Be16>(place.l4).value();
  }
  const unsigned bytes = profile_.ipv4_bytes(profile_.size_of(result.stamp.sequence));
  if (result.stamp.mapping >= mappings || !is_whole(place, bytes, deep)) {
    result.verdict = Verdict::corrupt;
  } else {
    result.verdict = is_home(place, result.stamp) ? Verdict::good : Verdict::strayed;
  }
  return result;
}

}  // namespace culvert::bench
