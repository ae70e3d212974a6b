/// The configuration: one immutable, validated value. `load_file()` and `load_text()` (load.h) make it from
/// YAML; nothing else does, but tests, which fill in the fields themselves.
///
/// Names follow the IETF YANG models (RFC 8512, 8513, 8676) wherever they have a leaf for the thing.
/// Units stand in the field's name or comment; a field without a comment means what its leaf says.
/// Everything here is a value: the control core builds the worker's lookup tables from it
/// (dataplane/tables.h), the packet path never reads it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "logging/export/config.h"
#include "net/address.h"

namespace culvert::config {

using std::chrono::seconds;

/// How subscriber traffic is carried; with the stateful binding each makes one product of the matrix.
enum class Carriage : uint8_t { nat44, ds_lite, nat64 };

/// Which side of the appliance an interface faces. `both` is a one-armed box without VLANs.
enum class Role : uint8_t { inside, outside, both };

/// RFC 4787 §5: who may use an existing mapping from outside.
/// eif: endpoint-independent, adf: address-dependent, edf: address- and port-dependent.
enum class Filtering : uint8_t { eif, adf, edf };

/// Where frames for the world behind an interface go: a fixed MAC, or an address the kernel resolves.
template <typename Address>
using NextHop = std::variant<std::monostate, net::MacAddress, Address>;

struct Interface {
  std::string name;    ///< also the name of the kernel's tap for the exception path, so at most 15 characters
  std::string device;  ///< PCI address or DPDK virtual device string; two interfaces may share it with VLANs
  Role role = Role::inside;
  std::optional<uint16_t> vlan;  ///< 1–4094
  uint16_t mtu = 1500;           ///< bytes of IP packet; 1280–9600
  uint16_t queues = 0;           ///< receive and transmit queues asked of the device; 0: one a worker
  uint16_t rx_descriptors = 1024;
  uint16_t tx_descriptors = 1024;
  std::vector<net::InterfaceAddress<net::Ipv4Address>> ipv4_addresses;
  std::vector<net::InterfaceAddress<net::Ipv6Address>> ipv6_addresses;
  NextHop<net::Ipv4Address> next_hop_ipv4;
  NextHop<net::Ipv6Address> next_hop_ipv6;
};

/// What is taken at start and cannot change until the next one (box-wide figures; workers share them evenly).
struct Capacity {
  uint32_t subscribers = 100'000;
  uint32_t mappings = 1'000'000;
  uint32_t sessions = 1'000'000;     ///< TCP and filter sessions beyond the first of each mapping
  uint32_t external_addresses = 0;   ///< 0: as many as the pools of the first configuration have
  uint32_t packet_buffers = 32'768;  ///< mbufs
  bool operator==(const Capacity&) const = default;
};

/// Timers of one instance; the defaults are the RFCs'.
struct Timers {
  seconds udp{300};              ///< udp-timeout, RFC 4787 REQ-5 (recommends 5 min)
  seconds tcp_idle{7440};        ///< tcp-idle-timeout, RFC 5382 REQ-5 (2 h 4 min)
  seconds tcp_trans_open{240};   ///< tcp-trans-open-timeout, RFC 5382 REQ-5 (4 min), RFC 7857 §2.1
  seconds tcp_trans_close{240};  ///< tcp-trans-close-timeout, RFC 7857 §2.1
  seconds tcp_in_syn{6};         ///< tcp-in-syn-timeout, RFC 5382 REQ-4
  seconds icmp{60};              ///< icmp-timeout, RFC 5508 REQ-2
  seconds fragment_min{2};       ///< fragment-min-timeout, RFC 6146 §3.4
  seconds port_set{60};          ///< port-set-timeout: a block is given back this long after its last mapping
  bool operator==(const Timers&) const = default;
};

/// Who may use an instance, and what counts as one subscriber.
template <typename Prefix>
struct SubscriberMatch {
  Prefix prefix;
  uint8_t mask;  ///< subscriber-mask, IPv4 0–32: the bits that tell subscribers apart; never shorter than the
                 ///< prefix
  bool operator==(const SubscriberMatch&) const = default;
};

/// How the ports of a pool's addresses are dealt out.
struct PortAllocation {
  uint16_t first_port = 1024;  ///< dynamic blocks lie in first_port–last_port, both included
  uint16_t last_port = 65535;
  uint16_t set_size = 512;          ///< port-set-size; divides the range
  uint8_t sets_per_subscriber = 4;  ///< port-sets-per-subscriber, 1–16
  /// The ports kept for explicit mappings (static, PCP); empty when first > last.
  uint16_t explicit_first = 1;
  uint16_t explicit_last = 0;

  uint32_t range_size() const { return uint32_t{last_port} - first_port + 1; }
  uint32_t sets_per_address() const { return range_size() / set_size; }
  bool is_explicit(uint16_t port) const { return port >= explicit_first && port <= explicit_last; }
  bool operator==(const PortAllocation&) const = default;
};

/// Limits of one subscriber (RFC 6888 REQ-4). 0 means none. Sessions have a limit by default, since nothing
/// else bounds them: ports and blocks bound mappings.
struct SubscriberLimits {
  uint32_t ports = 0;        ///< port-quota: external ports in use at once, per protocol
  uint32_t mappings = 0;     ///< mapping-limits/mappings-per-subscriber: at once
  uint32_t sessions = 2000;  ///< mapping-limits/sessions-per-subscriber: beyond the first of each mapping
  uint32_t mappings_per_second =
      0;  ///< connection-limits/limit-per-subscriber; bursts of one second's worth pass
  bool operator==(const SubscriberLimits&) const = default;
};

/// Protocols of the NAT's world (IPv4 protocol numbers; ICMPv6 is `icmp` here).
enum class Protocol : uint8_t { icmp = 1, tcp = 6, udp = 17 };

/// A static mapping (RFC 8512 mapping-table entry of type "static"): an explicit port of an address, for
/// ever.
struct StaticMapping {
  Protocol protocol = Protocol::tcp;
  net::Ipv6Address b4_address;        ///< ds-lite: b4-ipv6-address; nat64: internal-src-address (IPv6)
  net::Ipv4Address internal_address;  ///< internal-src-address (nat44, ds-lite)
  uint16_t internal_port = 0;
  net::Ipv4Address external_address;
  uint16_t external_port = 0;
  bool operator==(const StaticMapping&) const = default;
};

/// Destinations that are not translated (RFC 6888 REQ-6, RFC 8512 nat-pass-through).
struct PassThrough {
  net::Ipv4Prefix prefix{{}, 0};  ///< 0.0.0.0/0: any
  std::optional<uint16_t> port;   ///< of TCP and UDP; none: everything
  bool operator==(const PassThrough&) const = default;
};

/// What goes on record besides port blocks and explicit mappings.
enum class LogSessions : uint8_t {
  off,
  mappings,      ///< each mapping, without destinations
  destinations,  ///< each session, with its destination, which RFC 6888 REQ-12 is against
};

/// One NAT instance (RFC 8512 `instances/instance`): who comes in, how, and out of which pools.
struct Instance {
  std::string name;
  Carriage carriage = Carriage::nat44;
  std::vector<net::Ipv6Address> aftr_addresses;  ///< ds-lite: aftr-ipv6-addr
  uint16_t mss_clamping = 0;                     ///< largest TCP segment that a SYN may announce; 0: any
  uint16_t softwire_payload_mtu = 0;             ///< ds-lite; 0: what the inside MTU leaves
  bool cut_inner_packet = false;                 ///< ds-lite, fragment-behavior: inner
  uint16_t minimum_ipv6_mtu = 1280;              ///< nat64, RFC 7915 §4.1
  std::vector<net::Ipv6Prefix> nat64_prefixes;   ///< nat64: nat64-prefix, RFC 6052 lengths
  std::vector<SubscriberMatch<net::Ipv4Prefix>> subscribers_ipv4;  ///< nat44
  std::vector<SubscriberMatch<net::Ipv6Prefix>> subscribers_ipv6;  ///< ds-lite, nat64
  std::vector<net::Ipv4Prefix> pools;                              ///< external-ip-address-pool
  PortAllocation ports;
  Filtering filtering = Filtering::eif;
  LogSessions log_sessions = LogSessions::off;
  Timers timers;
  SubscriberLimits limits;
  uint32_t mapping_limit = 0;  ///< mapping-limits/limit-port-mappings; 0: none. Shared evenly by the workers.
  /// Packets from outside refresh a UDP mapping (RFC 4787 REQ-6 lets the box choose; RFC 6146 §3.5.1 wants
  /// it).
  bool udp_inbound_refresh = false;
  bool drops_unchecked_udp = false;       ///< nat64, udp-zero-checksum: drop
  std::vector<PassThrough> pass_through;  ///< nat44
  std::vector<StaticMapping> static_mappings;
};

/// RFC 6888 REQ-8: how long and how many freed ports (and blocks) stay unused.
struct HoldDown {
  seconds timeout{120};      ///< hold-down-timeout
  uint32_t max = 1'000'000;  ///< hold-down-max: ports in hold-down at once, box-wide; the oldest go early
  bool operator==(const HoldDown&) const = default;
};

struct Logging {
  std::string ledger_directory = "/var/lib/culvert/ledger";
  bool strict = false;                                ///< durability: strict
  uint32_t segment_events = 4'194'304;                ///< ledger-segment-events
  std::string ring_directory = "/run/culvert/rings";  ///< the file-backed rings between workers and recorder
  seconds retention_age{0};                           ///< log-retention: max-age; 0: for ever
  uint64_t retention_megabytes = 0;                   ///< log-retention: max-megabytes; 0: any
  std::vector<logging::ExportConfig> exports;
  bool operator==(const Logging&) const = default;
};

struct Config {
  std::string file;                  ///< where it was read from, for messages
  std::array<uint8_t, 32> sha256{};  ///< of its text
  uint16_t workers = 1;              ///< 1–64
  std::vector<uint16_t> lcores;      ///< CPU of the control core, then of each worker; empty: chosen
  std::vector<Interface> interfaces;
  Capacity capacity;
  HoldDown hold_down;
  std::vector<Instance> instances;
  Logging logging;
  std::string control_socket = "/run/culvert/control.sock";
  std::string metrics_address = "127.0.0.1:9780";  ///< empty: no Prometheus endpoint
  /// ICMP errors a second that the box makes, for each worker and each side (RFC 1812 §4.3.2.8).
  uint32_t icmp_error_rate = 100;
  seconds drain_timeout{3600};  ///< pool-drain-timeout: mappings of a removed pool are cut after this
};

}  // namespace culvert::config
