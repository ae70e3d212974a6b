#include "control/appliance.h"

#include <fmt/format.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "config/load.h"
#include "control/exception_path.h"
#include "control/memory_plan.h"
#include "control/neighbours.h"
#include "control/worker_loop.h"
#include "dataplane/huge_array.h"

namespace culvert::control {
namespace {

using namespace std::chrono_literals;
using dataplane::Port;
using logging::ledger::Ledger;

constexpr auto kDrainAtMost = 1s;       ///< how long an orderly stop waits for packets that are under way
constexpr auto kDrainQuiet = 20ms;      ///< and how long nothing must have moved
constexpr auto kNeighboursAtMost = 1s;  ///< how long a start waits for next hops
constexpr int64_t kClockStep = 2000;    ///< milliseconds the system's clock may differ before we say so

logging::ledger::Retention retention_of(const config::Logging& l) {
  return {.age_ms = static_cast<uint64_t>(std::chrono::milliseconds(l.retention_age).count()),
          .bytes = l.retention_megabytes * 1'000'000};
}

}  // namespace

Appliance::Appliance(const config::Config& config, Log& log, const Options& options) : log_(log) {
  // Before any other thread is started, which would get the signals otherwise.
  for (int number : {SIGTERM, SIGINT}) {
    loop_.on_signal(number, [this] { loop_.stop(); });
  }
  loop_.on_signal(SIGHUP, [this] { reload(); });
  signal(SIGPIPE, SIG_IGN);

  const MemoryPlan plan = plan_memory(config);
  if (const std::string error = shortage(plan, memory_there()); !error.empty())
    throw std::runtime_error(error);
  eal_ = dataplane::init_eal(config, log_.shows(Level::debug));
  log_.info("packets lie in {}", eal_.pages);
  buffers_ =
      dataplane::make_buffers("packets", config.capacity.packet_buffers, dataplane::largest_mtu(config));
  open_ports(config);

  std::vector<InterfaceFacts> facts;
  std::vector<net::MacAddress> macs;
  for (unsigned i = 0; i < config.interfaces.size(); ++i) {
    facts.push_back({port_of(i).id(), port_of(i).mac()});
    macs.push_back(port_of(i).mac());
  }
  std::unique_ptr<logging::ledger::Ledger> ledger = open_ledger(config);
  Inheritance inheritance = inheritance_of(ledger->state());
  if (ledger->uncertain())
    inheritance.nothing_new_before =
        now() + static_cast<Millis>(std::chrono::milliseconds(config.hold_down.timeout).count());
  Engine::Options engine_options;
  engine_options.buffers = buffers_.get();
  engine_options.inheritance = &inheritance;
  for (const auto& port : ports_)
    if (auto rss = port->steering().rss()) engine_options.rss = rss;
  dataplane::populate_pages(true);
  try {
    engine_ = std::make_unique<Engine>(config, facts, engine_options, now());
  } catch (const std::bad_alloc&) {
    throw std::runtime_error(
        "the memory that was there is not any more, or the process may not have it (ulimit -v, "
        "vm.overcommit_memory=2); to be taken are\n" +
        text_of(plan));
  }
  tell_warnings();
  steer();
  for (const auto& port : ports_)
    log_.info("device {}: steering {}", port->device(), port->steering().text());

  start_recorder(std::move(ledger), options.version);
  exception_path_ =
      std::make_unique<ExceptionPath>(loop_, engine_->fabric(), config.interfaces, macs,
                                      [this](const std::string& text) { log_.warning("{}", text); });
  neighbours_ = std::make_unique<Neighbours>(
      loop_,
      [this](unsigned i, bool ipv6) -> dataplane::NextHopCell& {
        return ipv6 ? engine_->next_hop_ipv6(i) : engine_->next_hop_ipv4(i);
      },
      [this](const std::string& text, bool bad) { log_.write(bad ? Level::warning : Level::info, text); });
  try {
    start_workers(options);
    links_up_.assign(config.interfaces.size(), 0);
    announce();
    neighbours_->follow(config.interfaces, exception_path_->kernel_indices());
    loop_.every(100ms, [this] { tick(); });
  } catch (...) {
    stop_workers();  // nothing may be taken from under them
    throw;
  }
  started_at_ = applied_at_ = now();
}

Appliance::~Appliance() { stop_workers(); }

void Appliance::open_ports(const config::Config& config) {
  for (const config::Interface& i : config.interfaces) {
    const auto same = [&i](const auto& port) { return port->device() == i.device; };
    const auto found = std::ranges::find_if(ports_, same);
    port_of_interface_.push_back(static_cast<unsigned>(found - ports_.begin()));
    if (found != ports_.end()) continue;

    // Interfaces that share a device by VLANs get the most that one of them asks for.
    Port::Setup setup;
    setup.device = i.device;
    setup.workers = config.workers;
    setup.buffers = buffers_.get();
    setup.mtu = setup.rx_descriptors = setup.tx_descriptors = 0;
    for (const config::Interface& other : config.interfaces) {
      if (other.device != i.device) continue;
      setup.queues = std::max(setup.queues, other.queues);
      setup.mtu = std::max(setup.mtu, other.mtu);
      setup.rx_descriptors = std::max(setup.rx_descriptors, other.rx_descriptors);
      setup.tx_descriptors = std::max(setup.tx_descriptors, other.tx_descriptors);
      if (other.vlan) setup.vlan_bytes = 4;
      if (other.role != config::Role::outside) {
        setup.sides.inside = true;
        setup.sides.subscribers = dataplane::shortest_masks(config);
        setup.sides.inside_vlan = other.vlan;
      }
      if (other.role != config::Role::inside) {
        setup.sides.outside = true;
        setup.sides.outside_vlan = other.vlan;
      }
    }
    setup.tell = [this](const std::string& text) { log_.warning("{}", text); };
    try {
      ports_.push_back(std::make_unique<Port>(setup));
      ports_.back()->start();
    } catch (const std::runtime_error& e) {
      throw std::runtime_error(fmt::format("interface {}: {}", i.name, e.what()));
    }
    const Port& port = *ports_.back();
    log_.info("device {}: {}, MAC {}, {} receive and {} transmit queues", port.device(), port.driver(),
              port.mac().text(), port.rx_queues(), port.tx_queues());
  }
}

/// Opens the ledger and puts on record what an ended process left in its rings. From here on it tells who
/// holds what.
std::unique_ptr<Ledger> Appliance::open_ledger(const config::Config& config) {
  auto ledger = std::make_unique<Ledger>(
      config.logging.ledger_directory, now(),
      Ledger::Options{.tell = [this](const std::string& text) { log_.error("{}", text); },
                      .strict = config.logging.strict,
                      .segment_events = config.logging.segment_events});
  clock_.not_before(ledger->last_time() + 1);
  const logging::Recovered found = logging::recover_rings(config.logging.ring_directory, *ledger, now());
  if (found.events != 0)
    log_.warning("{} records of a process that ended without writing them are in the ledger now",
                 found.events);
  if (found.destroyed != 0)
    log_.error("{} of them were destroyed by a crash of the machine (record-lost)", found.destroyed);
  return ledger;
}

/// Begins this run in the ledger and hands it to the recorder.
void Appliance::start_recorder(std::unique_ptr<Ledger> ledger, const std::string& version) {
  for (const uint64_t block : engine_->disinherited())
    ledger->release(block, logging::Reason::restart, now());
  for (const auto& endpoint : engine_->mappings_that_left()) ledger->end_mapping(endpoint, now());
  ledger->define(engine_->definitions(), now());
  if (ledger->start(version, now()) != Ledger::Commit::done)
    throw std::runtime_error(fmt::format(
        "ledger {}; make room or name another directory as logging: ledger-directory", ledger->error()));
  if (ledger->uncertain())
    log_.warning("the machine crashed, and may have lost records: no new blocks before {} s are over",
                 engine_->config().hold_down.timeout.count());
  if (const size_t held = ledger->state().held().size(); held != 0)
    log_.info("{} port blocks are with the subscribers who held them", held);
  recorder_ = std::make_unique<logging::Recorder>(
      std::move(ledger), logging::Recorder::Setup{
                             .rings = engine_->rings(),
                             .moves = [this] { return engine_->owners_version(); },
                             .clock = [this] { return now(); },
                             .clock_ahead = [this] { return clock_.off_by(); },
                             .complain = [this](const std::string& text) { log_.error("{}", text); },
                             .sync_every = engine_->config().logging.strict ? 0ms : 100ms,
                         });
  engine_->define = [this](const logging::ledger::Definitions& d) { return recorder_->define(d); };
  keeper_ = std::make_unique<logging::Keeper>(logging::Keeper::Setup{
      .directory = engine_->config().logging.ledger_directory,
      .note = [this](logging::ledger::Type type,
                     const logging::ledger::SegmentNote& s) { return recorder_->note(type, s); },
      .clock = [this] { return now(); },
      .complain = [this](const std::string& text) { log_.error("{}", text); },
      .retention = retention_of(engine_->config().logging)});
  exports_ =
      std::make_unique<logging::ExportSet>(engine_->config().logging.ledger_directory, recorder_->stats().end,
                                           [this](const std::string& text) { log_.warning("{}", text); });
  exports_->apply(engine_->config().logging.exports);
}

void Appliance::start_workers(const Options& options) {
  quiescent_ = std::make_unique<QuiescentState>(engine_->workers());
  engine_->pump = [] { usleep(20); };
  engine_->synchronize = [this] { quiescent_->wait(); };
  const bool sleep = options.idle_sleep == Options::IdleSleep::always ||
                     (options.idle_sleep == Options::IdleSleep::when_shared && eal_.shared_cpus);
  for (unsigned w = 0; w < engine_->workers(); ++w) {
    auto loop = std::make_unique<WorkerLoop>();
    loop->worker = &engine_->worker(w);
    loop->clock = &clock_;
    loop->quiescent = quiescent_.get();
    for (const auto& port : ports_) loop->ports.push_back(port.get());
    for (unsigned i = 0; i < port_of_interface_.size(); ++i) {
      const size_t tag = engine_->config().interfaces[i].vlan ? sizeof(net::VlanTag) : 0;
      loop->exits.push_back({&port_of(i), static_cast<uint32_t>(sizeof(net::EthernetHeader) + tag)});
    }
    loop->idle_sleep = sleep;
    loops_.push_back(std::move(loop));
  }
  for (unsigned w = 0; w < loops_.size(); ++w) {
    if (int result = rte_eal_remote_launch(turn_worker_loop, loops_[w].get(), w + 1); result != 0) {
      throw std::runtime_error(fmt::format("worker {} does not start on CPU {}", w, worker_cpu(w)));
    }
    launched_++;
  }
  log_.info("{} on CPU{} {}, control core on CPU {}{}",
            loops_.size() == 1 ? "1 worker" : fmt::format("{} workers", loops_.size()),
            loops_.size() == 1 ? "" : "s", fmt::join(eal_.cpus.begin() + 1, eal_.cpus.end(), ", "),
            control_cpu(), sleep ? "; idle workers sleep" : "");
}

void Appliance::stop_workers() {
  using Steady = std::chrono::steady_clock;
  if (launched_ == 0) return;
  for (auto& loop : loops_) loop->stop_receiving = true;
  const auto moved = [this] {
    return std::accumulate(loops_.begin(), loops_.end(), uint64_t{0},
                           [](uint64_t sum, const auto& loop) { return sum + loop->moved.load(); });
  };
  const auto began = Steady::now();
  auto changed = began;
  for (uint64_t last = moved();
       Steady::now() - changed < kDrainQuiet && Steady::now() - began < kDrainAtMost;) {
    std::this_thread::sleep_for(1ms);
    if (exception_path_) exception_path_->deliver();
    if (const uint64_t n = moved(); n != last) {
      last = n;
      changed = Steady::now();
    }
  }
  for (auto& loop : loops_) loop->stop = true;
  for (unsigned w = 0; w < launched_; ++w) rte_eal_wait_lcore(w + 1);
  launched_ = 0;
}

/// Lets the rules in the devices follow the tables. Until they do, rings bring packets where they belong.
void Appliance::steer() {
  if (steered_version_ == engine_->owners_version()) return;
  steered_version_ = engine_->owners_version();
  for (const auto& port : ports_) port->steering().apply(engine_->tables());
}

void Appliance::tick() {
  const dataplane::Millis time = now();
  engine_->tick(time);
  steer();
  announce();
  tell_warnings();
  const int64_t off = clock_.off_by();
  if (std::abs(off - clock_off_by_) > kClockStep) {
    log_.warning(
        "the system's clock was set; records keep the time since the start, which is {:.1f} s {} it, until "
        "culvertd is restarted",
        static_cast<double>(std::abs(off)) / 1000, off > 0 ? "behind" : "ahead of");
    clock_off_by_ = off;
  }
}

/// Whoever is connected to a link that has come up learns our addresses there.
void Appliance::announce() {
  for (unsigned i = 0; i < links_up_.size(); ++i) {
    const bool up = port_of(i).link().up;
    if (std::exchange(links_up_[i], up ? 1 : 0) == 1 || !up) continue;
    try {
      exception_path_->announce(i);
    } catch (const std::runtime_error& e) {
      log_.warning("neighbours are not told our addresses: {}", e.what());
    }
  }
}

void Appliance::tell_warnings() {
  for (const std::string& text : engine_->take_warnings()) log_.warning("{}", text);
}

/// Gives neighbours on a quiet network the time to answer, so that who waits for us to be ready loses no
/// packet.
void Appliance::wait_for_next_hops() {
  const auto until = std::chrono::steady_clock::now() + kNeighboursAtMost;
  while (!neighbours_->all_resolved() && std::chrono::steady_clock::now() < until) loop_.run_once(10ms);
  for (const NextHopState& n : neighbours_->next_hops()) {
    if (!n.mac)
      log_.warning("next hop {} does not answer yet; packets to it are dropped", text_of(n.address));
  }
}

void Appliance::run() {
  wait_for_next_hops();
  sd_notifyf(0, "READY=1\nSTATUS=Forwarding with %u workers, packets in %s", engine_->workers(),
             eal_.pages.c_str());
  for (;;) {
    try {
      loop_.run();
      break;
    } catch (const std::exception& e) {
      // Whatever a request or a full descriptor table does to the control core, the workers go on.
      log_.error("control core: {}", e.what());
      std::this_thread::sleep_for(10ms);
    }
  }
  sd_notify(0, "STOPPING=1");
  log_.info("stopping");
}

std::string Appliance::reload() {
  const struct Ready {
    ~Ready() { sd_notify(0, "READY=1"); }
  } ready;  // whatever happens
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
             static_cast<long long>(t.tv_sec) * 1'000'000 + t.tv_nsec / 1000);
  std::string error;
  auto loaded = config::load_file(config_path());
  if (const auto* problems = std::get_if<config::Problems>(&loaded)) {
    for (const auto& p : *problems) error += (error.empty() ? "" : "\n") + p.text();
  } else {
    error = engine_->apply(std::get<config::Config>(loaded), now());
  }
  if (error.empty()) {
    applied_at_ = now();
    reloads_++;
    neighbours_->follow(engine_->config().interfaces, exception_path_->kernel_indices());
    keeper_->keep(retention_of(engine_->config().logging));
    exports_->apply(engine_->config().logging.exports);
    log_.info("reload: {} is in force", config_path());
    tell_warnings();
  } else {
    log_.error("reload: {} is not applied, the configuration in force stays:\n{}", config_path(), error);
  }
  return error;
}

bool Appliance::receives(unsigned worker) const {
  return std::ranges::any_of(ports_, [worker](const auto& port) { return port->receives(worker); });
}

uint32_t Appliance::buffers_in_use() const { return rte_mempool_in_use_count(buffers_.get()); }
uint32_t Appliance::buffers() const { return buffers_->size; }

uint32_t Appliance::records_waiting() const {
  uint32_t n = 0;
  for (const logging::EventRing* ring : engine_->rings()) n += ring->waiting();
  return n;
}

}  // namespace culvert::control
