/// The engine: workers, the rings between them, the registry of pools and the current Tables, put together
/// from a Config — without threads, devices or clocks. The appliance (appliance.h) turns it with lcores and
/// DPDK ports, `culvert replay` with captures on one thread, the benchmark and the fuzzer with packets from
/// memory.
///
/// It also holds what the control core does to workers: apply a changed configuration, deal free blocks from
/// workers that have many to those that run out, retire drained pools. All of it happens by tasks that run in
/// the workers' own threads.
///
/// Thread: one at a time (the control core); worker(i) itself belongs to that worker's thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "control/inheritance.h"
#include "dataplane/worker.h"
#include "logging/ledger/definitions.h"

namespace culvert::control {

using dataplane::WorkerId;

/// What only the driver of an engine knows about an interface. In the order of Config::interfaces.
struct InterfaceFacts {
  uint16_t port = 0;     ///< DPDK port number; replay: 0 inside, 1 outside
  net::MacAddress mac;   ///< ours
  bool any_mac = false;  ///< replay: frames are ours whatever their destination MAC
};

class Engine {
 public:
  struct Options {
    uint64_t seed = 0;  ///< 0: drawn from the system's entropy
    rte_mempool* buffers = nullptr;
    bool ring_files = true;  ///< event rings in logging.ring-directory, else in memory
    uint32_t event_ring_size = logging::EventRing::kUsualCapacity;
    /// What subscribers held before; only read by the constructor. Null: nothing.
    const Inheritance* inheritance = nullptr;
    /// What the inside port's hardware steers subscribers by; null: it does not.
    std::shared_ptr<const dataplane::SubscriberRss> rss;
  };

  /// Takes all memory there will be, but that of pools which a reload adds. Throws std::runtime_error that
  /// names what could not be had.
  Engine(const config::Config& config, std::vector<InterfaceFacts> facts, const Options& options, Millis now);
  ~Engine();

  unsigned workers() const { return static_cast<unsigned>(workers_.size()); }
  dataplane::Worker& worker(unsigned i) { return *workers_[i]; }
  const dataplane::Worker& worker(unsigned i) const { return *workers_[i]; }
  dataplane::Fabric& fabric() { return *fabric_; }
  const dataplane::Tables& tables() const { return *tables_; }
  const config::Config& config() const { return config_; }
  std::vector<logging::EventRing*> rings();
  /// What the ledger must know before the workers run.
  const logging::ledger::Definitions& definitions() const { return definitions_; }
  /// Blocks of the inheritance, by the ledger's numbers, that nobody could be given.
  const std::vector<uint64_t>& disinherited() const { return disinherited_; }
  /// The cell a configured next hop's link-layer address is read from; the control core sets it as it learns.
  dataplane::NextHopCell& next_hop_ipv4(unsigned interface) { return next_hops_[2 * interface]; }
  dataplane::NextHopCell& next_hop_ipv6(unsigned interface) { return next_hops_[2 * interface + 1]; }

  /// Explicit mappings of the inheritance that the configuration does not have.
  const std::vector<logging::ledger::State::Endpoint>& mappings_that_left() const {
    return mappings_that_left_;
  }
  /// Puts on record what the numbers of later events stand for, before any worker makes one; its error ends
  /// apply(). Null: nobody records.
  std::function<std::string(const logging::ledger::Definitions&)> define;

  /// Applies a changed configuration: all of it, or nothing and the reason. What needs a restart (capacities,
  /// interfaces, workers, a pool's port geometry) is refused with the figures. Reason is empty on success.
  std::string apply(const config::Config& next, Millis now);

  /// What could not be done though the configuration was applied (a static mapping without room), since the
  /// last call.
  std::vector<std::string> take_warnings() { return std::exchange(warnings_, {}); }

  /// Grows whenever addresses or subscribers may have got another owner: hardware rules are to follow then.
  /// Any thread sees it grown with the first that the new owner does.
  uint64_t owners_version() const { return owners_version_.load(std::memory_order_acquire); }

  /// Housekeeping of the control core; call it every 100 ms or so.
  void tick(Millis now);

  /// Runs a task in a worker's thread and waits for it.
  void run(WorkerId worker, dataplane::Worker::Task task);
  void run_everywhere(const dataplane::Worker::Task& task);

  /// How run() waits, and how workers are made to pass a quiescent state: the appliance sleeps a little, a
  /// single-threaded driver polls the workers. Null: run() polls the worker itself, which must not run
  /// elsewhere.
  std::function<void()> pump;
  /// Waits until no worker uses Tables older than now; the appliance uses rte_rcu_qsbr. Null: nothing to wait
  /// for.
  std::function<void()> synchronize;

 private:
  std::string needs_restart(const config::Config& next) const;
  void warn_of_masks();
  void publish(std::unique_ptr<dataplane::Tables> tables);
  void fill_interfaces(dataplane::Tables& tables, const config::Config& config);
  void level(dataplane::Pool& pool);
  void give_back(const Division& division, Millis now);
  void add_statics(const Inheritance& inheritance);
  void add_static(const dataplane::StaticEntry& entry, bool on_record = false);
  void remove_statics();
  void expel_strangers();
  std::vector<uint16_t> drained_pools() const;
  void retire_pools(Millis now);

  config::Config config_;
  std::vector<InterfaceFacts> facts_;
  std::vector<dataplane::NextHopCell> next_hops_;
  dataplane::Registry registry_;
  std::unique_ptr<dataplane::Fabric> fabric_;
  std::unique_ptr<dataplane::Tables> tables_;
  std::vector<std::unique_ptr<logging::EventRing>> rings_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
  std::vector<std::string> warnings_;
  logging::ledger::Definitions definitions_;
  std::vector<uint64_t> disinherited_;
  std::vector<logging::ledger::State::Endpoint> mappings_that_left_;
  std::vector<dataplane::StaticEntry> departing_;  ///< static mappings whose end is not on record yet
  std::atomic<uint64_t> owners_version_{1};
  Millis started_with_ = 0, levelled_ = 0, retired_ = 0;
};

}  // namespace culvert::control
