#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>

#include "control/api_answer.h"
#include "cpus.h"
#include "flows.h"
#include "scenarios.h"

namespace culvert::bench {
namespace {

const std::string kFamily = "listing";
const std::string kAlone = "out, nobody lists", kBeside = "out, beside `culvert mappings`";
constexpr uint32_t kEach = 10;

/// The control core at one single work: what the control socket does for `culvert mappings`, over and over.
/// The text is made and thrown away.
class Lister {
 public:
  Lister(Box& box, int cpu) : box_(box), thread_([this, cpu] { guarded(cpu); }) {}
  ~Lister() {
    stop_ = true;
    while (!ended_) box_.worker().poll(box_.now());  // what it still waits for
    thread_.join();
  }
  Lister(const Lister&) = delete;
  Lister& operator=(const Lister&) = delete;

  /// Rows listed so far.
  uint64_t rows() const {
    if (ended_) throw std::runtime_error("the listing has ended: " + why_);
    return rows_;
  }

 private:
  void guarded(int cpu) {
    try {
      const OnCpu here(cpu);
      run();
    } catch (const std::exception& e) {
      why_ = e.what();
    }
    ended_ = true;
  }

  void run() {
    control::EventLoop loop;
    control::Errands errands(loop);
    control::PoolCensus census(box_.engine(), errands);
    control::ApiSource source;
    source.engine = &box_.engine();
    control::ApiContext context{.source = std::move(source), .errands = errands, .census = census};
    control::ApiRequest request;
    request.command = "mappings";
    std::string text;
    while (!stop_) {
      const auto answer = control::make_answer(request, context);
      bool awake = true;
      answer->wake = [&] { awake = true; };
      for (auto step = control::Answer::Step::more; step != control::Answer::Step::done && !stop_;) {
        awake = false;
        step = answer->step(text);
        rows_ += static_cast<uint64_t>(std::ranges::count(text, '\n'));
        text.clear();
        if (step != control::Answer::Step::waiting) continue;
        while (!awake) loop.run_once(std::chrono::milliseconds(1));
      }
    }
  }

  Box& box_;
  std::atomic<uint64_t> rows_{0};
  std::atomic<bool> stop_{false}, ended_{false};
  std::string why_;
  std::thread thread_;
};

struct BestListed : Best {
  double rows = 0;  ///< listed a second
};

/// Established packets for so many seconds of real time. `lister` may be null.
void measure(Box& box, Flows& flows, double seconds, const Lister* lister, BestListed& best) {
  const uint64_t start = ticks(), listed = lister == nullptr ? 0 : lister->rows();
  Tally total;
  double passed = 0;
  while (passed < seconds) {
    total += send_live(box, flows, true, kWindow);
    passed = static_cast<double>(ticks() - start) / ticks_per_second();
  }
  if (lister != nullptr)
    best.rows = std::max(best.rows, static_cast<double>(lister->rows() - listed) / passed);
  best.take(total);
}

}  // namespace

void measure_listing(Report& report, const Effort& effort) {
  if (effort.wanted(kFamily, {kAlone, kBeside}).empty()) return;
  const uint32_t mappings = effort.at_most(1'000'000);
  const int cpu = other_cpu();
  Box box({.carriage = Carriage::nat44, .subscribers = mappings / kEach, .mappings_each = kEach});
  box.establish();
  Flows flows(box, 7);
  BestListed alone, beside;
  for (unsigned round = 0; round < effort.rounds(); round++) {
    measure(box, flows, effort.seconds(), nullptr, alone);
    if (cpu < 0) continue;
    const Lister lister(box, cpu);
    measure(box, flows, effort.seconds(), &lister, beside);
  }
  const std::string size = count_text(mappings);
  report.heading(
      fmt::format("listing: {} mappings of nat44, established, while all of them are listed", size));
  report.add({.scenario = kAlone,
              .size = size,
              .value = alone.rate / 1e6,
              .note = fmt::format("longest burst {:.0f} µs", alone.longest_us)});
  if (cpu < 0) return report.missing(kBeside, kOneCpu);
  report.add({.scenario = kBeside,
              .size = size,
              .value = beside.rate / 1e6,
              .note = fmt::format("{:.2f} × alone, longest burst {:.0f} µs; {:.0f} k rows a second",
                                  beside.rate / alone.rate, beside.longest_us, beside.rows / 1e3)});
}

}  // namespace culvert::bench
