// For the tests of fragments: a Reassembly with its counters and clock, fed from a pool of buffers that is
// counted. What lies in a pool's buffer and is not held by the Reassembly has leaked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "dataplane/eal.h"
#include "dataplane/fragments/join.h"
#include "dataplane/fragments/reassembly.h"
#include "dataplane/packet.h"

namespace culvert::test {

using namespace culvert::dataplane;
using Bytes = std::vector<uint8_t>;
using Kind = DatagramKey::Kind;

inline BufferPool test_buffers(uint32_t count, uint16_t mtu) {
  init_eal_for_replay();
  return make_buffers("fragments", count, mtu);
}

/// The key of IPv4 datagram `id` that `host` sends.
inline DatagramKey key_of(uint32_t host, uint16_t id) {
  net::Ipv4Header ip{};
  ip.protocol = net::kIpUdp;
  ip.id = net::Be16(id);
  ip.source = net::Ipv4Address(0x0a000000u + host);
  ip.destination = net::Ipv4Address(0xc6336401u);
  return DatagramKey::ipv4(ip);
}
inline uint64_t owner_of(uint32_t host) { return net::hash(net::HashKey{}, host); }

/// A fragment of a datagram without a header worth the name: byte n of its payload is known from n.
struct Piece {
  unsigned offset, length;
  bool more;
  uint8_t content = 0;  ///< another one has other bytes in it
  uint8_t ecn = 0;
};
/// A content that is the same everywhere.
constexpr uint8_t kFlat = 0xff;
inline uint8_t payload_byte(unsigned at, uint8_t content = 0) {
  if (content == kFlat) return kFlat;
  return static_cast<uint8_t>(at * 7 + at / 251 + content);
}

class FragmentBench {
 public:
  static constexpr Millis kStart = 1'700'000'000'000;
  static constexpr uint32_t kTimeout = 2000;  ///< RFC 6146 §3.4
  static constexpr unsigned kHeader = 20;

  FragmentBench(BufferPool& pool, uint32_t capacity)
      : waiting(capacity, net::HashKey{}, counters), pool_(pool) {}

  Counters counters;
  Reassembly waiting;
  Millis now = kStart;

  uint64_t drops(DropReason r) const { return counters.drops[static_cast<size_t>(r)].get(); }
  uint64_t all_drops() const {
    uint64_t n = 0;
    for (const Counter& c : counters.drops) n += c.get();
    return n;
  }
  unsigned buffers_taken() const { return rte_mempool_in_use_count(pool_.get()); }
  /// Every fragment is in one place: it waits, it was dropped, or it was handed out in a datagram.
  bool accounts_are_right() const {
    return counters.fragments_received.get() == waiting.held() + handed_out + all_drops() &&
           counters.fragments_held.get() == waiting.held() && buffers_taken() == waiting.held();
  }

  rte_mbuf* buffer_with(std::span<const uint8_t> bytes) {
    rte_mbuf* m = rte_pktmbuf_alloc(pool_.get());
    if (m == nullptr) throw std::runtime_error("the test's buffers are used up");
    if (bytes.size() > rte_pktmbuf_tailroom(m)) throw std::runtime_error("the test's buffers are too small");
    trim_to(m, static_cast<unsigned>(bytes.size()));
    std::ranges::copy(bytes, bytes_of(m));
    return m;
  }

  Reassembly::Whole add(const DatagramKey& key, uint64_t owner, const Piece& p) {
    Bytes bytes(kHeader, 0x45);
    for (unsigned i = 0; i < p.length; i++) bytes.push_back(payload_byte(p.offset + i, p.content));
    return waiting.add(
        key, owner, {buffer_with(bytes), 0, kHeader, p.length, p.offset, p.more, kHeader + p.length, p.ecn},
        now, kTimeout);
  }
  Reassembly::Whole add(uint32_t host, uint16_t id, const Piece& p) {
    return add(key_of(host, id), owner_of(host), p);
  }
  /// Whether this piece made a datagram whole, one that has the bytes it must have. Gives it back.
  bool completes(uint32_t host, uint16_t id, const Piece& p) {
    const Reassembly::Whole whole = add(host, id, p);
    if (whole.first == nullptr) return false;
    const Bytes bytes = join(whole, Kind::ipv4);
    for (unsigned i = 0; i < whole.length; i++)
      if (bytes.at(kHeader + i) != payload_byte(i)) throw std::runtime_error("joined to other bytes");
    return true;
  }
  /// The datagram's bytes, in a buffer without a byte to spare. Gives the fragments back.
  Bytes join(const Reassembly::Whole& whole, Kind kind) {
    Bytes bytes(joined_length(whole, kind));
    if (!bytes.empty()) join_fragments(bytes.data(), whole, kind);
    give_back(whole);
    return bytes;
  }
  void give_back(const Reassembly::Whole& whole) {
    unsigned n = 0;
    for (rte_mbuf* m = whole.first; m != nullptr; n++) {
      rte_mbuf* next = std::exchange(m->next, nullptr);
      free_packet(m);
      m = next;
    }
    handed_out += n;
    if (n != whole.fragments) throw std::runtime_error("a datagram of another number of fragments");
  }
  /// Polls as a worker does, every millisecond, until `until`.
  void wait_until(Millis until) {
    while (now < until) {
      now++;
      while (waiting.sweep(now)) {
      }
    }
  }

  uint64_t handed_out = 0;  ///< fragments of whole datagrams

 private:
  BufferPool& pool_;
};

}  // namespace culvert::test
