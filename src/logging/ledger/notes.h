/// The records of the ledger that are not a block's, as values (docs/ledger.md has their bytes). encode()
/// makes a record's body of one, decode<T>() reads it (fields.h).
///
/// Values; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "logging/ledger/fields.h"
#include "net/address.h"

namespace culvert::logging::ledger {

/// A worker's events have sequence numbers in its ring: this is the next one's. A new epoch begins with a new
/// ring, or one that a crash of the machine set back.
struct Source {
  static constexpr Type kType = Type::source;
  uint8_t worker = 0;
  uint64_t epoch = 0, next = 1;
  static void fields(auto& c, auto& n) {
    c.fixed(n.worker);
    c.varint(n.epoch);
    c.varint(n.next);
    c.require(n.worker < kMaxSources);
  }
  bool operator==(const Source&) const = default;
};

struct InstanceNote {
  static constexpr Type kType = Type::instance;
  uint64_t number = 0;
  uint8_t carriage = 0;  ///< 0 nat44, 1 ds-lite, 2 nat64
  std::string name;
  static void fields(auto& c, auto& n) {
    c.varint(n.number);
    c.fixed(n.carriage);
    c.text(n.name);
  }
  bool operator==(const InstanceNote&) const = default;
};

/// Neighbouring addresses with blocks of one size. Blocks are numbered from `first_block` on, address by
/// address.
struct AddressRange {
  static constexpr Type kType = Type::address_range;
  uint64_t first_block = 0, instance = 0;
  net::Ipv4Address first_address;
  uint64_t addresses = 0;  ///< 1 to 2^32
  uint16_t first_port = 0;
  uint16_t set_size = 0;  ///< ports a block
  uint64_t sets = 0;      ///< blocks an address; the last port is 65535 at most
  static void fields(auto& c, auto& n) {
    c.varint(n.first_block);
    c.varint(n.instance);
    c.address(n.first_address);
    c.varint(n.addresses);
    c.fixed(n.first_port);
    c.fixed(n.set_size);
    c.varint(n.sets);
    // Whatever is computed of these stays within its type.
    c.require(n.first_block < kMaxTime && n.addresses != 0 &&
              n.addresses <= (uint64_t{1} << 32) - n.first_address.value());
    c.require(n.set_size != 0 && n.sets != 0 && n.sets <= 65536 &&
              n.first_port + n.sets * n.set_size <= 65536);
  }
  bool operator==(const AddressRange&) const = default;

  uint64_t blocks() const { return addresses * sets; }
  bool has(uint64_t block) const { return block >= first_block && block - first_block < blocks(); }
  bool has(net::Ipv4Address a) const {
    return a.value() >= first_address.value() && a.value() - first_address.value() < addresses;
  }
  /// Of one of its blocks.
  net::Ipv4Address address_of(uint64_t block) const {
    return net::Ipv4Address(static_cast<uint32_t>(first_address.value() + (block - first_block) / sets));
  }
  uint16_t first_port_of(uint64_t block) const {
    return static_cast<uint16_t>(first_port + (block - first_block) % sets * set_size);
  }
  /// The block of a port of one of its addresses; nullopt: of none.
  std::optional<uint64_t> block_of(net::Ipv4Address a, uint16_t port) const {
    if (port < first_port || (port - first_port) / set_size >= static_cast<int64_t>(sets))
      return std::nullopt;
    return first_block + (a.value() - first_address.value()) * sets +
           static_cast<uint64_t>((port - first_port) / set_size);
  }
};

/// IPv4 stands as ::ffff:a.b.c.d, its length with 96 more. Bits behind the length are zero. ::/0 of instance
/// 0 stands in a checkpoint for all whose definition damage took.
struct SubscriberNote {
  static constexpr Type kType = Type::subscriber;
  uint64_t number = 0, instance = 0;
  net::Ipv6Address prefix;
  uint8_t length = 128;
  static void fields(auto& c, auto& n) {
    c.varint(n.number);
    c.varint(n.instance);
    c.prefix(n.prefix, n.length);
  }
  bool operator==(const SubscriberNote&) const = default;
};

/// A checkpoint's block that a subscriber holds. Times are milliseconds from the segment's opening.
struct Held {
  static constexpr Type kType = Type::held;
  uint64_t block = 0, subscriber = 0;
  int64_t since = 0;
  uint8_t reason = 0;
  static void fields(auto& c, auto& n) {
    c.varint(n.block);
    c.varint(n.subscriber);
    c.zigzag(n.since);
    c.fixed(n.reason);
    c.require(n.reason < 32);
  }
  bool operator==(const Held&) const = default;
};

/// A checkpoint's block that was released so late that its hold-down may go on.
struct Resting {
  static constexpr Type kType = Type::resting;
  uint64_t block = 0;
  int64_t since = 0;
  static void fields(auto& c, auto& n) {
    c.varint(n.block);
    c.zigzag(n.since);
  }
  bool operator==(const Resting&) const = default;
};

/// Which internal endpoint an external one stands for.
struct Binding {
  enum class Origin : uint8_t { dynamic = 0, configured = 1, pcp_map = 2, pcp_peer = 3 };
  uint64_t subscriber = 0;
  net::Ipv4Address external;
  uint16_t port = 0;
  uint8_t protocol = 0;  ///< of IP
  Origin origin = Origin::dynamic;
  std::string internal;  ///< the address's 4 or 16 bytes; empty: not said
  uint16_t internal_port = 0;
  static void fields(auto& c, auto& n) {
    c.varint(n.subscriber);
    c.address(n.external);
    c.fixed(n.port);
    c.fixed(n.protocol);
    c.choice(n.origin, Origin::pcp_peer);
    c.host(n.internal);
    c.fixed(n.internal_port);
  }
  bool operator==(const Binding&) const = default;
};

struct MappingCreated {
  static constexpr Type kType = Type::mapping_created;
  Binding binding;
  uint64_t lifetime = 0;  ///< seconds; 0: for ever
  bool renewal = false;   ///< it was there already, as it is: its lifetime begins again
  static void fields(auto& c, auto& n) {
    Binding::fields(c, n.binding);
    c.varint(n.lifetime);
    c.choice(n.renewal, true);
  }
  bool operator==(const MappingCreated&) const = default;
};

struct MappingDeleted {
  static constexpr Type kType = Type::mapping_deleted;
  Binding binding;
  uint8_t reason = 0;
  static void fields(auto& c, auto& n) {
    Binding::fields(c, n.binding);
    c.fixed(n.reason);
  }
  bool operator==(const MappingDeleted&) const = default;
};

/// session_created and session_deleted.
struct SessionNote {
  Binding binding;
  bool has_destination = false;
  net::Ipv4Address destination;
  uint16_t destination_port = 0;
  static void fields(auto& c, auto& n) {
    Binding::fields(c, n.binding);
    c.choice(n.has_destination, true);
    c.address(n.destination);
    c.fixed(n.destination_port);
  }
  bool operator==(const SessionNote&) const = default;
};

/// A checkpoint's explicit mapping.
struct MappingHeld {
  static constexpr Type kType = Type::mapping_held;
  Binding binding;
  int64_t since = 0;      ///< milliseconds from the segment's opening
  uint64_t lifetime = 0;  ///< milliseconds from `since` on; 0: for ever
  static void fields(auto& c, auto& n) {
    Binding::fields(c, n.binding);
    c.zigzag(n.since);
    c.varint(n.lifetime);
  }
  bool operator==(const MappingHeld&) const = default;
};

struct CheckpointEnd {
  static constexpr Type kType = Type::checkpoint_end;
  uint64_t held = 0, resting = 0, mappings = 0;
  static void fields(auto& c, auto& n) {
    c.varint(n.held);
    c.varint(n.resting);
    c.varint(n.mappings);
  }
  bool operator==(const CheckpointEnd&) const = default;
};

/// What the system's clock did before a segment: so that its reader knows, without those before, whether they
/// can have a time that somebody asks for.
struct ClockPast {
  uint64_t sets = 0;   ///< how often it was set since the ledger began
  int64_t latest = 0;  ///< the latest time that it showed, in milliseconds from the segment's opening
  static void fields(auto& c, auto& n) {
    c.varint(n.sets);
    c.zigzag(n.latest);
  }
  bool operator==(const ClockPast&) const = default;
};

/// How many milliseconds the system's clock is ahead of the event clock.
struct ClockNote {
  static constexpr Type kType = Type::clock;
  int64_t ahead = 0;
  std::optional<ClockPast> past{};  ///< in a checkpoint, where it is known
  static void fields(auto& c, auto& n) {
    c.zigzag(n.ahead);
    c.rest(n.past);
  }
  bool operator==(const ClockNote&) const = default;
};

struct ConfigurationNote {
  static constexpr Type kType = Type::configuration;
  std::array<uint8_t, 32> sha256{};
  std::string algorithmic;  ///< instances whose mapping follows from the configuration, as YAML
  static void fields(auto& c, auto& n) {
    c.hash(n.sha256);
    c.text(n.algorithmic);
  }
  bool operator==(const ConfigurationNote&) const = default;
};

/// A subscriber was refused something.
struct Refused {
  static constexpr Type kType = Type::refused;
  uint64_t subscriber = 0;
  std::string reason;  ///< as in `culvert drops`
  uint64_t count = 1;  ///< since the last such record
  static void fields(auto& c, auto& n) {
    c.varint(n.subscriber);
    c.text(n.reason);
    c.varint(n.count);
  }
  bool operator==(const Refused&) const = default;
};

struct CulvertdStarted {
  static constexpr Type kType = Type::culvertd_started;
  enum class End : uint8_t { orderly = 0, crash = 1, machine_crash = 2 };
  std::string version;
  bool strict = false;
  End before = End::orderly;  ///< how the run before ended
  static void fields(auto& c, auto& n) {
    c.text(n.version);
    c.choice(n.strict, true);
    c.choice(n.before, End::machine_crash);
  }
  bool operator==(const CulvertdStarted&) const = default;
};

/// Between these times, in milliseconds from the segment's opening, blocks may have been allocated that are
/// not on record.
struct Uncertain {
  static constexpr Type kType = Type::uncertain;
  int64_t from = 0, to = 0;
  static void fields(auto& c, auto& n) {
    c.zigzag(n.from);
    c.zigzag(n.to);
  }
  bool operator==(const Uncertain&) const = default;
};

/// sealed and retired: a segment, and the hash that its footer has.
struct SegmentNote {
  uint64_t serial = 0;
  std::array<uint8_t, 32> sha256{};
  static void fields(auto& c, auto& n) {
    c.varint(n.serial);
    c.hash(n.sha256);
  }
  bool operator==(const SegmentNote&) const = default;
};

}  // namespace culvert::logging::ledger
