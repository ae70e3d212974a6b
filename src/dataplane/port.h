/// A DPDK device: a PCI address ("0000:81:00.0") or a virtual device string ("net_af_packet0,iface=eth1").
///
/// Queue i of a port is worker i's, both ways. A device may have fewer queues than there are workers; then
/// the workers without a receive queue live on what the others hand over, and those without a transmit queue
/// put their frames into a ring that the queue's owner empties: many producers, one consumer, no lock.
///
/// No offload is relied on: checksums are done in software, VLAN tags are bytes of the frame. Steering by RSS
/// and rules is used where the device has it (port_steering.h).
///
/// Thread: made, started and stopped by the control core; receive() and send() belong to the worker named.
#pragma once

#include <rte_ethdev.h>
#include <rte_ring.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/port_steering.h"
#include "net/address.h"

namespace culvert::dataplane {

class Port {
 public:
  struct Setup {
    std::string device;
    unsigned workers = 1;
    uint16_t queues = 0;      ///< asked for; 0: one a worker
    uint16_t mtu = 1500;      ///< of the IP packet
    unsigned vlan_bytes = 0;  ///< 4 when frames carry a tag
    uint16_t rx_descriptors = 1024, tx_descriptors = 1024;
    rte_mempool* buffers = nullptr;
    PortSides sides;  ///< who is behind it, for steering
    /// Where to say what the device could not give as asked.
    std::function<void(const std::string&)> tell;
  };
  /// Probes and configures the device. Throws std::runtime_error that names device, reason and remedy.
  explicit Port(const Setup& setup);
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  void start();
  /// Stops receiving and sending. Harmless when it is not running.
  void stop();

  const std::string& device() const { return device_; }
  uint16_t id() const { return id_; }
  const std::string& driver() const { return driver_; }
  net::MacAddress mac() const { return mac_; }
  uint16_t mtu() const { return mtu_; }
  unsigned rx_queues() const { return rx_queues_; }
  unsigned tx_queues() const { return tx_queues_; }
  uint16_t rx_descriptors() const { return rx_descriptors_; }
  uint16_t tx_descriptors() const { return tx_descriptors_; }
  PortSteering& steering() { return steering_; }
  const PortSteering& steering() const { return steering_; }

  struct Link {
    bool up = false;
    uint32_t mbps = 0;  ///< 0: unknown
    bool full_duplex = true;
  };
  Link link() const;
  /// The device's own basic counters; zeros where the driver has none.
  rte_eth_stats stats() const;
  /// Every counter the driver has, by DPDK's names.
  std::vector<std::pair<std::string, uint64_t>> xstats() const;

  bool receives(unsigned worker) const { return worker < rx_queues_; }
  /// Takes up to `most` frames off the worker's own queue; the caller knows that it has one.
  unsigned receive(unsigned worker, rte_mbuf** frames, unsigned most) {
    return rte_eth_rx_burst(id_, static_cast<uint16_t>(worker), frames, static_cast<uint16_t>(most));
  }
  /// Whether what the worker sends goes to the device, not by the ring of another worker's queue.
  bool transmits(unsigned worker) const { return worker < tx_queues_; }
  /// Sends frames; returns how many were taken (by the device or by the ring to the queue's owner). The rest
  /// stays the caller's.
  unsigned send(unsigned worker, rte_mbuf** frames, unsigned count);
  /// Takes up to `most` of the frames that workers without a queue want to be sent by `worker`'s.
  unsigned take_from_others(unsigned worker, rte_mbuf** frames, unsigned most);

 private:
  Port(std::string device, const PortSides& sides, unsigned workers)
      : device_(std::move(device)), steering_(sides, workers) {}
  void probe(const std::string& arguments);
  void configure(const Setup& setup);
  void configure_device(const Setup& setup, const rte_eth_dev_info& info, uint16_t mtu);
  void configure_queues(const Setup& setup, const rte_eth_dev_info& info);

  std::string device_, driver_;
  PortSteering steering_;
  rte_device* handle_ = nullptr;  ///< set once the device is ours to remove
  uint16_t id_ = RTE_MAX_ETHPORTS;
  bool running_ = false;
  net::MacAddress mac_;
  uint16_t mtu_ = 0;
  uint16_t rx_queues_ = 0, tx_queues_ = 0;
  uint16_t rx_descriptors_ = 0, tx_descriptors_ = 0;
  std::vector<rte_ring*> for_others_;  ///< by transmit queue; empty when every worker has a queue
};

}  // namespace culvert::dataplane
