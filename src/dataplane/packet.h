/// A packet on its way through a worker, and the few operations on it the pipeline uses.
///
/// While a packet is in the pipeline its borders stand in the Packet, not in the mbuf: `data` is the first
/// byte of its outermost IP header, and every header that comes off or on moves that pointer only. settle()
/// writes them into the mbuf again, when the packet goes to a device or into a ring. The mbuf's `hash`
/// carries the Mark below while the packet lies in a ring.
///
/// A packet is one segment. What came in fragments and became whole may be longer than any device takes; it
/// lies in a buffer of its own kind (Fabric::datagrams), and `cut` tells that it leaves in pieces.
///
/// In sanitizer builds all room around a packet's bytes is poisoned (fence()), so that a read one byte past
/// the packet crashes the tests although DPDK's memory is invisible to AddressSanitizer.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

#include "dataplane/mapping.h"
#include "net/headers.h"

#ifdef CULVERT_SANITIZE
#include <sanitizer/asan_interface.h>
#endif

namespace culvert::dataplane {

/// What a packet in a ring is.
enum class Form : uint8_t {
  from_inside,   ///< an IP packet that came in on an inside interface
  from_outside,  ///< an IPv4 packet for a pool address, from outside
  hairpin,       ///< an IPv4 packet for a pool address that a subscriber sent; already translated outbound
  frame,         ///< an untagged Ethernet frame of the kernel's; the worker adds the interface's tag
};

/// Eight bytes that travel with an mbuf in a ring.
struct Mark {
  uint8_t interface = 0;  ///< where it came in; for a frame: where it is to leave
  Form form = Form::from_inside;
  bool handed_over = false;  ///< already went from one worker to another
  uint8_t spare[3] = {};
  uint16_t cut = 0;  ///< Packet::cut

  static Mark of(const rte_mbuf* m) {
    Mark mark;
    std::memcpy(static_cast<void*>(&mark), &m->hash, sizeof mark);
    return mark;
  }
  void put(rte_mbuf* m) const {
    static_assert(sizeof *this == sizeof m->hash);
    std::memcpy(&m->hash, this, sizeof *this);
  }
};

inline uint8_t* bytes_of(rte_mbuf* m) { return rte_pktmbuf_mtod(m, uint8_t*); }

#ifdef CULVERT_SANITIZE
/// Opens the whole buffer, for code that is about to move the packet's borders.
inline void unfence(rte_mbuf* m) { __asan_unpoison_memory_region(m->buf_addr, m->buf_len); }
/// Closes everything but the packet's bytes.
inline void fence(rte_mbuf* m) {
  auto* buffer = static_cast<uint8_t*>(m->buf_addr);
  __asan_poison_memory_region(buffer, m->buf_len);
  __asan_unpoison_memory_region(buffer + m->data_off, m->data_len);
}
#else
inline void unfence(rte_mbuf*) {}
inline void fence(rte_mbuf*) {}
#endif

/// Gives a packet back to its pool.
inline void free_packet(rte_mbuf* m) {
  unfence(m);
  rte_pktmbuf_free(m);
}
/// Makes a fresh mbuf's packet exactly `n` bytes long.
inline void trim_to(rte_mbuf* m, unsigned n) {
  m->data_len = static_cast<uint16_t>(n);
  m->pkt_len = n;
  fence(m);
}

inline constexpr uint16_t kAnySize = 65'535;

/// A packet while one burst lasts: where its headers are and what was found out about it. What no comment
/// says is set from the start is not, before its stage: clearing it would cost every packet.
struct Packet {
  /// The packet that an mbuf of one segment holds, from its first byte on, as it came from a ring.
  explicit Packet(rte_mbuf* mbuf) : Packet(mbuf, 0, 0) {}
  /// The same behind `l2` bytes of Ethernet header, as it came in on an interface.
  Packet(rte_mbuf* mbuf, unsigned l2, uint8_t came_in)
      : m(mbuf),
        data(bytes_of(mbuf) + l2),
        ip4(nullptr),
        ip6(nullptr),
        length(mbuf->data_len - l2),
        cut(0),
        l2_length(static_cast<uint8_t>(l2)),
        interface(came_in),
        handed_over(false),
        hairpin(false) {}

  rte_mbuf* m;           ///< set from the start
  uint8_t* data;         ///< set; its first byte: the outermost IP header
  net::Ipv4Header* ip4;  ///< set: null; the IPv4 header that is translated; null for NAT64 from inside
  net::Ipv6Header* ip6;  ///< set: null; the outermost header when that is IPv6
  uint8_t* l4;           ///< transport header
  uint32_t length;       ///< set; bytes from data to its end
  /// Set: 0, it came whole in a buffer of the ports. Otherwise it leaves in pieces of at most so many bytes:
  /// the largest that it came in, or kAnySize, and always as a copy.
  uint16_t cut;
  uint8_t l2_length;      ///< set; bytes of Ethernet header before data; 0: it came without one
  uint8_t interface;      ///< set; came in here
  bool handed_over;       ///< set
  bool hairpin;           ///< set
  uint16_t l4_length;     ///< bytes from l4 to its end
  uint8_t tcp_flags;      ///< TCP only
  Carriage carriage;      ///< outbound
  uint32_t fragment_id;   ///< identification of the pieces, where `cut` is set and IPv4 became IPv6
  RemoteEndpoint remote;  ///< the other end, IPv4 also for NAT64
  uint32_t mapping;
  InternalKey internal;  ///< outbound: whose it is
  ExternalKey external;  ///< inbound: where to
  uint64_t hash;

  net::TcpHeader* tcp() const { return reinterpret_cast<net::TcpHeader*>(l4); }
  net::UdpHeader* udp() const { return reinterpret_cast<net::UdpHeader*>(l4); }
  net::IcmpHeader* icmp() const { return reinterpret_cast<net::IcmpHeader*>(l4); }
};

#ifdef CULVERT_SANITIZE
inline void fence(const Packet& p) {
  __asan_poison_memory_region(p.m->buf_addr, p.m->buf_len);
  __asan_unpoison_memory_region(p.data, p.length);
}
#else
inline void fence(const Packet&) {}
#endif

/// Cuts `n` bytes off the front; the caller knows they are there.
inline void strip(Packet& p, unsigned n) {
  p.data += n;
  p.length -= n;
  fence(p);
}
/// Makes the packet `n` bytes long, cutting Ethernet padding off its end.
inline void trim_to(Packet& p, unsigned n) {
  p.length = n;
  fence(p);
}
/// Room for `n` more bytes in front, or nullptr when there is none.
inline uint8_t* prepend(Packet& p, unsigned n) {
  if (static_cast<size_t>(p.data - static_cast<uint8_t*>(p.m->buf_addr)) < n) [[unlikely]]
    return nullptr;
  p.data -= n;
  p.length += n;
  fence(p);
  return p.data;
}
/// Tells the mbuf where its packet of at most 65,535 bytes begins and ends, and opens the room around it.
inline void settle(const Packet& p) {
  p.m->data_off = static_cast<uint16_t>(p.data - static_cast<uint8_t*>(p.m->buf_addr));
  p.m->data_len = static_cast<uint16_t>(p.length);
  p.m->pkt_len = p.length;
  unfence(p.m);
}

}  // namespace culvert::dataplane
