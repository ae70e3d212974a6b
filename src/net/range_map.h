/// Longest-prefix match over an immutable set of prefixes, as sorted disjoint ranges and a binary search.
///
/// It serves the slow path only (is this a subscriber? is this a pool address?): packets of known mappings never
/// ask. Against rte_lpm/rte_fib it needs no DPDK heap (replay runs without), a megabyte per fifty thousand prefixes
/// instead of 64 MiB each, and swaps as one pointer. Ranges nest properly because prefixes do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "net/address.h"
#include "net/uint128.h"

namespace culvert::net {

/// An address as an integer in host order.
inline uint32_t number(Ipv4Address a) { return a.value(); }
inline Uint128 number(const Ipv6Address& a) { return Uint128{a.high()} << 64 | a.low(); }

template <typename Prefix, typename Value>
class RangeMap {
 public:
  using Number = decltype(number(Prefix{}.address));
  struct Entry {
    Prefix prefix;
    Value value;
  };

  RangeMap() = default;
  /// Longer prefixes win over the shorter ones that contain them; of two equal prefixes the later one wins.
  explicit RangeMap(std::vector<Entry> entries) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.prefix.length < b.prefix.length; });
    for (const Entry& e : entries) cut_in(number(e.prefix.address), last_of(e.prefix), e.value);
  }

  /// The value of the longest prefix that contains the address, or nullptr.
  template <typename Address>
  const Value* find(const Address& address) const {
    Number n = number(address);
    auto it = std::upper_bound(ranges_.begin(), ranges_.end(), n,
                               [](Number x, const Range& r) { return x < r.first; });
    if (it == ranges_.begin()) return nullptr;
    --it;
    return n <= it->last ? &it->value : nullptr;
  }
  bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    Number first, last;
    Value value;
  };

  static Number last_of(const Prefix& p) {
    constexpr unsigned kBits = sizeof(Number) * 8;
    Number host = p.length == 0 ? ~Number{0} : (p.length == kBits ? 0 : (Number{1} << (kBits - p.length)) - 1);
    return number(p.address) | host;
  }

  /// Puts a range in, splitting the one that contains it (prefixes nest: there is at most one, or it covers all).
  void cut_in(Number first, Number last, const Value& value) {
    std::vector<Range> next;
    next.reserve(ranges_.size() + 2);
    bool placed = false;
    for (const Range& r : ranges_) {
      if (r.last < first) {
        next.push_back(r);
        continue;
      }
      if (r.first < first) next.push_back({r.first, first - 1, r.value});
      if (!placed) {
        next.push_back({first, last, value});
        placed = true;
      }
      if (r.first > last) next.push_back(r);
      else if (r.last > last) next.push_back({last + 1, r.last, r.value});
    }
    if (!placed) next.push_back({first, last, value});
    ranges_ = std::move(next);
  }

  std::vector<Range> ranges_;
};

}  // namespace culvert::net
