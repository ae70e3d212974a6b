/// ICMP errors between the families: the tables of RFC 7915 §4.2 (IPv4 → IPv6) and §5.2 (IPv6 → IPv4).
/// Pure functions; the caller moves the packet in the error and the checksums.
#pragma once

#include <cstdint>
#include <optional>

namespace culvert::net {

/// Type, code and what stands in the four bytes behind the checksum.
struct IcmpError {
  uint8_t type = 0;
  uint8_t code = 0;
  uint8_t pointer = 0;  ///< Parameter Problem
  uint32_t mtu = 0;     ///< Fragmentation Needed, Packet Too Big; 0 otherwise
};

/// MTUs of the interfaces on either side, which bound the MTU an error may announce (RFC 7915 §4.2, §5.2).
struct TranslatorMtu {
  uint32_t ipv4 = 1500, ipv6 = 1500;
};

/// nullopt: the error has no counterpart and is dropped. `inner_length` is the total length of the IPv4
/// packet in the error, for routers that give no MTU (RFC 1191 §7 plateaus).
std::optional<IcmpError> icmp4_to_icmp6(const IcmpError& e, unsigned inner_length, const TranslatorMtu& mtu);
std::optional<IcmpError> icmp6_to_icmp4(const IcmpError& e, const TranslatorMtu& mtu);

}  // namespace culvert::net
