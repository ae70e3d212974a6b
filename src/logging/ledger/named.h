/// Whom a record names, and which external endpoint: the beginnings of bodies, which is all that finding
/// records takes.
///
/// Functions of values; any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <tuple>

#include "logging/ledger/bytes.h"
#include "logging/ledger/format.h"
#include "logging/ledger/live_reader.h"
#include "net/address.h"

namespace culvert::logging::ledger {

/// Types of records whose body begins with a subscriber's number.
constexpr bool names_subscriber(Type t) {
  return (t >= Type::mapping_created && t <= Type::refused) || t == Type::mapping_held;
}
/// Those that belong to an external address: it follows the subscriber's number, and its port and protocol.
constexpr bool has_binding(Type t) { return names_subscriber(t) && t != Type::refused; }

struct Named {
  uint64_t subscriber = 0;
  bool placed = false;  ///< the following is known
  net::Ipv4Address external;
  uint16_t port = 0;
  uint8_t protocol = 0;
  /// As State has it.
  std::tuple<uint32_t, uint16_t, uint8_t> endpoint() const { return {external.value(), port, protocol}; }
};

/// nullopt: it names nobody. Placed: it has_binding(), and can be read so far.
inline std::optional<Named> named(const Record& r) {
  if (r.kind == Record::Kind::allocated) return Named{.subscriber = r.subscriber};
  if (r.kind != Record::Kind::typed || !names_subscriber(r.type)) return std::nullopt;
  ByteReader in(r.body);
  Named n{.subscriber = in.varint()};
  if (!in.good()) return std::nullopt;
  if (!has_binding(r.type)) return n;
  const std::string_view address = in.bytes(sizeof n.external);
  n.port = in.fixed<uint16_t>();
  n.protocol = in.byte();
  n.placed = in.good();
  if (n.placed) std::memcpy(&n.external, address.data(), sizeof n.external);
  return n;
}

}  // namespace culvert::logging::ledger
