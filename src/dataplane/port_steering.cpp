#include "dataplane/port_steering.h"

#include <fmt/format.h>
#include <rte_ethdev.h>

namespace culvert::dataplane {
namespace {

std::string counted(uint64_t n, const char* what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

/// What an interface hears of rules that the device does not take.
std::string refusals(const FlowRules::Outcome& o) {
  if (o.refused == 0) return {};
  return fmt::format(", {} refused and left to the rings{}", o.refused,
                     o.why.empty() ? "" : " (" + o.why + ")");
}

}  // namespace

const std::vector<RssRequest>& PortSteering::plan(const rte_eth_dev_info& info, unsigned queues) {
  queues_ = queues;
  device_ = RssDevice::of(info);
  plan_ = plan_rss(device_, sides_.inside ? sides_.subscribers : SubscriberMasks{}, queues);
  return plan_.requests;
}

void PortSteering::started(uint16_t port) {
  rss_ = nullptr;
  if (queues_ < 2) return;
  const RssRequest& request = plan_.requests[request_];
  if (request.subscribers) {
    const std::string wrong = bring_rss(port, device_, request, workers_, queues_);
    if (wrong.empty())
      rss_ = request.subscribers;
    else
      plan_.why_not = wrong;
  } else if (plan_.why_not.empty()) {
    plan_.why_not = "its driver refuses RSS with a key of ours";
  }
  if (sides_.inside) pins_ = std::make_unique<FlowRules>(port, sides_.inside_vlan);
  if (sides_.outside) pools_ = std::make_unique<FlowRules>(port, sides_.outside_vlan);
}

void PortSteering::apply(const Tables& tables) {
  if (pins_ && rss_) pins_outcome_ = pins_->apply(rules_for_pins(tables, queues_));
  if (!pools_) return;
  const uint64_t served = apply_pools(tables, masked_);
  if (!masked_ || pools_outcome_.refused == 0) return;
  // Perhaps it knows no masks, or no priorities: then one rule an address may serve more of them.
  masked_ = apply_pools(tables, false) <= served;
  if (masked_) apply_pools(tables, true);
}

/// Returns how many addresses have a rule now.
uint64_t PortSteering::apply_pools(const Tables& tables, bool masked) {
  const PoolRules wanted = rules_for_pools(tables, workers_, queues_, masked);
  addresses_ = wanted.addresses;
  by_block_ = wanted.dealt_by_block;
  pools_outcome_ = pools_->apply(wanted.rules);
  return pools_->ipv4_addresses();
}

void PortSteering::stop() {
  pins_.reset();
  pools_.reset();
}

std::string PortSteering::no_queues() const {
  if (workers_ == 1) return "one worker, nothing to steer";
  return fmt::format("rings: {} for {} workers", counted(queues_, "receive queue"), workers_);
}

std::string PortSteering::inside_text() const {
  if (queues_ < 2) return no_queues();
  if (!rss_) return "rings: " + (sides_.subscribers.any() ? plan_.why_not : "there are no subscribers");
  std::string text =
      fmt::format("RSS, {}, {} entries over {} queues", rss_->text(), device_.reta_size, queues_);
  if (sides_.subscribers.ipv4 && !rss_->steers_ipv4()) text += "; IPv4 sources by rings";
  if (sides_.subscribers.ipv6 && !rss_->steers_ipv6()) text += "; IPv6 sources by rings";
  if (pins_outcome_.in_force + pins_outcome_.refused > 0)
    text += fmt::format("; {} for subscribers with static mappings{}",
                        counted(pins_outcome_.in_force, "rule"), refusals(pins_outcome_));
  if (queues_ < workers_) text += fmt::format("; rings for {} of {} workers", workers_ - queues_, workers_);
  return text;
}

std::string PortSteering::outside_text() const {
  if (queues_ < 2) return no_queues();
  if (pools_outcome_.in_force == 0) {
    if (pools_outcome_.refused > 0) return "rings: the device refuses rules (" + pools_outcome_.why + ")";
    return by_block_ > 0 ? "rings: pools are dealt by block" : "rings: there are no pools";
  }
  std::string text = fmt::format(
      "rules, {} for {}{}", pools_outcome_.in_force,
      addresses_ == by_block_ + 1 ? "1 address" : fmt::format("{} addresses", addresses_ - by_block_),
      refusals(pools_outcome_));
  if (by_block_ > 0) text += fmt::format("; rings for {} addresses dealt by block", by_block_);
  if (queues_ < workers_) text += fmt::format("; rings for {} of {} workers", workers_ - queues_, workers_);
  return text;
}

std::string PortSteering::text() const {
  if (queues_ < 2) return no_queues();
  std::string text;
  if (sides_.inside) text = "inside by " + inside_text();
  if (sides_.outside) text += (text.empty() ? "outside by " : ", outside by ") + outside_text();
  return text;
}

}  // namespace culvert::dataplane
