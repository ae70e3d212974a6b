/// Unsolicited SYNs from outside, kept for a while before they are answered (RFC 5382 REQ-4, RFC 6146
/// §3.5.2.2). Two ends that open to each other at once both send a SYN, and the outer one may be first: an
/// error at once would end the attempt. So a SYN that no mapping or its filter lets in is dropped, remembered
/// for tcp-in-syn-timeout, and then its sender is told port unreachable, unless a SYN of the same connection
/// went out meanwhile.
///
/// What went out is seen when the time is over, not when it goes: whoever sent a SYN has a session for
/// tcp-trans-open-timeout at least. So outbound packets pay nothing, and for inbound ones everything lies
/// behind the lookup that failed. (With a tcp-in-syn-timeout longer than tcp-trans-open-timeout a session may
/// be over before it is looked for.)
///
/// Most unsolicited SYNs are strangers' scans, which never end. They must cost little, silence no other error
/// and be of no use against others:
///   - Only what the error quotes is kept (RFC 792: IP header and eight bytes), in a ring of fixed size. All
///     wait in it equally long; where instances have different times, at least as long as each asks for.
///   - SYNs are answered at a quarter of icmp-error-rate-limit, evenly, so that a scan never uses up what
///     Fragmentation Needed is paid from; no more are kept than can be answered so. Without
///     icmp-error-rate-limit none are.
///   - One source has kShare at most, by a keyed hash; a SYN that is sent again is kept once.
///   - Who finds no room is dropped in silence, which is always safe: REQ-4 forbids the early answer, and
///     only recommends the late one.
///   - The answer, a port unreachable, is 56 bytes, 20 + 8 + what is quoted, for at least 40: forged sources
///     make it go to somebody else, but hardly bigger, seldom, and to each at most kShare times in the time
///     it takes.
///   - An unmapped port and one whose filter refuses are answered alike, so a scan does not tell them apart.
///     Ports outside of `port-range`, addresses of other workers, and sources in our own pools get nothing.
///
/// In the books a held SYN is a dropped packet (no-mapping, filtered), and the answer one more ICMP error
/// sent.
///
/// Belongs to one worker.
#pragma once

#include <array>

#include "dataplane/mapping.h"
#include "dataplane/time.h"
#include "net/hash.h"
#include "net/headers.h"

namespace culvert::dataplane {

/// The beginning of a SYN: its IPv4 header with options, and the ports and sequence number behind it.
struct HeldSyn {
  static constexpr unsigned kTcpBytes = 8;  ///< RFC 792: 64 bits of the original datagram's data

  Millis due = 0;
  uint8_t interface = 0;  ///< where it came in
  std::array<uint8_t, 60 + kTcpBytes> bytes;

  const net::Ipv4Header& ip() const { return *reinterpret_cast<const net::Ipv4Header*>(bytes.data()); }
  unsigned size() const { return ip().header_length() + kTcpBytes; }
  ExternalKey external() const { return {ip().destination, port(2), Protocol::tcp}; }
  RemoteEndpoint remote() const { return {ip().source, port(0)}; }

 private:
  net::Be16 port(unsigned at) const {
    return *reinterpret_cast<const net::Be16*>(bytes.data() + ip().header_length() + at);
  }
};

class HeldSyns {
 public:
  static constexpr unsigned kCapacity = 256;
  static constexpr unsigned kShare = 4;  ///< of one source, or of sources with the same hash

  explicit HeldSyns(const net::HashKey& key) : key_(key) {}

  /// Keeps a SYN (`ip` is its IPv4 header, behind which the TCP header is known to be) for `wait`
  /// milliseconds. `rate`: ICMP errors a second that may be made on this side. False: it is not kept.
  bool hold(const net::Ipv4Header& ip, uint8_t interface, uint32_t wait, uint32_t rate, Millis now);

  /// The SYN whose turn it is, or nullptr.
  const HeldSyn* due(Millis now) const {
    if (count_ == 0) [[likely]]
      return nullptr;
    const HeldSyn& oldest = syns_[head_];
    return oldest.due <= now && next_answer_ <= now ? &oldest : nullptr;
  }
  /// Forgets the oldest; the next one's turn is not before the rate allows if that was answered.
  void pop(bool answered, uint32_t rate, Millis now);

  unsigned size() const { return count_; }

 private:
  static_assert(kCapacity == 256, "places in the ring are bytes, which wrap around by themselves");

  /// Of one or a few sources: how many SYNs, and where in the ring.
  struct Bucket {
    uint8_t count = 0;
    std::array<uint8_t, kShare> places{};
  };
  Bucket& bucket(net::Ipv4Address source) {
    return buckets_[net::hash(key_, source.value()) % buckets_.size()];
  }

  net::HashKey key_;
  std::array<HeldSyn, kCapacity> syns_;
  std::array<Bucket, 2 * kCapacity> buckets_{};
  unsigned count_ = 0;
  uint8_t head_ = 0;  ///< the oldest
  Millis last_due_ = 0;
  Millis next_answer_ = 0;
};

}  // namespace culvert::dataplane
