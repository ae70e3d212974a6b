/// Random packets of every carriage, right ones and wrong ones, as subscribers and the Internet would send
/// them: new flows, flows that go on, answers to what left the box, errors about it, hairpins, fragments, cut
/// and damaged packets. Everything follows from the seed and from what left the box.
#pragma once

#include <random>
#include <vector>

#include "../fuzz/box.h"
#include "../fuzz/frames.h"

namespace culvert::paths {

using fuzz::Bytes;
using fuzz::Side;

class Traffic {
 public:
  /// `subscribers` of each carriage, each with flows from `ports` source ports.
  Traffic(uint64_t seed, unsigned subscribers, unsigned ports);

  /// A frame that arrives at this side.
  Bytes next(Side side);
  /// What left the box: later packets answer some of it.
  void saw(const fuzz::Sent& frame);
  /// A random number below n.
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  bool one_in(unsigned n) { return below(n) == 0; }

 private:
  Bytes outbound();
  struct Segment {
    uint8_t protocol;
    Bytes bytes;
  };
  Segment segment(bool ipv6, uint16_t port);
  Bytes answer(Side side);
  Bytes error_about(Side side);
  uint32_t destination();
  void spoil(Bytes& packet);
  std::vector<Bytes>& left(Side side) { return side == Side::inside ? inside_ : outside_; }

  std::mt19937_64 random_;
  unsigned subscribers_, ports_;
  std::vector<Bytes> inside_, outside_;  ///< the last packets that left there
  size_t replace_ = 0;
};

}  // namespace culvert::paths
