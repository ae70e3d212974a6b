/// Reassembly: fragments wait here until their datagram is whole (RFC 791 §3.2, RFC 8200 §4.5). There is one
/// for all modes. Whatever arrives in pieces — an IPv4 packet from either side, a NAT64 host's IPv6 packet,
/// the outer packet of a softwire (RFC 6333 §6.3), the IPv4 packet inside one — becomes whole at the worker
/// that owns it, takes the ordinary way through the pipeline, and is cut again where it leaves (cut.h).
/// Nothing else translates every datagram: an ICMP checksum cannot be moved between families without the
/// datagram's length, and a UDP datagram without a checksum cannot get one without its last byte.
///
/// Theory of operation. The mbufs themselves wait, unchanged, sorted by offset. A datagram is whole when its
/// last fragment is there and the bytes add up, because bytes that are there already are never taken in
/// again: a fragment that overlaps another ends its datagram (RFC 5722 §3, RFC 8200 §4.5; for IPv4 too, since
/// whoever overlaps fragments wants to be misread), one that is there already is dropped by itself. What was
/// refused stays refused until its time has passed, so that the rest of it finds nothing to join.
///
/// Bounds (RFC 6146 §3.4, RFC 4787 REQ-14a). Number, bytes and time:
///   - `capacity` fragments in all, each one buffer of the ports; kMostFragments of a datagram;
///   - a quarter of the capacity for one owner (share_of()); over it he loses his oldest datagram;
///   - fragment-min-timeout from a datagram's first fragment.
/// When all room is taken the owner with most loses his oldest datagram, if he has more than a quarter of
/// what an owner may have; otherwise the oldest of all goes. So somebody with few datagrams loses them only
/// to many others like him, and then only when they are no younger. Inside and outside have a Reassembly
/// each: neither side's flood reaches the other.
///
/// Every fragment is accounted for: it is held, or dropped under a reason, or merged into a datagram.
///
/// Belongs to one worker.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/counters.h"
#include "dataplane/deadlines.h"
#include "dataplane/fragments/fair_shares.h"
#include "dataplane/mapping.h"
#include "net/hash.h"
#include "net/headers.h"
#include "net/ipv6_words.h"

namespace culvert::dataplane {

/// What fragments of one datagram have in common (RFC 791 §3.2, RFC 8200 §4.5), and where they are from: the
/// same addresses and identification may come from two homes.
struct DatagramKey {
  enum class Kind : uint8_t {
    ipv4,           ///< plain
    ipv6,           ///< to a NAT64 prefix or an AFTR address
    softwire_inner  ///< an IPv4 fragment in a softwire
  };
  Kind kind() const { return static_cast<Kind>(rest >> 48); }
  Context context() const { return static_cast<Context>(rest >> 40); }

  net::Ipv6Words source;       ///< IPv6 source; ipv4: none
  net::Ipv6Words destination;  ///< ipv6: all of it; otherwise IPv4 source and destination
  uint64_t rest = 0;           ///< identification, protocol (IPv4), context, kind

  static DatagramKey ipv4(const net::Ipv4Header& ip) {
    return {{}, addresses_of(ip), tail(ip.id.value(), ip.protocol, kNativeContext, Kind::ipv4)};
  }
  static DatagramKey ipv6(const net::Ipv6Header& ip, uint32_t id, Context context) {
    return {net::Ipv6Words(ip.source), net::Ipv6Words(ip.destination), tail(id, 0, context, Kind::ipv6)};
  }
  static DatagramKey softwire_inner(const net::Ipv6Header& outer, const net::Ipv4Header& ip,
                                    Context context) {
    return {net::Ipv6Words(outer.source), addresses_of(ip),
            tail(ip.id.value(), ip.protocol, context, Kind::softwire_inner)};
  }
  uint64_t hash(const net::HashKey& k) const {
    return net::hash(k, net::hash(k, source.first, source.second, rest), destination.first,
                     destination.second);
  }
  bool operator==(const DatagramKey& o) const {
    return source == o.source && destination == o.destination && rest == o.rest;
  }

 private:
  static net::Ipv6Words addresses_of(const net::Ipv4Header& ip) {
    net::Ipv6Words w;
    w.first = uint64_t{ip.source.bits.raw()} << 32 | ip.destination.bits.raw();
    return w;
  }
  static uint64_t tail(uint32_t id, uint8_t protocol, Context context, Kind kind) {
    return id | uint64_t{protocol} << 32 | uint64_t{context} << 40 |
           uint64_t{static_cast<uint8_t>(kind)} << 48;
  }
};

/// A fragment, as its place in a packet was found.
struct Fragment {
  rte_mbuf* m;       ///< one segment; data_off is where the outermost IP header begins
  unsigned header;   ///< bytes from there to the IP header that says it is a fragment
  unsigned headers;  ///< bytes from there to the payload
  unsigned length;   ///< bytes of payload
  unsigned offset;   ///< of the payload in its datagram, in bytes
  bool more;         ///< more fragments follow
  unsigned size;     ///< bytes of the fragment as an IP packet of its family: none larger need leave again
  uint8_t ecn;       ///< net::Ecn (RFC 3168 §5.3); in a softwire, what both headers say together

  /// RFC 791 §3.2, RFC 8200 §4.5: no datagram has such a piece.
  bool is_malformed() const {
    constexpr unsigned kLargestDatagram = 65'535;
    const bool odd = more && length % 8 != 0;
    return length == 0 || odd || offset + length > kLargestDatagram;
  }
};

class Reassembly {
 public:
  /// A datagram whose last fragment came. Its fragments hang on `first` by mbuf::next, in order; they are the
  /// caller's.
  struct Whole {
    rte_mbuf* first = nullptr;  ///< null: it is not whole yet
    uint32_t length = 0;        ///< bytes of payload
    uint16_t fragments = 0;
    uint16_t largest = 0;     ///< of Fragment::size
    bool congestion = false;  ///< a fragment was marked CE
  };
  /// What is known of a fragment that is part of a Whole: as in Fragment.
  struct Place {
    uint16_t header, headers, length, offset;
    static Place of(const rte_mbuf* m);
  };

  /// Fragments of a datagram: 65,535 bytes in packets of 576 bytes, the least that every host takes.
  static constexpr unsigned kMostFragments = 120;
  /// What an owner may have of `capacity`: a quarter, but one large datagram and a fragment more where there
  /// is room for that.
  static constexpr uint32_t share_of(uint32_t capacity) {
    return std::min(capacity, std::max(capacity / 4, kMostFragments + 1));
  }

  /// `capacity`: fragments held at once. Drops are counted in `counters`.
  Reassembly(uint32_t capacity, const net::HashKey& key, Counters& counters);
  ~Reassembly();
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;
  /// Bytes of its tables, in the order in which they are taken.
  static constexpr std::array<size_t, 7> tables_for(uint32_t capacity);

  /// Takes a fragment in: it is held from now on, dropped, or the last one missing. `owner`: whose it is, for
  /// fair_shares.h. `timeout`: fragment-min-timeout, in milliseconds, for a datagram that begins.
  Whole add(const DatagramKey& key, uint64_t owner, const Fragment& fragment, Millis now, uint32_t timeout);
  /// Ends datagrams whose time has passed; a little at each call. Returns whether more is due.
  bool sweep(Millis now);

  uint32_t held() const { return held_; }

 private:
  using DatagramId = uint32_t;
  static constexpr DatagramId kNone = TaggedIndex::kNone;
  struct Links {
    DatagramId older = kNone, newer = kNone;
  };
  enum class State : uint8_t { free, waiting, refused };
  struct Datagram {
    DatagramKey key;
    FairShares::OwnerId owner;  ///< while it waits
    Links of_owner;             ///< among his, while it waits
    Links of_all;  ///< among all that wait, or all that are refused; `newer` of a free one: the next
    ShortTime deadline;
    rte_mbuf *first, *last;
    uint32_t bytes;   ///< of payload that are there
    uint32_t length;  ///< of payload, once the last fragment came; 0: not known
    uint16_t fragments;
    uint16_t largest;
    State state;
    uint8_t ecn;     ///< a bit for each ECN field that was seen
    DropReason why;  ///< it was refused
  };
  /// Two records for a fragment: refused ones have no fragments.
  static constexpr uint32_t records_for(uint32_t capacity) { return 2 * capacity; }
  struct List {
    DatagramId oldest = kNone, newest = kNone;
  };

  DatagramId find(const DatagramKey& key, uint64_t hash) const;
  /// A record for a new datagram; kNone when there is no room for one.
  DatagramId begin(const DatagramKey& key, uint64_t hash, uint64_t owner, ShortTime deadline);
  /// Where a fragment belongs: behind `before`, the first if that is null.
  struct Gap {
    rte_mbuf* before = nullptr;
    rte_mbuf* after = nullptr;
  };
  /// nullopt: there is a gap for the fragment; else why it is refused.
  static std::optional<DropReason> find_gap(const Datagram& d, const Fragment& f, Gap* gap);
  void insert(Datagram& d, const Fragment& f, const Gap& gap);
  /// Refuses datagrams until there is room for one more fragment of this owner.
  void make_room(uint64_t owner);
  void drop(rte_mbuf* m, DropReason reason);
  /// Drops a waiting datagram's fragments; its record remains, so that the rest of them are refused.
  void refuse(DatagramId id, DropReason reason);
  /// Takes a datagram out of the lists of those who wait; its fragments no longer count.
  void leave(DatagramId id);
  void forget(DatagramId id);
  void end(DatagramId id);
  template <Links Datagram::* kLinks>
  void append(List& list, DatagramId id);
  template <Links Datagram::* kLinks>
  void remove(List& list, DatagramId id);

  const net::HashKey key_;
  const uint32_t capacity_;
  Counters& counters_;
  HugeArray<Datagram> datagrams_;
  TaggedIndex index_;
  FairShares shares_;
  HugeArray<List> of_owner_;
  Deadlines deadlines_;
  List waiting_, refused_;
  DatagramId first_free_ = kNone;
  uint32_t used_ = 0;  ///< records ever used; those behind were not touched yet
  uint32_t held_ = 0;  ///< fragments
  Millis swept_ = 0;
};

constexpr std::array<size_t, 7> Reassembly::tables_for(uint32_t capacity) {
  const uint32_t records = records_for(capacity);
  const auto shares = FairShares::tables_for(capacity, share_of(capacity));
  return {records * sizeof(Datagram), TaggedIndex::bytes_for(records), shares[0], shares[1], shares[2],
          capacity * sizeof(List),    Deadlines::bytes_for(records)};
}

}  // namespace culvert::dataplane
