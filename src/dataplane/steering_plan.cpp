#include "dataplane/steering_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

namespace culvert::dataplane {
namespace {

constexpr uint8_t kSingle = 0, kMany = 1;  ///< priorities: an address of its own goes before its neighbours
constexpr unsigned kMostRules = 65'536;    ///< no NIC takes more; the rest of the addresses goes by ring

/// The worker with most of the addresses of each residue: what they were dealt, but for those that moved.
std::vector<WorkerId> dealing(const Pool& pool, unsigned workers) {
  std::vector<WorkerId> usual(workers);
  std::vector<uint32_t> count(workers);
  for (unsigned residue = 0; residue < workers; residue++) {
    std::fill(count.begin(), count.end(), 0);
    for (uint32_t a = residue; a < pool.addresses(); a += workers) {
      const WorkerId owner = pool.address_owner(a);
      if (owner < workers) count[owner]++;
    }
    usual[residue] = static_cast<WorkerId>(std::max_element(count.begin(), count.end()) - count.begin());
  }
  return usual;
}

void add_pool(const Pool& pool, unsigned workers, unsigned queues, bool masked,
              std::vector<SteeringRule>& rules) {
  const bool in_turn = masked && std::has_single_bit(workers) && pool.addresses() >= 2 * workers;
  std::vector<WorkerId> usual;
  if (in_turn) {
    usual = dealing(pool, workers);
    // A prefix begins at a multiple of its size, so a number's residue is that of the address.
    const uint32_t mask = ~(pool.addresses() - 1) | (workers - 1);
    for (unsigned residue = 0; residue < workers; residue++)
      if (usual[residue] < queues)
        rules.push_back(SteeringRule::to_ipv4(pool.address(residue), mask, kMany, usual[residue]));
  }
  for (uint32_t a = 0; a < pool.addresses() && rules.size() < kMostRules; a++) {
    const WorkerId owner = pool.address_owner(a);
    if (owner < queues && !(in_turn && owner == usual[a & (workers - 1)]))
      rules.push_back(SteeringRule::to_ipv4(pool.address(a), ~uint32_t{0}, kSingle, owner));
  }
}

}  // namespace

SteeringRule SteeringRule::to_ipv4(net::Ipv4Address address, uint32_t mask, uint8_t priority,
                                   unsigned queue) {
  SteeringRule rule;
  rule.priority = priority;
  rule.queue = static_cast<uint16_t>(queue);
  const net::Be32 bits(mask);
  std::memcpy(rule.address.bytes.data(), &address, 4);
  std::memcpy(rule.mask.bytes.data(), &bits, 4);
  return rule;
}

std::string SteeringRule::text() const {
  net::Ipv4Address a, m;
  std::memcpy(&a, address.bytes.data(), 4);
  std::memcpy(&m, mask.bytes.data(), 4);
  const bool ipv6 = field == Field::source_ipv6;
  return fmt::format("{} {} mask {} to queue {}", field == Field::destination_ipv4 ? "to" : "from",
                     ipv6 ? address.text() : a.text(), ipv6 ? mask.text() : m.text(), queue);
}

PoolRules rules_for_pools(const Tables& tables, unsigned workers, unsigned queues, bool masked) {
  PoolRules out;
  for (const auto& pool : tables.pools) {
    if (!pool) continue;
    out.addresses += pool->addresses();
    if (pool->split())
      out.dealt_by_block += pool->addresses();
    else
      add_pool(*pool, workers, queues, masked, out.rules);
  }
  return out;
}

std::vector<SteeringRule> rules_for_pins(const Tables& tables, unsigned queues) {
  std::set<SteeringRule> rules;
  const net::Ipv6Address all = net::Ipv6Address::from_halves(~uint64_t{0}, ~uint64_t{0});
  for (const StaticEntry& e : tables.statics) {
    const WorkerId worker = tables.steering.worker_of(e.subscriber);
    if (worker == tables.steering.bucket(tables.steering.bucket_of(e.subscriber)) || worker >= queues)
      continue;
    SteeringRule rule;
    rule.queue = worker;
    if (tables.instances[e.subscriber.instance].carriage == Carriage::nat44) {
      rule.field = SteeringRule::Field::source_ipv4;
      std::copy_n(e.subscriber.prefix.bytes.begin() + 12, 4, rule.address.bytes.begin());
      rule.mask = all.masked(e.mask - 96u);
    } else {
      rule.field = SteeringRule::Field::source_ipv6;
      rule.address = e.subscriber.prefix;
      rule.mask = all.masked(e.mask);
    }
    rules.insert(rule);
  }
  return {rules.begin(), rules.end()};
}

}  // namespace culvert::dataplane
