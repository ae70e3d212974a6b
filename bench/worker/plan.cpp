#include "plan.h"

#include <algorithm>
#include <bit>

#include "net/rfc6052.h"

namespace culvert::bench {
namespace {

uint32_t tenth_more(uint32_t n) { return n + n / 10 + 64; }

/// A pool of whole addresses from `first` on, with room for this many blocks.
net::Ipv4Prefix pool_for(uint64_t blocks, uint32_t first, const config::Instance& instance,
                         unsigned workers) {
  const uint64_t addresses =
      std::bit_ceil(std::max<uint64_t>(blocks / instance.ports.sets_per_address() + 1, 4 * workers));
  return {net::Ipv4Address(first), static_cast<uint8_t>(32 - std::countr_zero(addresses))};
}

config::Instance main_instance(const Plan& plan, uint32_t subscribers) {
  config::Instance instance;
  instance.name = "bench";
  instance.carriage = plan.carriage;
  instance.timers = plan.timers;
  instance.limits.mappings = plan.limit;
  switch (plan.carriage) {
    case Carriage::nat44:
      instance.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("10.0.0.0/8"), 32}};
      break;
    case Carriage::ds_lite:
      instance.aftr_addresses = {aftr_address()};
      instance.subscribers_ipv6 = {{homes(plan.carriage), 64}};
      break;
    case Carriage::nat64:
      instance.nat64_prefixes = {net::kWellKnownPrefix};
      instance.subscribers_ipv6 = {{homes(plan.carriage), 64}};
  }
  const uint64_t blocks_each = (plan.mappings_each + instance.ports.set_size - 1u) / instance.ports.set_size;
  instance.pools = {pool_for(subscribers * blocks_each, 0x14000000, instance, plan.workers)};
  return instance;
}

config::Instance passing_instance(const Plan& plan) {
  config::Instance instance;
  instance.name = "passing";
  instance.carriage = Carriage::nat44;
  instance.timers.udp = instance.timers.port_set = config::seconds(1);
  instance.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("11.0.0.0/8"), 32}};
  instance.pools = {pool_for(plan.passing, 0x15000000, instance, plan.workers)};
  return instance;
}

}  // namespace

config::Config configuration(const Plan& plan) {
  config::Config c;
  c.workers = static_cast<uint16_t>(plan.workers);
  const uint32_t subscribers =
      plan.subscriber_capacity != 0 ? plan.subscriber_capacity : tenth_more(plan.subscribers);
  c.capacity.mappings =
      plan.passing + (plan.mapping_capacity != 0 ? plan.mapping_capacity : tenth_more(plan.mappings()));
  c.capacity.subscribers = plan.passing + subscribers;
  c.capacity.sessions = std::max(1000u, plan.workers);
  c.hold_down.timeout = config::seconds(plan.hold_down_seconds);
  c.hold_down.max = std::max({plan.mappings() / 10, 2 * plan.passing, 100'000u});
  c.logging.ring_directory = plan.ring_directory;
  c.interfaces.resize(2);
  c.interfaces[kInside] = {.name = "inside", .device = "", .role = config::Role::inside, .mtu = 1600};
  c.interfaces[kOutside] = {.name = "outside", .device = "", .role = config::Role::outside};
  for (auto& i : c.interfaces) {
    i.next_hop_ipv4 = kNeighbourMac;
    i.next_hop_ipv6 = kNeighbourMac;
  }
  c.instances = {main_instance(plan, subscribers)};
  if (plan.passing != 0) c.instances.push_back(passing_instance(plan));
  return c;
}

}  // namespace culvert::bench
