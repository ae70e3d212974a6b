/// Steering rules in a device (rte_flow). Each is validated before it is made; what the device refuses is
/// counted and left to the rings between workers.
///
/// Thread: the control core. Workers go on receiving meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/steering_plan.h"

struct rte_flow;

namespace culvert::dataplane {

class FlowRules {
 public:
  /// `vlan`: of the frames that the rules are for; nullopt: they have none.
  FlowRules(uint16_t port, std::optional<uint16_t> vlan) : port_(port), vlan_(vlan) {}
  ~FlowRules() { clear(); }
  FlowRules(const FlowRules&) = delete;
  FlowRules& operator=(const FlowRules&) = delete;

  /// What came of it.
  struct Outcome {
    size_t in_force = 0, refused = 0;
    std::string why;  ///< of the first refusal, in the device's words
  };
  /// Makes these rules the ones in force: takes away those that are not among them, adds those that are not
  /// there yet. After several refusals in a row the rest is not tried.
  Outcome apply(const std::vector<SteeringRule>& wanted);
  void clear();
  /// How many IPv4 addresses the rules in force match (those of several rules more than once).
  uint64_t ipv4_addresses() const;

 private:
  rte_flow* make(const SteeringRule& rule, std::string& why) const;

  uint16_t port_;
  std::optional<uint16_t> vlan_;
  std::map<SteeringRule, rte_flow*> rules_;
};

}  // namespace culvert::dataplane
