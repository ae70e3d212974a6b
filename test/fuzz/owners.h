/// Whose a packet is: everything that goes into the box carries a tag of its own in its payload, by which it
/// is known again when it leaves. From what leaves it is learned which external endpoint is whose, and what
/// is delivered must be for him.
///
/// What is learned holds for kSure: no mapping ends so soon (the shortest timeout is icmp-timeout, 60 s), so
/// nothing need be known of the box's inside. A packet without room for a tag, one that is no transport
/// packet (a fragment) and one that was altered afterwards prove nothing.
#pragma once

#include <array>
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "box.h"
#include "frames.h"

namespace culvert::fuzz {

/// An address and port (ICMP: identifier) of a subscriber, or of a pool, which has only the IPv4 address.
struct Endpoint {
  std::array<uint8_t, 16> ipv6{};  ///< the phone, or the home's end of the softwire
  uint32_t ipv4 = 0;
  uint16_t port = 0;
  uint8_t protocol = 0;
  auto operator<=>(const Endpoint&) const = default;
};
std::string text(const Endpoint& e);

class Owners {
 public:
  static constexpr Millis kSure = 30'000;

  /// Writes a tag into a packet that is about to go in from `side`, and bytes that depend on it behind it; a
  /// right transport checksum stays right. Removes tags that do not belong there.
  void tag(Bytes& packet, Side side);
  /// Tags the packet that an ICMP error is about.
  void tag_quoted(Bytes& packet);
  /// What has its tag in these bytes need not come out as it was.
  void alter(const Bytes& packet);
  /// Judges a whole packet that left, and learns from it. Says what is wrong; empty: nothing.
  std::string judge(const Bytes& packet, Side side, Millis now);
  /// Deliveries that were judged by what was known.
  uint64_t proven() const { return proven_; }

 private:
  enum class Way : uint8_t { out, in, quoted };
  struct Claim {
    Way way;
    Endpoint from, to;
    size_t payload;  ///< bytes, the tag's too
    bool good;       ///< its transport checksum was right
    bool altered;
  };
  struct Known {
    Endpoint who;
    Millis when;
  };

  void write(Bytes& packet, const Layout& l, Way way);
  const Claim* claim_in(std::span<const uint8_t> packet, const Layout& l) const;
  std::string learn(const Endpoint& external, const Endpoint& who, Millis now);
  std::string delivered(const Endpoint& external, const Endpoint& who, Millis now);
  std::string judge_error(const Bytes& packet, const Layout& l, Side side, Millis now);

  std::unordered_map<uint32_t, Claim> claims_;
  std::map<Endpoint, Known> known_;
  uint32_t next_ = 0;
  uint64_t proven_ = 0;
};

}  // namespace culvert::fuzz
