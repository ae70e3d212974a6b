/// Packets of live mappings, in random order: a shuffled list of them is read in turn, one list for each
/// direction, so that every packet needs other cache lines and choosing it costs none.
///
/// Values, once made; any thread, one at a time.
#pragma once

#include <vector>

#include "box.h"

namespace culvert::bench {

/// One end of a mapping, as a generator needs it: (subscriber, port), or (address, port).
struct End {
  uint32_t who = 0;
  uint16_t port = 0;
};

/// A list that is read round and round.
class Round {
 public:
  std::vector<End> ends;

  const End& take() {
    const End& e = ends[next_];
    next_ = next_ + 1 == ends.size() ? 0 : next_ + 1;
    return e;
  }

 private:
  size_t next_ = 0;
};

class Flows {
 public:
  static constexpr int kAllWorkers = -1;

  /// The mappings that are live now, of all workers of the box or of one.
  explicit Flows(Box& box, uint64_t seed, int worker = kAllWorkers);

  /// Frames of the mappings in turn, all of the smallest size, with DF or without, or sizes mixed as on the
  /// Internet. They refer to this object.
  Fill fill(bool out) {
    return [this, out](uint8_t* at, unsigned) { return write(out, 0, at); };
  }
  Fill fill_fragmentable(bool out) {
    return [this, out](uint8_t* at, unsigned) { return write(out, kFragmentable, at); };
  }
  Fill fill_imix(bool out) {
    return [this, out](uint8_t* at, unsigned) { return write(out, kImix[mixed_++ % std::size(kImix)], at); };
  }

  Round inside, outside;

 private:
  static constexpr unsigned kSizes[] = {kSmallestIpv4, 576, 1500};  ///< of IPv4 packets
  /// Simple IMIX: 7 packets of the smallest size, 4 of the second, 1 of the largest.
  static constexpr uint8_t kImix[12] = {0, 0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1};

  static constexpr unsigned kFragmentable = std::size(kSizes);

  unsigned write(bool out, unsigned kind, uint8_t* at) {
    const End& e = (out ? inside : outside).take();
    const FrameMaker& maker = makers_[2 * kind + (out ? 0 : 1)];
    return out ? maker.outbound(at, e.who, e.port) : maker.inbound(at, net::Ipv4Address(e.who), e.port);
  }

  std::vector<FrameMaker> makers_;  ///< by size, then kFragmentable; outbound and inbound
  size_t mixed_ = 0;
};

/// Sends packets of mappings that all live through a box, and throws when one is dropped.
Tally send_live(Box& box, Flows& flows, bool out, uint64_t packets);

}  // namespace culvert::bench
