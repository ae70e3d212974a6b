/// Writes one direction's frames: bench/worker/frames.h makes the headers, this adds stamp and pattern. All
/// checksums are right.
///
/// Values; any thread.
#pragma once

#include "frames.h"
#include "profile.h"
#include "stamp.h"

namespace culvert::bench {

class FrameWriter {
 public:
  /// `to`: the appliance's MAC address on this side; `from`: ours.
  FrameWriter(const Profile& profile, Direction direction, const net::MacAddress& to,
              const net::MacAddress& from);

  /// Fills in what never changes in a buffer of kMaxFrame bytes; once for each buffer.
  void prepare(uint8_t* at) const;
  /// TCP flags of the frames written from now on; ACK at first.
  void set_tcp_flags(uint8_t flags);

  /// What subscriber and port of the stamp's mapping send. The buffer was prepared. Returns the frame's size
  /// without Ethernet's checksum.
  unsigned outbound(uint8_t* at, const Stamp& stamp) const;
  /// What the server sends to an external endpoint.
  unsigned inbound(uint8_t* at, net::Ipv4Address address, uint16_t port, const Stamp& stamp) const;

 private:
  void finish(uint8_t* at, const Stamp& stamp, unsigned size) const;

  Profile profile_;
  unsigned l4_ = 0, checksum_ = 0;      ///< offsets of the transport header and its checksum
  std::vector<FrameMaker> makers_;      ///< by size
  std::vector<net::Sum> pattern_sums_;  ///< by size
};

}  // namespace culvert::bench
