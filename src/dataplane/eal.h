/// DPDK's environment (EAL), started once a process, without leaving anything on the file system: no shared
/// configuration, no telemetry socket, no runtime directory.
///
/// Packet memory comes from huge pages when enough are free, otherwise from ordinary ones; nothing here needs
/// a hugetlbfs mount.
///
/// Thread: the first call's thread becomes the main lcore and is pinned to its CPU.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace culvert::dataplane {

/// How the EAL was started.
struct Eal {
  bool huge = false;
  std::string pages;         ///< for people: "2 MiB huge pages", "4 KiB pages"
  std::vector<int> cpus;     ///< of lcore 0 (control), then of each worker
  bool shared_cpus = false;  ///< two lcores share a CPU
};

/// Starts the EAL for the appliance: lcore 0 is the caller, lcore i is worker i - 1. The bus is only scanned
/// when an interface names a PCI device. `debug`: DPDK's own messages too. Throws std::runtime_error with a
/// reason and a remedy.
///
/// It ends with the process. There is nothing on disk that rte_eal_cleanup() would take away, and it takes
/// memory from under DPDK's interrupt thread, which goes on and may crash then (22.11).
Eal init_eal(const config::Config& config, bool debug);

/// Starts a small, quiet EAL for replay, tests and benchmarks: no root, no huge pages, no devices, one lcore;
/// any number of such processes at once. `megabytes` of packet memory, taken from the kernel as it is
/// touched. Does nothing when the EAL is already running.
void init_eal_for_replay(unsigned megabytes = 256);

/// What packet memory `buffers` packets of `mtu` bytes take, in bytes.
size_t packet_memory(uint32_t buffers, uint16_t mtu);

struct FreeMempool {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};
/// Owns a pool of packet buffers.
using BufferPool = std::unique_ptr<rte_mempool, FreeMempool>;

/// Bytes a buffer has for a packet of `mtu` bytes: headroom for encapsulation, Ethernet header and VLAN tags,
/// so that every packet is one segment.
uint16_t data_room(uint16_t mtu);

/// Makes a pool of `count` buffers with room for packets of `mtu` bytes (but never less than DPDK's default).
/// Throws std::runtime_error with the size and a remedy.
BufferPool make_buffers(const std::string& name, uint32_t count, uint16_t mtu);

/// Makes a pool of `count` buffers that hold a whole datagram of 65,535 bytes, an IPv6 header before it, and
/// headroom. No device can have them: they are on pages of our own. Throws std::runtime_error.
BufferPool make_datagram_buffers(uint32_t count);
/// What that pool takes, in bytes.
size_t datagram_memory(uint32_t count);

/// Whether a configured device is a PCI address ("0000:81:00.0", "81:00.0,key=value"), not a virtual device
/// string.
bool is_pci(std::string_view device);

/// The largest MTU of a configuration's interfaces.
uint16_t largest_mtu(const config::Config& config);

}  // namespace culvert::dataplane
