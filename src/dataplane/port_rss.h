/// Brings RSS by subscriber (subscriber_rss.h) to a device: which ways to ask for it, the best first, and
/// whether the device does as it was asked.
///
/// Ways, from best to last:
///   1. the source's prefix alone (RTE_ETH_RSS_L3_PRE32 … PRE96, where one is the subscriber-mask) or
///   2. the source alone (RTE_ETH_RSS_L3_SRC_ONLY), both families;
///   3. all that the device hashes. The cut key takes care of the rest for one family; the other one is
///      spread over the queues by everything it has, and goes on by ring.
///   4. No steering: RSS over addresses and ports shares the work of receiving, rings do the rest.
/// All use the same key, so it does not matter to the tables which one a device agrees to.
///
/// Thread: the control core, at start.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/subscriber_rss.h"

struct rte_eth_dev_info;

namespace culvert::dataplane {

/// What of a device matters here (rte_eth_dev_info).
struct RssDevice {
  uint64_t types = 0;       ///< flow_type_rss_offloads
  unsigned reta_size = 0;   ///< entries of its indirection table
  unsigned key_bytes = 40;  ///< hash_key_size
  static RssDevice of(const rte_eth_dev_info& info);
};

struct RssRequest {
  uint64_t types = 0;  ///< rss_hf; 0: no RSS at all
  /// What it steers by; null: RSS only spreads.
  std::shared_ptr<const SubscriberRss> subscribers;
};

struct RssPlan {
  std::vector<RssRequest> requests;  ///< the best first, at least one
  std::string why_not;               ///< set when none of them steers
};
RssPlan plan_rss(const RssDevice& device, const SubscriberMasks& masks, unsigned queues);

/// Sets key and indirection table of a started device and reads them back. Empty, or what is not as asked.
std::string bring_rss(uint16_t port, const RssDevice& device, const RssRequest& request, unsigned workers,
                      unsigned queues);

}  // namespace culvert::dataplane
