#include "dataplane/port_rss.h"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <bit>

#include "dataplane/steering.h"

namespace culvert::dataplane {
namespace {

// Without the _EX types: those hash what extension headers say, not the source (they change the address that
// counts to the home address of Mobile IPv6).
constexpr uint64_t kIpv4 = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |
                           RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_SCTP |
                           RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
constexpr uint64_t kIpv6 = RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP |
                           RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_NONFRAG_IPV6_SCTP |
                           RTE_ETH_RSS_NONFRAG_IPV6_OTHER;

/// The flag for "only so many bits of the address", 0 where there is none.
uint64_t prefix_flag(uint8_t length) {
  switch (length) {
    case 32:
      return RTE_ETH_RSS_L3_PRE32;
    case 40:
      return RTE_ETH_RSS_L3_PRE40;
    case 48:
      return RTE_ETH_RSS_L3_PRE48;
    case 56:
      return RTE_ETH_RSS_L3_PRE56;
    case 64:
      return RTE_ETH_RSS_L3_PRE64;
    case 96:
      return RTE_ETH_RSS_L3_PRE96;
    default:
      return 0;
  }
}

using Reta = std::vector<rte_eth_rss_reta_entry64>;

Reta empty_reta(unsigned size) {
  Reta reta((size + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
  for (unsigned e = 0; e < size; e++) reta[e / RTE_ETH_RETA_GROUP_SIZE].mask |= uint64_t{1} << e % 64;
  return reta;
}

/// The indirection table that agrees with the buckets. Of workers without a queue, others receive.
Reta wanted_reta(unsigned size, unsigned workers, unsigned queues) {
  Reta reta = empty_reta(size);
  for (unsigned e = 0; e < size; e++) {
    const unsigned worker = Steering::worker_of_bucket(e % Steering::kBuckets, workers);
    reta[e / RTE_ETH_RETA_GROUP_SIZE].reta[e % RTE_ETH_RETA_GROUP_SIZE] =
        static_cast<uint16_t>(worker < queues ? worker : worker % std::max(queues, 1u));
  }
  return reta;
}

bool same_queues(const Reta& a, const Reta& b, unsigned size) {
  for (unsigned e = 0; e < size; e++)
    if (a[e / 64].reta[e % 64] != b[e / 64].reta[e % 64]) return false;
  return true;
}

/// Whether the device has this key and hashes these types. A driver that cannot say so is believed.
bool has_key(uint16_t port, const std::vector<uint8_t>& key, uint64_t types) {
  std::vector<uint8_t> has(key.size());
  rte_eth_rss_conf conf{};
  conf.rss_key = has.data();
  conf.rss_key_len = static_cast<uint8_t>(has.size());
  const int result = rte_eth_dev_rss_hash_conf_get(port, &conf);
  if (result == -ENOTSUP) return true;
  return result == 0 && has == key && (conf.rss_hf & types) != 0;
}

}  // namespace

RssDevice RssDevice::of(const rte_eth_dev_info& info) {
  RssDevice d;
  d.types = info.flow_type_rss_offloads;
  d.reta_size = info.reta_size;
  if (info.hash_key_size != 0) d.key_bytes = info.hash_key_size;
  return d;
}

RssPlan plan_rss(const RssDevice& device, const SubscriberMasks& masks, unsigned queues) {
  RssPlan plan;
  const RssRequest spread{device.types & (kIpv4 | kIpv6), nullptr};
  const auto no = [&](std::string why) {
    plan.why_not = std::move(why);
    plan.requests = {spread};
    return plan;
  };
  if (queues < 2) return no("it has one receive queue");
  SubscriberMasks hashed;
  if ((device.types & kIpv4) != 0) hashed.ipv4 = masks.ipv4;
  if ((device.types & kIpv6) != 0) hashed.ipv6 = masks.ipv6;
  if (!hashed.any()) return no("it offers no RSS over their addresses");
  if (!std::has_single_bit(device.reta_size) || device.reta_size < 2)
    return no(fmt::format("its RSS indirection table has {} entries", device.reta_size));
  const auto reta_bits = std::min<unsigned>(static_cast<unsigned>(std::countr_zero(device.reta_size)),
                                            SubscriberRss::kMostRetaBits);
  const bool source_only = (device.types & RTE_ETH_RSS_L3_SRC_ONLY) != 0;
  const auto add = [&](bool only_source, uint64_t flags) {
    auto rss = std::make_shared<const SubscriberRss>(hashed, reta_bits, only_source);
    if (rss->steered().any() && rss->key_bytes() <= device.key_bytes)
      plan.requests.push_back({spread.types | flags, rss});
  };
  if (source_only) {
    const uint64_t prefix = hashed.ipv6 ? prefix_flag(*hashed.ipv6) & device.types : 0;
    if (prefix != 0) add(true, RTE_ETH_RSS_L3_SRC_ONLY | prefix);
    add(true, RTE_ETH_RSS_L3_SRC_ONLY);
  }
  add(false, 0);
  if (plan.requests.empty()) return no("no RSS key of its length tells subscribers with such masks apart");
  plan.requests.push_back(spread);
  return plan;
}

std::string bring_rss(uint16_t port, const RssDevice& device, const RssRequest& request, unsigned workers,
                      unsigned queues) {
  std::vector<uint8_t> key = request.subscribers->key(device.key_bytes);
  if (!has_key(port, key, request.types)) {
    rte_eth_rss_conf conf{};
    conf.rss_key = key.data();
    conf.rss_key_len = static_cast<uint8_t>(key.size());
    conf.rss_hf = request.types;
    if (const int result = rte_eth_dev_rss_hash_update(port, &conf); result != 0)
      return fmt::format("it does not take an RSS key: {}", rte_strerror(-result));
    if (!has_key(port, key, request.types)) return "it keeps an RSS key of its own";
  }
  Reta wanted = wanted_reta(device.reta_size, workers, queues), has = empty_reta(device.reta_size);
  const int set = rte_eth_dev_rss_reta_update(port, wanted.data(), static_cast<uint16_t>(device.reta_size));
  const int got = rte_eth_dev_rss_reta_query(port, has.data(), static_cast<uint16_t>(device.reta_size));
  if (got == 0 ? same_queues(wanted, has, device.reta_size) : set == 0) return {};
  return fmt::format("its RSS indirection table cannot be set: {}", rte_strerror(set < 0 ? -set : EIO));
}

}  // namespace culvert::dataplane
