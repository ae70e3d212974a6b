/// Hardware steering of one port: what it was asked for (port_rss.h, steering_plan.h), what the device agreed
/// to, and how that is told. It is only ever an optimisation: whatever is not in force goes by the rings
/// between workers, and the tables decide.
///
/// Thread: the control core.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "dataplane/flow_rules.h"
#include "dataplane/port_rss.h"

namespace culvert::dataplane {

/// What faces a port. A port that two interfaces share by VLANs, or that is one-armed, has both sides.
struct PortSides {
  bool inside = false, outside = false;
  SubscriberMasks subscribers;                        ///< inside
  std::optional<uint16_t> inside_vlan, outside_vlan;  ///< tags of their frames
};

class PortSteering {
 public:
  PortSteering(const PortSides& sides, unsigned workers) : sides_(sides), workers_(workers) {}

  /// Before the device is configured: in which ways to ask for RSS, the best first.
  const std::vector<RssRequest>& plan(const rte_eth_dev_info& info, unsigned queues);
  /// The device's configuration took this one of them (by its number).
  void configured(size_t request) { request_ = request; }
  /// The device runs: sets what has to be set now, and looks whether it is in force.
  void started(uint16_t port);
  /// Makes rules of the tables; again whenever addresses or static mappings moved.
  void apply(const Tables& tables);
  /// Before the device stops.
  void stop();

  /// What RSS steers by, to be given to the Engine; null: RSS does not steer here.
  std::shared_ptr<const SubscriberRss> rss() const { return rss_; }
  /// What is in force, for people: "RSS, IPv6 sources by /56, 128 entries", "rings: 1 receive queue for …".
  std::string inside_text() const;
  std::string outside_text() const;
  /// Both, as far as the port has both.
  std::string text() const;

 private:
  std::string no_queues() const;
  uint64_t apply_pools(const Tables& tables, bool masked);

  PortSides sides_;
  unsigned workers_, queues_ = 1;
  RssDevice device_;
  RssPlan plan_;
  size_t request_ = 0;
  std::shared_ptr<const SubscriberRss> rss_;
  std::unique_ptr<FlowRules> pins_, pools_;
  FlowRules::Outcome pins_outcome_, pools_outcome_;
  uint64_t addresses_ = 0, by_block_ = 0;
  bool masked_ = true;  ///< the device is asked for rules that serve many addresses
};

}  // namespace culvert::dataplane
