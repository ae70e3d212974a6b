#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>

#include "cpus.h"
#include "flows.h"
#include "logging/recorder.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "logging";
const std::string kNone = "out, no block events", kUnread = "out, 100 k block events/s, unread",
                  kWritten = "out, 100 k block events/s, written";
constexpr uint32_t kEach = 10;
constexpr uint64_t kBlocks = 50'000;       ///< allocated a second, and released: two events
constexpr uint64_t kLife = 3'700;          ///< ms from a block's first packet until it is free again, at most
constexpr uint32_t kPassing = 400'000;     ///< room for subscribers at once: twice what is needed
constexpr uint32_t kDifferent = 1u << 22;  ///< subscribers until the first comes again, after 80 s

/// A directory that is gone again before anything is measured: who has its files open keeps them, and nothing
/// is left behind however the process ends.
class Scratch {
 public:
  Scratch() : path_(std::filesystem::temp_directory_path() / "culvert-bench-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr)
      throw std::runtime_error(path_ + " cannot be made; TMPDIR names another place");
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Established traffic with subscribers who come, send one packet and are gone two seconds later.
class Street {
 public:
  explicit Street(uint32_t mappings) {
    const Scratch rings;
    box_ = std::make_unique<Box>(Plan{.carriage = Carriage::nat44,
                                      .subscribers = mappings / kEach,
                                      .mappings_each = kEach,
                                      .hold_down_seconds = 1,
                                      .passing = kPassing,
                                      .ring_directory = rings.path()});
    box_->establish();
    flows_.emplace(*box_, 7);
  }
  Box& box() { return *box_; }

  /// Until nobody passes any more.
  void quieten() { pass_time(2 * kLife); }
  /// Until as many leave as come.
  void fill() {
    constexpr uint64_t kStep = 1000 * kWindow / kBlocks;
    for (uint64_t t = 0; t < kLife; t += kStep) {
      box_->window(kInside, [this](uint8_t* at, unsigned) { return passer(at); });
      pass_time(kStep);
    }
  }

  struct Measured {
    Tally tally;
    uint64_t events = 0;
    double seconds = 0;  ///< of real time

    double events_a_second() const { return static_cast<double>(events) / seconds; }
    double events_a_worker_second() const {
      return static_cast<double>(events) / static_cast<double>(tally.ticks) * ticks_per_second();
    }
  };
  /// Packets for so many seconds of real time. `empty`: the event ring is emptied unread.
  Measured measure(double seconds, bool passing, bool empty) {
    const Fill established = flows_->fill(true);
    const uint64_t before = events(), dropped = box_->dropped(), start = ticks();
    Measured m;
    uint64_t made = 0;
    while (m.seconds < seconds) {
      m.seconds = static_cast<double>(ticks() - start) / ticks_per_second();
      const auto should = passing ? static_cast<uint64_t>(m.seconds * kBlocks) : 0;
      const auto due = static_cast<unsigned>(std::min<uint64_t>(should - made, kWindow));
      made += due;
      m.tally += box_->window_watched(kInside, [&](uint8_t* at, unsigned i) {
        return i * due % kWindow < due ? passer(at) : established(at, i);  // evenly among the others
      });
      if (empty) box_->drain_log();
    }
    m.seconds = static_cast<double>(ticks() - start) / ticks_per_second();
    m.events = events() - before;
    box_->check_none_dropped_since(dropped, "packets were dropped");
    return m;
  }

 private:
  unsigned passer(uint8_t* at) { return maker_.outbound(at, kFirstPassing + next_++ % kDifferent, 20000); }
  void pass_time(uint64_t milliseconds) {
    for (uint64_t t = 0; t < milliseconds; t++) {
      box_->clock().skip(1);
      box_->worker().poll(box_->now());
      box_->drain_log();
    }
  }
  uint64_t events() {
    const auto& c = box_->worker().counters();
    return c.blocks_allocated.get() + c.blocks_released.get();
  }

  const FrameMaker maker_{Carriage::nat44, Protocol::udp, kSmallestIpv4, kInsideMac, kNeighbourMac};
  std::unique_ptr<Box> box_;
  std::optional<Flows> flows_;
  uint32_t next_ = 0;
};

/// The recorder of culvertd, on a CPU of its own and with a ledger.
class Writer {
 public:
  Writer(Box& box, int cpu) {
    const Scratch folder;
    const auto clock = [at = box.now()] { return at; };  // the box's own is not for other threads
    auto ledger = std::make_unique<logging::ledger::Ledger>(
        folder.path(), clock(), logging::ledger::Ledger::Options{.tell = [](const std::string&) {}});
    ledger->define(box.engine().definitions(), clock());
    if (ledger->commit(clock()) != logging::ledger::Ledger::Commit::done)
      throw std::runtime_error(ledger->error());
    const OnCpu there(cpu);  // threads start where their maker is
    recorder_.emplace(std::move(ledger), logging::Recorder::Setup{.rings = box.engine().rings(),
                                                                  .clock = clock,
                                                                  .clock_ahead = [] { return int64_t{0}; },
                                                                  .complain = [](const std::string&) {}});
  }
  /// Events written until now.
  uint64_t written() const {
    if (recorder_->stats().errors != 0) throw std::runtime_error("the ledger could not be written");
    return recorder_->stats().events;
  }

 private:
  std::optional<logging::Recorder> recorder_;
};

struct BestLogged : Best {
  double events = 0, own_events = 0;  ///< a second, of the round of the best rate
  uint64_t written = 0;

  void take(const Street::Measured& m, uint64_t lines = 0) {
    if (!Best::take(m.tally)) return;
    events = m.events_a_second();
    own_events = m.events_a_worker_second();
    written = lines;
  }
};

}  // namespace

void measure_logging(Report& report, const Effort& effort) {
  if (effort.wanted(kFamily, {kNone, kUnread, kWritten}).empty()) return;
  const uint32_t mappings = effort.at_most(1'000'000);
  const int cpu = other_cpu();
  Street street(mappings);
  BestLogged none, unread, written;
  for (unsigned round = 0; round < effort.rounds(); round++) {
    street.quieten();
    none.take(street.measure(effort.seconds(), false, true));
    street.fill();
    unread.take(street.measure(effort.seconds(), true, true));
    if (cpu < 0) continue;
    const Writer writer(street.box(), cpu);
    const auto measured = street.measure(effort.seconds(), true, false);
    written.take(measured, writer.written());
  }
  const std::string size = count_text(mappings);
  report.heading(fmt::format("logging: {} mappings of nat44, while blocks come and go", size));
  const auto add = [&](const std::string& name, const BestLogged& b) {
    std::string note = fmt::format("longest burst {:.0f} µs", b.longest_us);
    if (b.events != 0)
      note = fmt::format("{:.2f} × none, {}; {:.0f} k events a second, {:.0f} k of the worker's own",
                         b.rate / none.rate, note, b.events / 1e3, b.own_events / 1e3);
    if (b.written != 0) note += fmt::format("; {} lines written", b.written);
    report.add({.scenario = name, .size = size, .value = b.rate / 1e6, .note = note});
  };
  add(kNone, none);
  add(kUnread, unread);
  if (cpu < 0)
    report.missing(kWritten, kOneCpu);
  else
    add(kWritten, written);
}

}  // namespace culvert::bench
