#include "dataplane/port.h"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <stdexcept>

#include "dataplane/eal.h"
#include "dataplane/worker.h"

namespace culvert::dataplane {
namespace {

constexpr unsigned kRingSize = 2048;  ///< frames on their way to the owner of a transmit queue

std::string reason(int result) {
  if (result == -1) return "its driver refuses";  // DPDK's own messages say more; -1 is not EPERM there
  if (result == -EFAULT) return "no driver knows it";
  return rte_strerror(result < 0 ? -result : result);
}

/// A link-layer address for devices that have none, such as net_ring: locally administered, and the same
/// after a restart.
net::MacAddress make_up_mac(const std::string& device) {
  const size_t h = std::hash<std::string>{}(device);
  net::MacAddress mac;
  std::memcpy(mac.bytes.data(), &h, 6);
  mac.bytes[0] = static_cast<uint8_t>((mac.bytes[0] & 0xfc) | 0x02);
  return mac;
}

/// Why a device of this kind is most likely not there.
std::string remedy(const std::string& device) {
  if (device.starts_with("net_af_packet")) {
    return "iface= must name a network device of this namespace, and packet sockets need CAP_NET_RAW";
  }
  if (device.starts_with("net_tap"))
    return "it needs /dev/net/tun, CAP_NET_ADMIN and a name in iface= that is free";
  if (device.starts_with("net_memif")) return "role= is server or client, socket= a path that can be made";
  if (device.starts_with("net_pcap"))
    return "rx_pcap=, tx_pcap= name files, iface= a network device; do they exist?";
  if (!is_pci(device)) return "a virtual device is written net_DRIVERnumber,key=value,…";
  return "is the device bound to vfio-pci (dpdk-devbind.py --status), and its IOMMU group free?";
}

bool is_memif(const std::string& device) { return device.starts_with("net_memif"); }

/// What the largest packet is that a device takes. Drivers give an MTU, a frame length or both.
unsigned largest_packet(const std::string& device, const rte_eth_dev_info& info) {
  if (device.starts_with("net_af_packet")) {
    // It says 1500 whatever its rings' frames hold (framesz=, 2048 by default, less the kernel's header).
    constexpr unsigned kDefault = 2048, kHeader = 96;
    const size_t at = device.find("framesz=");
    const unsigned long size =
        at == device.npos ? kDefault : std::strtoul(device.c_str() + at + 8, nullptr, 10);
    return size > kHeader ? static_cast<unsigned>(std::min(size, 65535ul)) - kHeader : 0;
  }
  if (is_memif(device)) {
    // It says 1500 too; a frame has to fit one of its buffers (bsize=, 2048 by default).
    const size_t at = device.find("bsize=");
    const unsigned long size = at == device.npos ? 2048 : std::strtoul(device.c_str() + at + 6, nullptr, 10);
    return size > RTE_ETHER_HDR_LEN ? static_cast<unsigned>(std::min(size, 65535ul)) - RTE_ETHER_HDR_LEN : 0;
  }
  const unsigned by_frame = info.max_rx_pktlen < RTE_ETHER_MIN_MTU
                                ? UINT16_MAX
                                : info.max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
  return std::min<unsigned>(info.max_mtu == 0 ? UINT16_MAX : info.max_mtu, by_frame);
}

/// The device string DPDK gets. For af_packet, which knows no other way, descriptors and queues as configured
/// are put into it, unless they stand there already.
std::string device_arguments(const Port::Setup& setup) {
  std::string device = setup.device;
  if (!device.starts_with("net_af_packet")) return device;
  if (device.find("framecnt=") == device.npos) {
    device += fmt::format(",framecnt={}", std::max(setup.rx_descriptors, setup.tx_descriptors));
  }
  const unsigned queues = std::min<unsigned>(setup.queues, setup.workers);
  if (queues > 1 && device.find("qpairs=") == device.npos) device += fmt::format(",qpairs={}", queues);
  return device;
}

std::set<uint16_t> existing_ports() {
  std::set<uint16_t> ports;
  uint16_t id;
  RTE_ETH_FOREACH_DEV(id) ports.insert(id);
  return ports;
}

}  // namespace

Port::Port(const Setup& setup) : Port(setup.device, setup.sides, setup.workers) {
  probe(device_arguments(setup));
  configure(setup);
}

Port::~Port() {
  stop();
  if (id_ != RTE_MAX_ETHPORTS) rte_eth_dev_close(id_);
  if (handle_ != nullptr) rte_dev_remove(handle_);
  for (rte_ring* r : for_others_) rte_ring_free(r);
}

void Port::probe(const std::string& arguments) {
  // PCI devices that are allowed were probed when the EAL started; anything else appears now.
  if (is_pci(device_)) {
    rte_dev_iterator iterator;
    uint16_t id;
    RTE_ETH_FOREACH_MATCHING_DEV(id, device_.c_str(), &iterator) {
      id_ = id;
      rte_eth_iterator_cleanup(&iterator);
      break;
    }
  }
  if (id_ == RTE_MAX_ETHPORTS) {
    const auto before = existing_ports();
    const int result = rte_dev_probe(arguments.c_str());
    if (result < 0) {
      throw std::runtime_error(
          fmt::format("device \"{}\" cannot be started: {}; {}", device_, reason(result), remedy(device_)));
    }
    for (uint16_t id : existing_ports()) {
      if (!before.contains(id)) {
        id_ = id;
        break;
      }
    }
  }
  rte_eth_dev_info info{};
  if (id_ == RTE_MAX_ETHPORTS || rte_eth_dev_info_get(id_, &info) != 0) {
    throw std::runtime_error(
        fmt::format("device \"{}\" is no Ethernet device for DPDK; {}", device_, remedy(device_)));
  }
  handle_ = info.device;
  driver_ = info.driver_name;
}

void Port::configure(const Setup& setup) {
  rte_eth_dev_info info{};
  rte_eth_dev_info_get(id_, &info);
  const auto frame_mtu = static_cast<uint16_t>(setup.mtu + setup.vlan_bytes);
  const bool af_packet = device_.starts_with("net_af_packet");
  if (const unsigned most = largest_packet(device_, info); frame_mtu > most) {
    throw std::runtime_error(
        fmt::format("device \"{}\" carries packets of at most {} bytes{}; lower mtu {}{}", device_,
                    most - setup.vlan_bytes, setup.vlan_bytes != 0 ? " behind a VLAN tag" : "", setup.mtu,
                    af_packet ? ", or give it framesz= and blocksz= for more (blocksz a multiple "
                                "of 4096 and of framesz)"
                              : ""));
  }
  const unsigned asked = setup.queues == 0 ? setup.workers : std::min<unsigned>(setup.queues, setup.workers);
  rx_queues_ = static_cast<uint16_t>(std::min<unsigned>(asked, std::max<unsigned>(info.max_rx_queues, 1)));
  tx_queues_ = static_cast<uint16_t>(std::min<unsigned>(asked, std::max<unsigned>(info.max_tx_queues, 1)));
  if (setup.tell && (rx_queues_ < setup.workers || tx_queues_ < setup.workers)) {
    setup.tell(fmt::format(
        "device \"{}\" has {} receive and {} transmit queues for {} workers{}: the others' packets "
        "go by ring",
        device_, rx_queues_, tx_queues_, setup.workers, asked < setup.workers ? " as configured" : ""));
  }

  configure_device(setup, info, af_packet || is_memif(device_) ? RTE_ETHER_MTU : frame_mtu);
  configure_queues(setup, info);

  // Some drivers take the MTU from the configuration above, some only this way, some not at all. That of the
  // device under an af_packet is its owner's business.
  const int result = af_packet ? 0 : rte_eth_dev_set_mtu(id_, frame_mtu);
  if (result != 0 && result != -ENOTSUP && setup.tell) {
    setup.tell(
        fmt::format("device \"{}\" keeps its own MTU instead of {}: {}", device_, frame_mtu, reason(result)));
  }
  mtu_ = setup.mtu;
  rte_ether_addr mac{};
  rte_eth_macaddr_get(id_, &mac);
  std::memcpy(mac_.bytes.data(), mac.addr_bytes, 6);
  if (mac_ == net::MacAddress{} || mac_.is_multicast()) mac_ = make_up_mac(device_);
}

/// Configures the device with the best RSS that it agrees to.
void Port::configure_device(const Setup& setup, const rte_eth_dev_info& info, uint16_t mtu) {
  const std::vector<RssRequest>& requests = steering_.plan(info, rx_queues_);
  int result = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    rte_eth_conf conf{};
    conf.rxmode.mtu = mtu;
    std::vector<uint8_t> key;
    if (rx_queues_ > 1 && requests[i].types != 0) {
      conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
      conf.rx_adv_conf.rss_conf.rss_hf = requests[i].types;
      if (requests[i].subscribers) {
        key = requests[i].subscribers->key(RssDevice::of(info).key_bytes);
        conf.rx_adv_conf.rss_conf.rss_key = key.data();
        conf.rx_adv_conf.rss_conf.rss_key_len = static_cast<uint8_t>(key.size());
      }
    }
    result = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf);
    if (result == 0) return steering_.configured(i);
  }
  throw std::runtime_error(
      fmt::format("device \"{}\" cannot be configured with {} receive and {} transmit queues "
                  "and an MTU of {}: {}",
                  device_, rx_queues_, tx_queues_, setup.mtu, reason(result)));
}

void Port::configure_queues(const Setup& setup, const rte_eth_dev_info& info) {
  rx_descriptors_ = setup.rx_descriptors;
  tx_descriptors_ = setup.tx_descriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx_descriptors_, &tx_descriptors_);
  if (setup.tell && (rx_descriptors_ != setup.rx_descriptors || tx_descriptors_ != setup.tx_descriptors)) {
    setup.tell(fmt::format("device \"{}\" takes {} receive and {} transmit descriptors instead of {} and {}",
                           device_, rx_descriptors_, tx_descriptors_, setup.rx_descriptors,
                           setup.tx_descriptors));
  }
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  const auto check = [&](int result, const char* which, unsigned queue, unsigned descriptors) {
    if (result == 0) return;
    throw std::runtime_error(fmt::format("device \"{}\": {} queue {} of {} descriptors cannot be made: {}",
                                         device_, which, queue, descriptors, reason(result)));
  };
  for (uint16_t q = 0; q < rx_queues_; ++q) {
    check(rte_eth_rx_queue_setup(id_, q, rx_descriptors_, socket, &info.default_rxconf, setup.buffers),
          "receive", q, rx_descriptors_);
  }
  for (uint16_t q = 0; q < tx_queues_; ++q) {
    check(rte_eth_tx_queue_setup(id_, q, tx_descriptors_, socket, &info.default_txconf), "transmit", q,
          tx_descriptors_);
  }
  if (tx_queues_ >= setup.workers) return;
  for (uint16_t q = 0; q < tx_queues_; ++q) {
    const std::string name = fmt::format("tx-{}-{}", id_, q);
    rte_ring* ring = rte_ring_create(name.c_str(), kRingSize, SOCKET_ID_ANY, RING_F_SC_DEQ);
    if (ring == nullptr) {
      throw std::runtime_error(fmt::format("device \"{}\": no memory for a ring of {} frames: {}", device_,
                                           kRingSize, rte_strerror(rte_errno)));
    }
    for_others_.push_back(ring);
  }
}

void Port::start() {
  if (int result = rte_eth_dev_start(id_); result != 0) {
    throw std::runtime_error(
        fmt::format("device \"{}\" does not start: {}; {}", device_, reason(result), remedy(device_)));
  }
  running_ = true;
  steering_.started(id_);
  // Neighbour discovery comes by multicast (RFC 4861 §7.2). Who cannot filter for it must let all through.
  if (rte_eth_allmulticast_enable(id_) != 0) rte_eth_promiscuous_enable(id_);
  rte_eth_dev_set_link_up(id_);
}

void Port::stop() {
  if (!running_) return;
  running_ = false;
  std::array<rte_mbuf*, kBurst> frames;
  for (rte_ring* r : for_others_) {
    while (const unsigned n =
               rte_ring_dequeue_burst(r, reinterpret_cast<void**>(frames.data()), kBurst, nullptr)) {
      std::for_each_n(frames.begin(), n, free_packet);
    }
  }
  steering_.stop();
  rte_eth_dev_stop(id_);
}

Port::Link Port::link() const {
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(id_, &link) != 0) return {};
  Link result;
  result.up = link.link_status == RTE_ETH_LINK_UP;
  result.mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
  result.full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
  return result;
}

rte_eth_stats Port::stats() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) stats = {};
  return stats;
}

std::vector<std::pair<std::string, uint64_t>> Port::xstats() const {
  const int n = rte_eth_xstats_get_names(id_, nullptr, 0);
  if (n <= 0) return {};
  std::vector<rte_eth_xstat_name> names(static_cast<size_t>(n));
  std::vector<rte_eth_xstat> values(static_cast<size_t>(n));
  if (rte_eth_xstats_get_names(id_, names.data(), static_cast<unsigned>(n)) != n ||
      rte_eth_xstats_get(id_, values.data(), static_cast<unsigned>(n)) != n) {
    return {};
  }
  std::vector<std::pair<std::string, uint64_t>> result;
  for (const auto& v : values) {
    if (v.id < names.size()) result.emplace_back(names[v.id].name, v.value);
  }
  return result;
}

unsigned Port::send(unsigned worker, rte_mbuf** frames, unsigned count) {
  std::for_each_n(frames, count, unfence);  // drivers read and free them as they like
  if (transmits(worker)) {
    return rte_eth_tx_burst(id_, static_cast<uint16_t>(worker), frames, static_cast<uint16_t>(count));
  }
  return rte_ring_mp_enqueue_burst(for_others_[worker % tx_queues_], reinterpret_cast<void**>(frames), count,
                                   nullptr);
}

unsigned Port::take_from_others(unsigned worker, rte_mbuf** frames, unsigned most) {
  if (worker >= for_others_.size()) return 0;
  return rte_ring_sc_dequeue_burst(for_others_[worker], reinterpret_cast<void**>(frames), most, nullptr);
}

}  // namespace culvert::dataplane
