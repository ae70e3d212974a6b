/// Tables: the configuration as the workers see it, one immutable snapshot. The control core builds a new one
/// for every change and swaps a pointer; workers take the pointer once a burst, and the old one is freed when
/// all of them have passed a quiescent state (rte_rcu_qsbr). NAT state is not in here and survives the swap.
///
/// Numbers in NAT state that refer into Tables — instance slots, contexts, pool slots — are handed out by the
/// Registry and stay with what they stand for as long as any state may refer to them.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "dataplane/pass_through.h"
#include "dataplane/pool.h"
#include "dataplane/steering.h"
#include "net/range_map.h"
#include "net/rfc6052.h"

namespace culvert::logging::ledger {
struct Definitions;
}

namespace culvert::dataplane {

inline constexpr unsigned kMaxInstances = 64;
inline constexpr unsigned kMaxContexts = 256;
inline constexpr unsigned kMaxPools = 1024;

/// A next hop's link-layer address; the control core writes it, workers read it. 0: not known yet.
/// Lives as long as the appliance, outside any snapshot.
struct NextHopCell {
  std::atomic<uint64_t> mac{0};  ///< the six bytes in memory order in the low 48 bits, bit 63 set when known

  void set(const net::MacAddress& m) {
    uint64_t v = 0;
    std::memcpy(&v, m.bytes.data(), 6);
    mac.store(v | uint64_t{1} << 63, std::memory_order_relaxed);
  }
  void clear() { mac.store(0, std::memory_order_relaxed); }
};

/// An interface as a worker needs it.
struct InterfaceView {
  uint8_t number = 0;  ///< index in Tables::interfaces and in Counters
  uint16_t port = 0;   ///< DPDK port (in replay: 0 inside, 1 outside)
  config::Role role = config::Role::inside;
  uint16_t vlan = 0;  ///< 0: untagged
  uint16_t mtu = 1500;
  net::MacAddress mac;                         ///< ours
  bool any_mac = false;                        ///< take frames whatever their destination MAC (replay)
  const NextHopCell* next_hop_ipv4 = nullptr;  ///< null: none configured
  const NextHopCell* next_hop_ipv6 = nullptr;
  net::Ipv4Address
      ipv4;  ///< source of the box's own ICMP errors; 0.0.0.0: 192.0.0.8 (RFC 7600 dummy address)
  net::Ipv6Address ipv6;  ///< source of the box's own ICMPv6 errors
  std::string name;

  bool faces_inside() const { return role != config::Role::outside; }
};

/// What a context number stands for: an IPv6 address or prefix of ours that subscribers send to.
struct ContextView {
  Carriage carriage = Carriage::nat44;
  uint8_t length = 0;        ///< nat64: prefix length
  bool well_known = false;   ///< nat64: 64:ff9b::/96
  net::Ipv6Address address;  ///< ds-lite: the AFTR address; nat64: the prefix
  net::Ipv6Words mask;       ///< the bits of `length`

  static ContextView of_softwire(const net::Ipv6Address& aftr) {
    return {Carriage::ds_lite, 128, false, aftr, {}};
  }
  static ContextView of_prefix(const net::Ipv6Prefix& p) {
    net::Ipv6Address ones;
    ones.bytes.fill(0xff);
    return {Carriage::nat64, p.length, p == net::kWellKnownPrefix, p.address,
            net::Ipv6Words(ones.masked(p.length))};
  }
  /// nat64 only.
  bool is_prefix_of(const net::Ipv6Address& a) const {
    const net::Ipv6Words is(a), wanted(address);
    return (((is.first ^ wanted.first) & mask.first) | ((is.second ^ wanted.second) & mask.second)) == 0;
  }
};

/// An instance's policy.
struct InstanceView {
  bool configured = false;  ///< false: left the configuration (or never was); mappings drain, none are made
  Carriage carriage = Carriage::nat44;
  config::Filtering filtering = config::Filtering::eif;
  bool tracks_remotes = false;  ///< of datagrams, too: filtering or the record asks for them
  config::LogSessions log_sessions = config::LogSessions::off;
  bool udp_inbound_refresh = false;
  uint8_t max_blocks = 1;
  uint16_t mss_clamping = 0;         ///< largest TCP segment that a SYN may announce; 0: any
  bool cut_inner_packet = false;     ///< ds-lite, fragment-behavior: inner
  bool drops_unchecked_udp = false;  ///< nat64, udp-zero-checksum: drop
  uint16_t softwire_mtu = 0;         ///< ds-lite, softwire-payload-mtu; 0: what the inside MTU leaves
  uint16_t inbound_mtu = 0;          ///< bytes of an IPv4 packet that reach the subscriber in one piece
  uint16_t minimum_ipv6_mtu = 1280;  ///< nat64: RFC 7915 §4.1
  // Timers in milliseconds.
  uint32_t udp = 0, tcp_idle = 0, tcp_trans_open = 0, tcp_trans_close = 0, tcp_in_syn = 0, icmp = 0,
           port_set = 0, fragment_min = 0;
  config::SubscriberLimits limits;
  uint32_t mapping_limit = 0;          ///< of one worker; 0: none
  PassThrough pass_through;            ///< nat44
  std::vector<uint16_t> pools;         ///< slots, in configuration order
  std::bitset<kMaxContexts> contexts;  ///< its AFTR addresses or prefixes
  std::string name;
};

/// What subscriber-match says of a source address.
struct SubscriberRule {
  uint8_t instance;  ///< slot
  uint8_t mask;      ///< subscriber-mask, IPv4 0–32

  /// Who the subscriber with this internal endpoint is.
  SubscriberKey subscriber_of(Carriage carriage, const InternalKey& key) const {
    return carriage == Carriage::nat44 ? SubscriberKey::ipv4(key.ipv4, mask, instance)
                                       : SubscriberKey::ipv6(key.ipv6, mask, instance);
  }
  /// Of his key: an IPv4 mask counts from 96.
  uint8_t prefix_length(Carriage carriage) const {
    return static_cast<uint8_t>(carriage == Carriage::nat44 ? mask + 96 : mask);
  }
};

/// A static mapping with its numbers resolved.
struct StaticEntry {
  InternalKey internal;
  ExternalKey external;
  SubscriberKey subscriber;
  uint8_t mask;  ///< as in Subscriber: an IPv4 mask counts from 96
  bool operator==(const StaticEntry&) const = default;
};

struct Tables {
  explicit Tables(unsigned workers, std::shared_ptr<const SubscriberRss> rss = nullptr)
      : steering(workers, std::move(rss)) {}

  uint64_t version = 0;
  std::vector<InterfaceView> interfaces;
  uint8_t inside = 0, outside = 0;  ///< where packets for each side leave

  net::RangeMap<net::Ipv4Prefix, SubscriberRule> subscribers_nat44;
  net::RangeMap<net::Ipv6Prefix, SubscriberRule> subscribers_ds_lite, subscribers_nat64;
  std::array<InstanceView, kMaxInstances> instances;
  std::array<ContextView, kMaxContexts> contexts;
  std::vector<Context> softwires, nat64_prefixes;  ///< contexts in use; of prefixes the longest first

  std::vector<std::shared_ptr<Pool>> pools;  ///< by slot; null where there is none
  net::RangeMap<net::Ipv4Prefix, Pool*> pool_ranges;
  Steering steering;
  std::vector<StaticEntry> statics;
  bool draining = false;           ///< some pool is on its way out
  bool passes_through = false;     ///< some instance has a nat-pass-through
  uint32_t hold_ms = 120'000;      ///< hold-down-timeout
  uint32_t icmp_error_rate = 100;  ///< a second, for each worker and side (icmp_budget.h)

  std::vector<net::Ipv4Address> own_ipv4;  ///< the interfaces' addresses: traffic to them goes to the kernel
  std::vector<net::Ipv6Address> own_ipv6;

  /// What subscriber-match says of a source (IPv4 as ::ffff:a.b.c.d), or nullptr.
  const SubscriberRule* rule_for(Carriage carriage, const net::Ipv6Address& source) const;
  const SubscriberRule* rule_for(net::Ipv4Address source) const { return subscribers_nat44.find(source); }

  /// The pool of an address, or nullptr.
  Pool* pool_of(net::Ipv4Address a) const {
    Pool* const* found = pool_ranges.find(a);
    return found == nullptr ? nullptr : *found;
  }

  /// Whether an IPv4 destination may be a pool's or our own: one bit a /16. Says no for nearly all the
  /// Internet from 8 KiB of cache, so that hairpinning costs other packets nothing.
  bool maybe_local(net::Ipv4Address a) const { return local16_[a.value() >> 16]; }
  /// Whether it is one.
  bool is_local(net::Ipv4Address a) const { return maybe_local(a) && (pool_of(a) != nullptr || is_own(a)); }
  bool is_own(net::Ipv4Address a) const;
  bool is_own(const net::Ipv6Address& a) const;
  void mark_local(const net::Ipv4Prefix& p);

 private:
  std::bitset<65536> local16_;
};

/// Hands out the stable numbers and keeps the pools alive. Control core only.
class Registry {
 public:
  /// `rss`: what the inside port's hardware steers by, if it does.
  Registry(unsigned workers, uint32_t address_capacity, std::shared_ptr<const SubscriberRss> rss = nullptr)
      : workers_(workers), capacity_(address_capacity), rss_(std::move(rss)) {}

  /// With fewer addresses a worker than this, an instance's port blocks are dealt one by one instead of
  /// addresses. docs/steering.md has the simulation: second blocks, which must lie on the address of the
  /// first (RFC 6888 REQ-2), are refused far more often where addresses are shared by workers.
  static constexpr unsigned kSplitBelow = 2;
  /// Whose a block is then: of `total` blocks every worker gets as many neighbours, on as few addresses as
  /// can be, so that second blocks find room on them.
  static WorkerId owner_of_block(uint64_t block, uint64_t total, unsigned workers) {
    return static_cast<WorkerId>(block * workers / total);
  }

  struct Result {
    std::unique_ptr<Tables> tables;
    std::string error;  ///< set when nothing was built: which capacity is exceeded, with the figures
    std::vector<std::shared_ptr<Pool>> added;
  };
  /// A snapshot for this configuration. Interfaces are the caller's to fill in. Pools that are in use but no
  /// longer configured stay in it, draining; pools whose geometry changed are refused with an error. `agree`
  /// is asked before anything changes, and its error is the result's: what numbers in later events stand for
  /// must be on record first.
  using Agree = std::function<std::string(const logging::ledger::Definitions&)>;
  Result build(const config::Config& config, Millis now, const Agree& agree = {});

  /// Subscribers who hold blocks of the run before, and so belong to the worker that got those. In tables
  /// that are built from now on.
  void inherit(std::shared_ptr<const Steering::Pins> pins) { inherited_ = std::move(pins); }

  /// Leaves a drained pool out of the tables that are built from now on.
  void forget(uint16_t slot) { state_.pools[slot] = nullptr; }
  unsigned workers() const { return workers_; }
  const std::vector<std::shared_ptr<Pool>>& pools() const { return state_.pools; }

 private:
  /// What numbers stand for. build() works on a copy, so that a refused configuration leaves no trace.
  struct State {
    std::map<std::string, uint8_t> instance_slots;
    std::array<InstanceView, kMaxInstances> views;     ///< the last policy of each slot
    std::vector<ContextView> contexts{ContextView{}};  ///< 0 is native
    std::vector<std::shared_ptr<Pool>> pools;          ///< by slot
  };
  static std::string add_instance(State& state, Tables& t, const config::Instance& instance,
                                  unsigned workers);
  std::string add_pools(State& state, Tables& t, const config::Instance& instance, uint8_t slot,
                        std::vector<std::shared_ptr<Pool>>* added) const;
  static void add_statics(Tables& t, const config::Instance& instance, uint8_t slot);
  static logging::ledger::Definitions definitions(const State& state, const Tables& t,
                                                  const config::Config& config);

  unsigned workers_;
  uint32_t capacity_;
  std::shared_ptr<const SubscriberRss> rss_;
  std::shared_ptr<const Steering::Pins> inherited_;
  uint64_t version_ = 0;
  State state_;
};

}  // namespace culvert::dataplane
