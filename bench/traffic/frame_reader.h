/// Judges the frames that come back: is it one of ours, is it whole, did it come to the right place?
///
/// Reads whatever a device hands up, so nothing is read before its length was compared.
///
/// Values; any thread.
#pragma once

#include "profile.h"
#include "stamp.h"

namespace culvert::bench {

enum class Verdict : uint8_t {
  good,
  foreign,  ///< nothing we sent: neighbour discovery, an ICMP error
  late,     ///< ours, of an earlier phase, where it counts as lost
  corrupt,  ///< ours, but length, a checksum or the payload is wrong
  strayed,  ///< ours and whole, but not where it belongs: another subscriber's address or port
};

/// The tags of a run: each phase has two of its own, which count up.
struct Tags {
  uint16_t now = 0;
  uint16_t earlier = 0;  ///< how many before `now` were in use
};

struct Reading {
  Verdict verdict = Verdict::foreign;
  Stamp stamp;
  /// Outbound: the external endpoint it came from. Whether it is the right one is for the caller to say.
  net::Ipv4Address address;
  uint16_t port = 0;
};

class FrameReader {
 public:
  /// Reads what was sent in that direction: outbound frames arrive outside.
  FrameReader(const Profile& profile, Direction direction);

  /// `mappings`: how many the stamp may tell apart. `deep`: with checksums and payload.
  Reading read(const uint8_t* frame, unsigned size, Tags tags, uint32_t mappings, bool deep) const;

 private:
  struct Place {
    const uint8_t *ipv4 = nullptr, *ipv6 = nullptr, *l4 = nullptr;
    unsigned transport = 0;  ///< bytes from l4 on
  };
  bool find(const uint8_t* frame, unsigned size, Place& place) const;
  bool is_whole(const Place& place, unsigned ipv4_bytes, bool deep) const;
  bool is_home(const Place& place, const Stamp& stamp) const;

  Profile profile_;
  Direction direction_;
  bool ipv6_ = false;              ///< frames are IPv6
  net::Ipv4Address behind_b4_;     ///< DS-Lite: the one host behind every B4
  net::Ipv6Address remote_;        ///< inbound, IPv6 carriages: the source, AFTR or translated server
  net::Ipv4Address first_inside_;  ///< NAT44: subscriber 0
};

}  // namespace culvert::bench
