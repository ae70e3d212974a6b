/// An IPv6 address as two words as they lie in memory: what keys, masks and checksums are made of on the
/// packet path. Words stay in registers, where an address put together byte by byte must first have arrived
/// in memory before it can be read as a whole.
#pragma once

#include <cstdint>
#include <cstring>

#include "net/address.h"

namespace culvert::net {

struct Ipv6Words {
  uint64_t first = 0, second = 0;

  Ipv6Words() = default;
  explicit Ipv6Words(const Ipv6Address& a) {
    std::memcpy(&first, a.bytes.data(), 8);
    std::memcpy(&second, a.bytes.data() + 8, 8);
  }
  void put(Ipv6Address& a) const {
    std::memcpy(a.bytes.data(), &first, 8);
    std::memcpy(a.bytes.data() + 8, &second, 8);
  }
  bool operator==(const Ipv6Words&) const = default;
};

}  // namespace culvert::net
