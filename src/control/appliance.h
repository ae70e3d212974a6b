/// The appliance: an Engine driven by real cores and devices. It owns, in the order they come to life:
///
///     EAL → packet buffers → Ports → ledger → Engine → Recorder, Keeper, exports → ExceptionPath,
///     Neighbours → workers' lcores
///
/// and takes them down the other way round.
///
/// Threads. The control core is the thread that made the Appliance: it runs the EventLoop and is the only one
/// that calls the Engine, the exception path and the API server. Every worker has an lcore of its own and
/// turns worker_loop.h. The log thread moves records to the disk, the keeper's seals them, and each export
/// has one.
///
/// What else needs a descriptor or a timer on the control core (control socket, metrics) takes it from
/// `loop()`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "control/clock.h"
#include "control/engine.h"
#include "control/event_loop.h"
#include "control/log.h"
#include "dataplane/eal.h"
#include "dataplane/port.h"
#include "logging/export/export_set.h"
#include "logging/keeper.h"
#include "logging/recorder.h"

namespace culvert::control {

class ExceptionPath;
class Neighbours;
struct WorkerLoop;
class QuiescentState;

class Appliance {
 public:
  struct Options {
    /// Workers sleep up to 50 µs when idle. By default only where lcores share CPUs, so that they do not
    /// starve each other; on cores of their own they poll without a pause.
    enum class IdleSleep : uint8_t { when_shared, always, never } idle_sleep = IdleSleep::when_shared;
    std::string version;  ///< of culvertd, for the ledger
  };

  /// Takes devices and memory, starts the workers, and blocks the signals that run() serves. Throws
  /// std::runtime_error that says what could not be had and what would help; nothing stays behind then.
  Appliance(const config::Config& config, Log& log, const Options& options);
  /// Stops receiving, sends what is under way, drains the records, gives everything back.
  ~Appliance();
  Appliance(const Appliance&) = delete;
  Appliance& operator=(const Appliance&) = delete;

  /// Serves the control core until `loop().stop()`. SIGTERM and SIGINT stop it, SIGHUP reloads.
  void run();

  /// Reads the configuration file again and applies it: all of it, or nothing. Empty on success, otherwise
  /// the reason, which may have several lines (every mistake of the file). The result is also on the log.
  std::string reload();

  EventLoop& loop() { return loop_; }
  Log& log() { return log_; }
  Engine& engine() { return *engine_; }
  const Engine& engine() const { return *engine_; }
  /// The file that reload() reads.
  const std::string& config_path() const { return engine_->config().file; }

  /// Devices, each once; several interfaces may share one.
  const std::vector<std::unique_ptr<dataplane::Port>>& ports() const { return ports_; }
  /// The device of an interface, by its place in Config::interfaces.
  dataplane::Port& port_of(unsigned interface) const { return *ports_[port_of_interface_[interface]]; }
  /// Link-layer addresses of next hops, as the kernel knows them.
  const Neighbours& neighbours() const { return *neighbours_; }

  dataplane::Millis now() const { return clock_.now(); }
  /// When the workers started.
  dataplane::Millis started_at() const { return started_at_; }
  /// When the configuration in force was applied, and how often since the start.
  dataplane::Millis applied_at() const { return applied_at_; }
  uint64_t reloads() const { return reloads_; }

  /// What memory the packets lie in ("2 MiB huge pages", "4 KiB pages").
  const std::string& page_kind() const { return eal_.pages; }
  /// CPU of the control core, and of every worker.
  int control_cpu() const { return eal_.cpus[0]; }
  int worker_cpu(unsigned worker) const { return eal_.cpus[worker + 1]; }
  /// Whether a worker is a port's receiver (has a queue of any), or lives on handed-over packets.
  bool receives(unsigned worker) const;
  /// Packet buffers in use, and in all.
  uint32_t buffers_in_use() const;
  uint32_t buffers() const;

  /// Events on the disk since the start, failed writes, and events that wait.
  const logging::RecorderStats& recorder() const { return recorder_->stats(); }
  uint32_t records_waiting() const;
  const logging::Keeper::Stats& keeper() const { return keeper_->stats(); }
  const logging::ExportSet& exports() const { return *exports_; }

 private:
  void open_ports(const config::Config& config);
  void steer();
  std::unique_ptr<logging::ledger::Ledger> open_ledger(const config::Config& config);
  void start_recorder(std::unique_ptr<logging::ledger::Ledger> ledger, const std::string& version);
  void start_workers(const Options& options);
  void stop_workers();
  void tick();
  void announce();
  void tell_warnings();
  void wait_for_next_hops();

  Log& log_;
  Clock clock_;
  EventLoop loop_;
  dataplane::Eal eal_;
  dataplane::BufferPool buffers_;
  std::vector<std::unique_ptr<dataplane::Port>> ports_;
  std::vector<unsigned> port_of_interface_;
  std::vector<uint8_t> links_up_;  ///< by interface, when announce() looked last
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<logging::Recorder> recorder_;
  std::unique_ptr<logging::Keeper> keeper_;
  std::unique_ptr<logging::ExportSet> exports_;
  std::unique_ptr<ExceptionPath> exception_path_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<QuiescentState> quiescent_;
  std::vector<std::unique_ptr<WorkerLoop>> loops_;
  unsigned launched_ = 0;  ///< workers that run
  dataplane::Millis started_at_ = 0, applied_at_ = 0;
  uint64_t reloads_ = 0;
  uint64_t steered_version_ = 0;  ///< Engine::owners_version() that the hardware's rules follow
  int64_t clock_off_by_ = 0;
};

}  // namespace culvert::control
