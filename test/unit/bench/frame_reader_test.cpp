/// What culvert-traffic sends it must know again, and nothing else: no changed bit, no other mapping, no cut
/// frame.
#include "frame_reader.h"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>

#include "frame_writer.h"

using namespace culvert;
using namespace culvert::bench;

namespace {

constexpr net::MacAddress kBox{{2, 0, 0, 0, 0, 1}}, kOurs{{2, 0, 0, 0, 0, 10}};
constexpr Tags kTags{1000, 10};

/// A frame in memory that is not a byte longer.
struct Frame {
  std::unique_ptr<uint8_t[]> bytes;
  unsigned size = 0;

  Frame(const uint8_t* from, unsigned n) : bytes(new uint8_t[n]), size(n) {
    std::copy_n(from, n, bytes.get());
  }
};

Profile profile_of(Carriage carriage, Protocol protocol, std::vector<unsigned> sizes) {
  Profile p;
  p.carriage = carriage;
  p.protocol = protocol;
  p.subscribers = 50;
  p.ports = 20;
  p.frame_sizes = std::move(sizes);
  return p;
}

/// NAT44's frames need no translation to be read: outbound as the subscriber sends them, inbound to his own
/// address.
Frame nat44_frame(const Profile& p, Direction d, const Stamp& stamp) {
  FrameWriter writer(p, d, kBox, kOurs);
  alignas(64) uint8_t buffer[kMaxFrame];
  writer.prepare(buffer);
  const unsigned size =
      d == Direction::outbound
          ? writer.outbound(buffer, stamp)
          : writer.inbound(buffer, net::Ipv4Address(0x0a000000 + p.subscriber_of(stamp.mapping)),
                           p.port_of(stamp.mapping), stamp);
  return {buffer, size};
}

void set_length(Frame& f, unsigned at, unsigned value) {
  f.bytes[at] = static_cast<uint8_t>(value >> 8);
  f.bytes[at + 1] = static_cast<uint8_t>(value);
}

/// What arrives at the generator when all is well: outbound an IPv4 packet, inbound the answer as the
/// carriage has it. (An answer is the subscriber's packet with its ends exchanged, which no checksum minds.)
Frame arriving_frame(const Profile& p, Direction d, const Stamp& stamp) {
  if (d == Direction::outbound) {
    Profile native = p;
    native.carriage = Carriage::nat44;
    return nat44_frame(native, d, stamp);
  }
  FrameWriter writer(p, Direction::outbound, kBox, kOurs);
  alignas(64) uint8_t buffer[kMaxFrame];
  writer.prepare(buffer);
  const unsigned size = writer.outbound(buffer, stamp);
  uint8_t* at = buffer + 14;
  if (p.carriage != Carriage::nat44) {
    std::swap_ranges(at + 8, at + 24, at + 24);
    at += 40;
  }
  if (p.carriage != Carriage::nat64) {
    std::swap_ranges(at + 12, at + 16, at + 16);
    at += 20;
  }
  std::swap_ranges(at, at + 2, at + 2);
  return {buffer, size};
}

Verdict verdict_of(const Profile& p, Direction d, const Frame& f, Tags tags = kTags) {
  return FrameReader(p, d).read(f.bytes.get(), f.size, tags, p.mappings(), true).verdict;
}

}  // namespace

TEST_CASE("generator: its own frames are good, with the stamp they were given", "[bench]") {
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    for (const Direction d : kDirections) {
      const Profile p = profile_of(Carriage::nat44, protocol, kImix);
      for (uint32_t sequence = 0; sequence < 24; ++sequence) {
        const Stamp stamp{sequence * 41, sequence, 12345 + sequence, kTags.now};
        const Frame f = nat44_frame(p, d, stamp);
        REQUIRE(f.size == kImix[sequence % kImix.size()] - 4);
        const Reading r = FrameReader(p, d).read(f.bytes.get(), f.size, kTags, p.mappings(), true);
        REQUIRE(r.verdict == Verdict::good);
        CHECK(r.stamp.mapping == stamp.mapping);
        CHECK(r.stamp.sequence == stamp.sequence);
        CHECK(r.stamp.time == stamp.time);
        if (d == Direction::outbound) {
          CHECK(r.address == net::Ipv4Address(0x0a000000 + p.subscriber_of(stamp.mapping)));
          CHECK(r.port == p.port_of(stamp.mapping));
        }
      }
    }
  }
}

TEST_CASE("generator: what a softwire carries is good without its outer header", "[bench]") {
  const Profile p = profile_of(Carriage::ds_lite, Protocol::udp, {1518});
  FrameWriter writer(p, Direction::outbound, kBox, kOurs);
  alignas(64) uint8_t buffer[kMaxFrame];
  writer.prepare(buffer);
  const unsigned size = writer.outbound(buffer, {7, 3, 0, kTags.now});
  REQUIRE(size == 1514 + 40);
  std::copy(buffer + 54, buffer + size, buffer + 14);
  buffer[12] = 8, buffer[13] = 0;
  CHECK(verdict_of(p, Direction::outbound, {buffer, size - 40}) == Verdict::good);
}

TEST_CASE("generator: a frame with any bit changed is not good", "[bench]") {
  CHECK(rc::check([] {
    const auto protocol = *rc::gen::element(Protocol::udp, Protocol::tcp);
    const auto d = *rc::gen::element(Direction::outbound, Direction::inbound);
    const Profile p = profile_of(Carriage::nat44, protocol, {*rc::gen::element(64u, 65u, 594u, 1517u)});
    const Frame f = nat44_frame(
        p, d, {*rc::gen::inRange(0u, p.mappings()), *rc::gen::arbitrary<uint32_t>(), 1, kTags.now});
    const auto bit =
        *rc::gen::inRange(12u * 8, f.size * 8);  // link-layer addresses are the devices' business
    f.bytes[bit / 8] = static_cast<uint8_t>(f.bytes[bit / 8] ^ (1u << (bit % 8)));
    RC_ASSERT(verdict_of(p, d, f) != Verdict::good);
  }));
}

TEST_CASE("generator: a whole packet at another subscriber or port has strayed", "[bench]") {
  const Profile p = profile_of(Carriage::nat44, Protocol::udp, {64});
  FrameWriter writer(p, Direction::inbound, kBox, kOurs);
  alignas(64) uint8_t buffer[kMaxFrame];
  const Stamp stamp{25, 0, 0, kTags.now};  // subscriber 1, its sixth port
  const net::Ipv4Address home(0x0a000001), other(0x0a000002);
  const auto verdict = [&](net::Ipv4Address address, uint16_t port) {
    writer.prepare(buffer);
    const unsigned size = writer.inbound(buffer, address, port, stamp);
    return verdict_of(p, Direction::inbound, {buffer, size});
  };
  CHECK(verdict(home, p.port_of(25)) == Verdict::good);
  CHECK(verdict(other, p.port_of(25)) == Verdict::strayed);
  CHECK(verdict(home, static_cast<uint16_t>(p.port_of(25) + 1)) == Verdict::strayed);
}

TEST_CASE("generator: earlier phases' packets are late, those of other runs foreign", "[bench]") {
  const Profile p = profile_of(Carriage::nat44, Protocol::udp, {64});
  const auto verdict = [&](uint16_t tag) {
    return verdict_of(p, Direction::outbound, nat44_frame(p, Direction::outbound, {1, 2, 3, tag}));
  };
  CHECK(verdict(1000) == Verdict::good);
  CHECK(verdict(999) == Verdict::late);
  CHECK(verdict(990) == Verdict::late);
  CHECK(verdict(989) == Verdict::foreign);
  CHECK(verdict(1001) == Verdict::foreign);
}

TEST_CASE("generator: a frame cut anywhere is not good, and nothing behind it is read", "[bench]") {
  for (const Carriage carriage : kCarriages) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
      for (const Direction d : kDirections) {
        const Profile p = profile_of(carriage, protocol, {100});
        const Frame f = arriving_frame(p, d, {7, 3, 0, kTags.now});
        CHECK(verdict_of(p, d, f) == Verdict::good);
        for (unsigned n = 0; n < f.size; ++n) {
          Frame cut{f.bytes.get(), n};
          CHECK(verdict_of(p, d, cut) != Verdict::good);
          // And whole packets that are too short for what they should carry.
          unsigned at = 14;
          if (d == Direction::inbound && carriage != Carriage::nat44) {
            if (n < at + 40) continue;
            set_length(cut, at + 4, n - at - 40);
            at += 40;
          }
          if (d == Direction::outbound || carriage != Carriage::nat64) {
            if (n < at + 20) continue;
            set_length(cut, at + 2, n - at);
          }
          CHECK(verdict_of(p, d, cut) != Verdict::good);
        }
      }
    }
  }
}

TEST_CASE("generator: whatever headers say, nothing behind the frame is read", "[bench]") {
  CHECK(rc::check([] {
    const Profile p = profile_of(kCarriages[*rc::gen::inRange(0, 3)],
                                 *rc::gen::element(Protocol::udp, Protocol::tcp), kImix);
    const auto d = *rc::gen::element(Direction::outbound, Direction::inbound);
    Frame f = arriving_frame(p, d, {7, *rc::gen::inRange(0u, 12u), 0, kTags.now});
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
      f.bytes[*rc::gen::inRange(12u, 80u) % f.size] = *rc::gen::arbitrary<uint8_t>();
    verdict_of(p, d, {f.bytes.get(), *rc::gen::inRange(0u, f.size + 1)});
  }));
}
