/// culvert-traffic: opens the devices, makes the mappings, runs the trials. traffic.h has the generator.

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_log.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <thread>

#include "config/config.h"
#include "options.h"
#include "rate_search.h"
#include "report.h"
#include "traffic.h"

namespace {

using namespace culvert;
using namespace culvert::bench;

constexpr unsigned kSetupRounds = 5;      ///< tries to make the mappings that are still missing
constexpr uint32_t kSpareBuffers = 4096;  ///< of each direction, beyond what lies in queues

/// A DPDK environment and two devices that run.
class Devices {
 public:
  explicit Devices(const Options& o) {
    config::Config c;
    c.workers = 0;
    if (o.cpu_given) c.lcores = {o.cpu};
    c.interfaces.resize(2);
    c.interfaces[0].device = o.inside;
    c.interfaces[1].device = o.outside;
    for (auto& i : c.interfaces) i.mtu = o.mtu;
    const uint32_t receive = 2u * o.descriptors + kSpareBuffers;
    c.capacity.packet_buffers = 3 * receive;
    dataplane::init_eal(c, o.debug);
    buffers_ = dataplane::make_buffers("receive", receive, std::max<uint16_t>(o.mtu, kMaxFrame));
    // Without shared configuration net_memif finds that no secondary process can ask it anything: nobody
    // will.
    if (!o.debug) rte_log_set_level_pattern("pmd.net.memif", RTE_LOG_CRIT);
    inside = open("--inside", o.inside, o);
    outside = open("--outside", o.outside, o);
  }
  ~Devices() {
    inside.reset();
    outside.reset();
    buffers_.reset();
    // The EAL ends with the process: generators' pools are still there.
  }
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;

  std::unique_ptr<dataplane::Port> inside, outside;

 private:
  std::unique_ptr<dataplane::Port> open(const char* name, const std::string& device, const Options& o) {
    dataplane::Port::Setup setup;
    setup.device = device;
    setup.mtu = o.mtu;
    setup.rx_descriptors = setup.tx_descriptors = o.descriptors;
    setup.buffers = buffers_.get();
    setup.tell = [](const std::string& text) { std::cerr << "culvert-traffic: " << text << '\n'; };
    try {
      auto port = std::make_unique<dataplane::Port>(setup);
      port->start();
      return port;
    } catch (const std::runtime_error& e) {
      throw std::runtime_error(fmt::format("{}: {}", name, e.what()));
    }
  }

  dataplane::BufferPool buffers_;
};

void wait_for_links(const Devices& devices, const Options& o) {
  const auto until = rte_rdtsc() + static_cast<uint64_t>(o.link_wait * static_cast<double>(rte_get_tsc_hz()));
  for (const auto* port : {devices.inside.get(), devices.outside.get()}) {
    while (!port->link().up) {
      if (interrupted) throw Interrupted();
      if (rte_rdtsc() > until) {
        throw std::runtime_error(
            fmt::format("the link of {} does not come up in {} s; is the appliance running and on the other "
                        "end of it? (for net_memif: "
                        "the same socket= and id=, and the other role=)",
                        port->device(), o.link_wait));
      }
      usleep(1000);
    }
  }
}

/// Whether an outcome counts as loss-free, and whether the generator kept its rate.
struct Judgement {
  bool within = true, kept_rate = true;
};

Judgement judge(const Outcome& outcome, double tolerance, double missed) {
  Judgement j;
  for (const Direction d : kDirections) {
    const Score& s = outcome.of(d);
    if (static_cast<double>(s.lost()) > tolerance * static_cast<double>(s.offered())) j.within = false;
    if (s.wrong() != 0) j.within = false;
    if (static_cast<double>(s.missed) > missed * static_cast<double>(s.offered() + s.missed))
      j.kept_rate = false;
  }
  return j;
}

class Run {
 public:
  Run(const Options& o, Devices& devices, Results& results)
      : o_(o), r_(results), traffic_(setup(o), *devices.inside, *devices.outside) {
    r_.options = o;
    r_.ticks_per_second = static_cast<double>(rte_get_tsc_hz());
  }

  void all() {
    if (o_.task == Task::connections) {
      connections();
    } else {
      make_mappings();
      if (o_.task == Task::trial) {
        trial(o_.rate);
      } else {
        search();
      }
    }
    r_.passed = traffic_.passed();
  }

 private:
  static Traffic::Setup setup(const Options& o) {
    Traffic::Setup s;
    s.profile = o.profile;
    s.profile.subscribers *= o.trials_room;
    s.inside_peer = o.inside_peer;
    s.outside_peer = o.outside_peer;
    s.burst = o.burst;
    s.linger = o.linger;
    s.verify_every = o.verify_every;
    s.spare_buffers = kSpareBuffers;
    return s;
  }

  void say(const std::string& text) const {
    if (!o_.quiet) std::cerr << text << '\n';
  }

  /// The preliminary phase; what was lost is sent again, more slowly.
  void make_mappings() {
    const uint32_t wanted = o_.profile.mappings();
    Load load{.outbound_rate = o_.setup_rate, .sweep = true, .first = 0, .count = wanted};
    for (unsigned round = 0; round < kSetupRounds && r_.mappings < wanted; ++round, load.outbound_rate /= 2) {
      r_.setup.push_back({load.outbound_rate, false, traffic_.run(load)});
      r_.mappings = traffic_.known(0, wanted);
      r_.setup.back().passed = r_.mappings == wanted;
    }
    if (r_.mappings == wanted) return;
    const Passed& p = traffic_.passed();
    std::string why =
        "what the appliance counts as dropped says why (culvert drops): too few ports or blocks for a "
        "subscriber, a full table, a limit; or --setup-rate is too high";
    uint64_t corrupt = 0, strayed = 0;
    for (const Trial& t : r_.setup) {
      corrupt += t.outcome.outbound.corrupt;
      strayed += t.outcome.outbound.strayed;
    }
    if (corrupt + strayed != 0) {
      why = fmt::format("{} packets came out corrupt and {} with another external endpoint than before",
                        corrupt, strayed);
    } else if (p.outside_received == p.outside_foreign) {
      why =
          "nothing at all came out: do its next hops name our MAC addresses, do --inside-peer and "
          "--outside-peer "
          "name its own, are the inside addresses its subscribers' (culvert-traffic --help has them)?";
    }
    throw std::runtime_error(fmt::format("only {} of {} mappings were made; {}", r_.mappings, wanted, why));
  }

  /// One trial; true when it passed.
  bool trial(double rate) {
    const Load load{.outbound_rate = o_.outbound ? rate : 0,
                    .inbound_rate = o_.inbound ? rate : 0,
                    .seconds = o_.seconds,
                    .first = 0,
                    .count = o_.profile.mappings()};
    return note(rate, traffic_.run(load));
  }

  bool note(double rate, const Outcome& outcome) {
    const Judgement j = judge(outcome, o_.tolerance, o_.missed);
    const bool passed = j.within && j.kept_rate;
    if (!passed) limit_ = j.within ? "generator" : "loss";
    r_.trials.push_back({rate, passed, outcome});
    if (o_.task != Task::trial) say(line_of(r_.trials.back()));
    return passed;
  }

  void search() {
    RateSearch search(o_.rate, o_.most, o_.resolution);
    while (const auto rate = search.next()) {
      bool passed = false;
      for (unsigned i = 0; i < o_.attempts && !passed; ++i) passed = trial(*rate);
      search.tell(passed);
    }
    r_.best = search.best();
    r_.limit = search.reached_most() ? "most" : limit_;
  }

  /// Each trial makes mappings of its own, and then asks for each of them from outside (RFC 9693:
  /// validation).
  void connections() {
    const uint32_t count = o_.profile.mappings();
    RateSearch search(o_.rate, o_.most, o_.resolution);
    unsigned used = 0;
    for (bool enough = true; enough;) {
      const auto rate = search.next();
      if (!rate) break;
      bool passed = false;
      for (unsigned i = 0; i < o_.attempts && !passed && enough; ++i) {
        enough = used < o_.trials_room;
        if (enough) passed = new_mappings(*rate, used++ * count, count);
      }
      if (enough || passed) search.tell(passed);
    }
    r_.mappings = traffic_.known(0, o_.profile.mappings() * o_.trials_room);
    r_.best = search.best();
    r_.limit = search.reached_most() ? "most" : search.next() ? "trials" : limit_;
  }

  bool new_mappings(double rate, uint32_t first, uint32_t count) {
    Outcome outcome = traffic_.run({.outbound_rate = rate, .sweep = true, .first = first, .count = count});
    // A sweep sends later what it could not send in time; whether it kept its rate tells its duration.
    const double expected = static_cast<double>(count) / rate;
    const bool slow = outcome.seconds > 1.01 * expected + 1e-3;
    if (slow) outcome.outbound.missed = static_cast<uint64_t>((outcome.seconds - expected) * rate);
    const bool made = note(rate, outcome);
    if (!made || traffic_.known(first, count) != count) return false;
    const Outcome asked = traffic_.run(
        {.inbound_rate = std::min(rate, o_.setup_rate), .sweep = true, .first = first, .count = count});
    r_.setup.push_back({std::min(rate, o_.setup_rate), judge(asked, 0, 1).within, asked});
    if (!r_.setup.back().passed) {
      r_.trials.back().passed = false;
      limit_ = "loss";
      say("           but not all of its mappings can be reached from outside");
    }
    return r_.trials.back().passed;
  }

  Options o_;
  Results& r_;
  Traffic traffic_;
  std::string limit_;
};

bool any_wrong(const Results& r) {
  const auto wrong = [](const Trial& t) {
    return t.outcome.outbound.wrong() + t.outcome.inbound.wrong() != 0;
  };
  return std::ranges::any_of(r.setup, wrong) || std::ranges::any_of(r.trials, wrong);
}

int measure(const Options& o) {
  Devices devices(o);
  wait_for_links(devices, o);
  Results results;
  Run(o, devices, results).all();
  if (o.json != "-") std::cout << table_of(results) << std::flush;
  if (!o.json.empty()) write_json(results, o.json);
  while (o.stay && !interrupted) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (any_wrong(results)) {
    std::cerr << "culvert-traffic: packets came out wrong: corrupt, or at another mapping\n";
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::optional<Options> options;
  try {
    options = parse_options(argc, argv);
  } catch (const UsageError& e) {
    std::cerr << "culvert-traffic: " << e.what() << "\nculvert-traffic --help explains the options\n";
    return 2;
  }
  if (!options) return 0;
  for (const int number : {SIGINT, SIGTERM}) signal(number, [](int) { interrupted = true; });
  int code = 1;
  try {
    code = measure(*options);
  } catch (const Interrupted&) {
    std::cerr << "culvert-traffic: interrupted\n";
    code = 130;
  } catch (const std::exception& e) {
    std::cerr << "culvert-traffic: " << e.what() << '\n';
  }
  return code;
}
