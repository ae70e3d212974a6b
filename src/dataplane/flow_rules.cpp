#include "dataplane/flow_rules.h"

#include <rte_errno.h>
#include <rte_flow.h>

#include <bit>
#include <set>

namespace culvert::dataplane {
namespace {

constexpr unsigned kGiveUp = 8;  ///< refusals in a row; a full table refuses all that follow

std::string words_of(const rte_flow_error& error, int result) {
  if (error.message != nullptr) return error.message;
  return rte_strerror(result < 0 ? -result : rte_errno);
}

}  // namespace

rte_flow* FlowRules::make(const SteeringRule& rule, std::string& why) const {
  rte_flow_attr attributes{};
  attributes.ingress = 1;
  attributes.priority = rule.priority;
  rte_flow_item_vlan vlan{}, vlan_mask{};
  rte_flow_item_ipv4 ipv4{}, ipv4_mask{};
  rte_flow_item_ipv6 ipv6{}, ipv6_mask{};
  rte_flow_item pattern[4]{};
  unsigned items = 0;
  pattern[items++].type = RTE_FLOW_ITEM_TYPE_ETH;
  if (vlan_) {
    vlan.tci = rte_cpu_to_be_16(*vlan_);
    vlan_mask.tci = rte_cpu_to_be_16(0x0fff);
    pattern[items].type = RTE_FLOW_ITEM_TYPE_VLAN;
    pattern[items].spec = &vlan;
    pattern[items++].mask = &vlan_mask;
  }
  if (rule.field == SteeringRule::Field::source_ipv6) {
    std::memcpy(ipv6.hdr.src_addr, rule.address.bytes.data(), 16);
    std::memcpy(ipv6_mask.hdr.src_addr, rule.mask.bytes.data(), 16);
    pattern[items].type = RTE_FLOW_ITEM_TYPE_IPV6;
    pattern[items].spec = &ipv6;
    pattern[items++].mask = &ipv6_mask;
  } else {
    const bool source = rule.field == SteeringRule::Field::source_ipv4;
    std::memcpy(source ? &ipv4.hdr.src_addr : &ipv4.hdr.dst_addr, rule.address.bytes.data(), 4);
    std::memcpy(source ? &ipv4_mask.hdr.src_addr : &ipv4_mask.hdr.dst_addr, rule.mask.bytes.data(), 4);
    pattern[items].type = RTE_FLOW_ITEM_TYPE_IPV4;
    pattern[items].spec = &ipv4;
    pattern[items++].mask = &ipv4_mask;
  }
  pattern[items].type = RTE_FLOW_ITEM_TYPE_END;
  rte_flow_action_queue queue{};
  queue.index = rule.queue;
  rte_flow_action actions[2]{};
  actions[0].type = RTE_FLOW_ACTION_TYPE_QUEUE;
  actions[0].conf = &queue;
  actions[1].type = RTE_FLOW_ACTION_TYPE_END;

  rte_flow_error error{};
  if (const int result = rte_flow_validate(port_, &attributes, pattern, actions, &error); result != 0) {
    why = words_of(error, result);
    return nullptr;
  }
  rte_flow* made = rte_flow_create(port_, &attributes, pattern, actions, &error);
  if (made == nullptr) why = words_of(error, 0);
  return made;
}

FlowRules::Outcome FlowRules::apply(const std::vector<SteeringRule>& wanted) {
  const std::set<SteeringRule> keep(wanted.begin(), wanted.end());
  for (auto r = rules_.begin(); r != rules_.end();) {
    if (keep.contains(r->first)) {
      ++r;
      continue;
    }
    rte_flow_error error{};
    rte_flow_destroy(port_, r->second, &error);
    r = rules_.erase(r);
  }
  Outcome out;
  unsigned in_a_row = 0;
  for (const SteeringRule& rule : wanted) {  // in their order: those that serve most come first
    if (rules_.contains(rule)) continue;
    std::string why;
    rte_flow* made = in_a_row < kGiveUp ? make(rule, why) : nullptr;
    if (made != nullptr) {
      rules_.emplace(rule, made);
      in_a_row = 0;
      continue;
    }
    if (out.why.empty()) out.why = why;
    out.refused++;
    in_a_row++;
  }
  out.in_force = rules_.size();
  return out;
}

void FlowRules::clear() { apply({}); }

uint64_t FlowRules::ipv4_addresses() const {
  uint64_t n = 0;
  for (const auto& [rule, made] : rules_) {
    if (rule.field == SteeringRule::Field::source_ipv6) continue;
    uint32_t mask;
    std::memcpy(&mask, rule.mask.bytes.data(), sizeof mask);
    n += uint64_t{1} << (32 - std::popcount(mask));
  }
  return n;
}

}  // namespace culvert::dataplane
