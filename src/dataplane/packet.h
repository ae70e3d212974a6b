/// A packet on its way through a worker, and the few operations on mbufs the pipeline uses.
///
/// Between the Ethernet header's removal and its writing anew, an mbuf's data begins at the outermost IP
/// header. The mbuf's `hash.usr` carries the Mark below while the packet lies in a ring.
///
/// In sanitizer builds all room around a packet's bytes is poisoned (fence()), so that a read one byte past
/// the packet crashes the tests although DPDK's memory is invisible to AddressSanitizer.
#pragma once

#include <rte_mbuf.h>

#include <bit>
#include <cstdint>

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

/// Four bytes that travel with an mbuf in a ring.
struct Mark {
  uint8_t interface = 0;  ///< where it came in; for a frame: where it is to leave
  Form form = Form::from_inside;
  bool handed_over = false;  ///< already went from one worker to another
  uint8_t spare = 0;

  static Mark of(const rte_mbuf* m) { return std::bit_cast<Mark>(m->hash.usr); }
  void put(rte_mbuf* m) const { m->hash.usr = std::bit_cast<uint32_t>(*this); }
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
/// Cuts `n` bytes off the front; the caller knows they are there.
inline void strip(rte_mbuf* m, unsigned n) {
  m->data_off = static_cast<uint16_t>(m->data_off + n);
  m->data_len = static_cast<uint16_t>(m->data_len - n);
  m->pkt_len -= n;
  fence(m);
}
/// Makes the packet exactly `n` bytes long, cutting Ethernet padding off its end.
inline void trim_to(rte_mbuf* m, unsigned n) {
  m->data_len = static_cast<uint16_t>(n);
  m->pkt_len = n;
  fence(m);
}
/// Room for `n` more bytes in front, or nullptr when there is none.
inline uint8_t* prepend(rte_mbuf* m, unsigned n) {
  if (rte_pktmbuf_headroom(m) < n) return nullptr;
  m->data_off = static_cast<uint16_t>(m->data_off - n);
  m->data_len = static_cast<uint16_t>(m->data_len + n);
  m->pkt_len += n;
  fence(m);
  return bytes_of(m);
}

/// A packet while one burst lasts: where its headers are and what was found out about it.
struct Packet {
  rte_mbuf* m = nullptr;
  net::Ipv4Header* ip4 = nullptr;  ///< the IPv4 header that is translated; null for NAT64 from inside
  net::Ipv6Header* ip6 = nullptr;  ///< the outermost header when that is IPv6
  uint8_t* l4 = nullptr;           ///< transport header
  uint16_t l4_length = 0;          ///< bytes from there to the end of the packet
  uint8_t tcp_flags = 0;
  uint8_t interface = 0;  ///< came in here
  bool handed_over = false;
  bool hairpin = false;
  Carriage carriage = Carriage::nat44;
  InternalKey internal;   ///< outbound: whose it is
  ExternalKey external;   ///< inbound: where to
  RemoteEndpoint remote;  ///< the other end, IPv4 also for NAT64
  uint64_t hash = 0;
  uint32_t mapping = ~uint32_t{0};

  net::TcpHeader* tcp() const { return reinterpret_cast<net::TcpHeader*>(l4); }
  net::UdpHeader* udp() const { return reinterpret_cast<net::UdpHeader*>(l4); }
  net::IcmpHeader* icmp() const { return reinterpret_cast<net::IcmpHeader*>(l4); }
};

}  // namespace culvert::dataplane
