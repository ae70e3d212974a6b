/// What a port's hardware is asked to do so that packets come to the worker that the tables name. Computed
/// from the tables alone, without a device; flow_rules.h and port_rss.h bring it to one.
///
///   - Inside: RSS by subscriber (subscriber_rss.h), and a rule on the source prefix of every pinned
///     subscriber whose bucket says otherwise.
///   - Outside: rules on destination addresses. Addresses are dealt to workers in turn, so where their number
///     is a power of two, one rule a worker and pool does: it compares the pool's prefix and the low bits of
///     the address. Addresses that have moved since get rules of their own, which go before. Where the device
///     knows no such masks, or workers are no power of two, every address has its own rule.
///
/// Pools that are dealt by block are left to the rings: their ICMP and fragments could not be told apart.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/tables.h"

namespace culvert::dataplane {

/// Packets with such an address go to this queue.
struct SteeringRule {
  enum class Field : uint8_t { destination_ipv4, source_ipv4, source_ipv6 };
  Field field = Field::destination_ipv4;
  uint8_t priority = 0;  ///< the lower number goes first
  uint16_t queue = 0;
  net::Ipv6Address address, mask;  ///< network order; of IPv4 the first four bytes

  static SteeringRule to_ipv4(net::Ipv4Address address, uint32_t mask, uint8_t priority, unsigned queue);
  std::string text() const;
  auto operator<=>(const SteeringRule&) const = default;
};

struct PoolRules {
  std::vector<SteeringRule> rules;
  uint64_t addresses = 0;       ///< of all pools
  uint64_t dealt_by_block = 0;  ///< of them, those whose blocks are dealt singly: no rule can serve them
};

/// Rules for the outside port. `queues`: receive queues it has; workers without one get no rule. `masked`:
/// one rule for many addresses where their dealing allows it.
PoolRules rules_for_pools(const Tables& tables, unsigned workers, unsigned queues, bool masked);

/// Rules for the inside port: pinned subscribers that RSS would bring to another worker.
std::vector<SteeringRule> rules_for_pins(const Tables& tables, unsigned queues);

}  // namespace culvert::dataplane
