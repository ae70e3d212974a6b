/// Longest-prefix match over an immutable set of prefixes, as sorted disjoint ranges and a binary search.
///
/// It serves the slow path only (is this a subscriber? is this a pool address?): packets of known mappings
/// never ask. Against rte_lpm/rte_fib it needs no DPDK heap (replay runs without), a megabyte per fifty
/// thousand prefixes instead of 64 MiB each, and swaps as one pointer. Ranges nest properly because prefixes
/// do.
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
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      const Number x = number(a.prefix.address), y = number(b.prefix.address);
      return x != y ? x < y : a.prefix.length < b.prefix.length;
    });
    std::vector<Range> open;  // the prefixes that contain the point reached, the shortest first
    Number reached = 0;       // everything below is in ranges_
    bool all = false;         // ... and so is everything
    // Ends every open prefix that ends before `until`.
    auto close = [&](Number until, bool to_the_end) {
      while (!open.empty() && (to_the_end || open.back().last < until)) {
        if (!all && reached <= open.back().last) {
          ranges_.push_back({reached, open.back().last, open.back().value});
          all = open.back().last == ~Number{0};
          reached = open.back().last + 1;
        }
        open.pop_back();
      }
    };
    for (const Entry& e : entries) {
      const Number first = number(e.prefix.address);
      close(first, false);
      if (!open.empty() && reached < first) ranges_.push_back({reached, first - 1, open.back().value});
      reached = first;
      open.push_back({first, last_of(e.prefix), e.value});
    }
    close(0, true);
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
    Number host =
        p.length == 0 ? ~Number{0} : (p.length == kBits ? 0 : (Number{1} << (kBits - p.length)) - 1);
    return number(p.address) | host;
  }

  std::vector<Range> ranges_;
};

}  // namespace culvert::net
