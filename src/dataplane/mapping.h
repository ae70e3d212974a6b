/// A mapping (RFC 4787 §4.1; RFC 6146's BIB entry): one internal endpoint bound to one external endpoint, in
/// one cache line. All three carriages share it; what differs is only how the internal endpoint is keyed:
///
/// | carriage | ipv6                 | ipv4           | context                         |
/// |----------|----------------------|----------------|---------------------------------|
/// | nat44    | 0                    | inner source   | 0                               |
/// | ds-lite  | the B4's address     | inner source   | which AFTR address of ours      |
/// | nat64    | the host's address   | 0              | which NAT64 prefix of ours      |
///
/// The context makes the prefix part of a NAT64 mapping's key and tells which address of ours an answer
/// through a softwire must come from. Records belong to one worker, which alone writes them.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "config/config.h"
#include "dataplane/time.h"
#include "net/address.h"
#include "net/hash.h"
#include "net/ipv6_words.h"

namespace culvert::dataplane {

using config::Carriage;
using config::Protocol;

/// Context 0 is plain IPv4; the others are numbered by the Tables (tables.h) and stay with what they stand
/// for.
using Context = uint8_t;
inline constexpr Context kNativeContext = 0;

/// The internal endpoint: the key of the outbound index. ICMP queries use their identifier as the port.
struct InternalKey {
  net::Ipv6Address ipv6;
  net::Ipv4Address ipv4;
  net::Be16 port;
  Protocol protocol = Protocol::udp;
  Context context = kNativeContext;

  /// The key as three words: what is hashed and compared.
  using Words = std::array<uint64_t, 3>;
  /// The last word. The packet path makes keys of whole words, since a word that was stored in pieces cannot
  /// be loaded before all of them have left the store buffer.
  static constexpr uint64_t tail(net::Ipv4Address ipv4, net::Be16 port, Protocol protocol, Context context) {
    static_assert(std::endian::native == std::endian::little);
    return ipv4.bits.raw() | uint64_t{port.raw()} << 32 | uint64_t{static_cast<uint8_t>(protocol)} << 48 |
           uint64_t{context} << 56;
  }
  void set(const net::Ipv6Words& address, uint64_t last) {
    address.put(ipv6);
    std::memcpy(reinterpret_cast<uint8_t*>(this) + 16, &last, 8);
  }
  /// Whose packets these are, all but their transport part.
  void set_host(const net::Ipv6Words& address, net::Ipv4Address inner, Context number) {
    set(address, tail(inner, {}, {}, number));
  }
  Words words() const { return std::bit_cast<Words>(*this); }
  uint64_t hash(const net::HashKey& k) const {
    const Words w = words();
    return net::hash(k, w[0], w[1], w[2]);
  }
  bool operator==(const InternalKey& o) const {
    const Words a = words(), b = o.words();
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2])) == 0;
  }
};
static_assert(sizeof(InternalKey) == 24 && std::has_unique_object_representations_v<InternalKey>);

/// The external endpoint: the key of the inbound index.
struct ExternalKey {
  net::Ipv4Address address;
  net::Be16 port;
  Protocol protocol = Protocol::udp;

  uint64_t hash(const net::HashKey& k) const {
    return net::hash(
        k, uint64_t{address.bits.raw()} << 32 | uint64_t{port.raw()} << 8 | static_cast<uint8_t>(protocol));
  }
  bool operator==(const ExternalKey&) const = default;
};

/// The other end of a session.
struct RemoteEndpoint {
  net::Ipv4Address address;
  net::Be16 port;
  bool operator==(const RemoteEndpoint&) const = default;
};

/// State of a TCP session (RFC 6146 §3.5.2, which serves all carriages), or of a mere filter entry.
enum class SessionState : uint8_t {
  none,      ///< no session here
  filter,    ///< UDP, ICMP: this remote was sent to (adf and edf filtering)
  in_init,   ///< V4 INIT: SYN seen from outside
  out_init,  ///< V6 INIT: SYN seen from inside
  established,
  in_fin,      ///< V4 FIN RCV
  out_fin,     ///< V6 FIN RCV
  both_fin,    ///< V6 FIN + V4 FIN RCV
  transitory,  ///< TRANS: RST seen
};

struct alignas(64) Mapping {
  InternalKey internal;
  net::Ipv4Address external_address;
  net::Be16 external_port;
  SessionState first_state = SessionState::none;  ///< state of the session with first_remote
  uint8_t instance = 0;                           ///< slot in Tables
  ShortTime expires;                              ///< TCP: of the first session; UDP, ICMP: of the mapping
  uint32_t subscriber = 0;                        ///< record number in the SubscriberTable
  net::Ipv4Address first_remote_address;
  net::Be16 first_remote_port;
  /// Raw (checksum.h), outbound: what the transport checksum grows by, from ports and, where there is one,
  /// the pseudo-header (ICMPv4 has none); inbound: its inverse.
  uint16_t transport_delta = 0;
  uint16_t address_delta = 0;   ///< raw, outbound: external minus internal IPv4 address; 0 for nat64
  uint16_t extra_sessions = 0;  ///< sessions in the SessionTable
  uint32_t first_extra = 0;     ///< head of their chain there; means nothing without them
  ShortTime created;            ///< a static mapping's age is known modulo 49 days
  bool in_use : 1 = false;
  bool is_static : 1 = false;  ///< never expires, holds an explicit port
  uint8_t spare[3] = {};

  ExternalKey external() const { return {external_address, external_port, internal.protocol}; }
  bool matches(const InternalKey& k) const { return internal == k; }
  bool matches(const ExternalKey& k) const {
    return external_address == k.address && external_port == k.port && internal.protocol == k.protocol;
  }
  RemoteEndpoint first_remote() const { return {first_remote_address, first_remote_port}; }
  void set_first(const RemoteEndpoint& r, SessionState s) {
    first_remote_address = r.address;
    first_remote_port = r.port;
    first_state = s;
  }
};
static_assert(sizeof(Mapping) == 64);

}  // namespace culvert::dataplane
