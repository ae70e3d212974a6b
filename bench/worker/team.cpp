#include "team.h"

#include <rte_lcore.h>
#include <rte_pause.h>

#include <atomic>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>

#include "cpus.h"

namespace culvert::bench {
namespace {

using dataplane::kBurst;

/// Where all threads meet, spinning: to start within some 100 ns of each other.
class Gate {
 public:
  explicit Gate(unsigned threads) : threads_(threads) {}
  /// False: one of them has failed.
  bool pass() {
    const unsigned turn = turn_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      turn_.store(turn + 1, std::memory_order_release);
    }
    while (turn_.load(std::memory_order_acquire) == turn && !failed_.load(std::memory_order_relaxed))
      rte_pause();
    return !failed_.load(std::memory_order_relaxed);
  }
  void fail() { failed_.store(true); }

 private:
  const unsigned threads_;
  std::atomic<unsigned> arrived_{0}, turn_{0};
  std::atomic<bool> failed_{false};
};

class Team {
 public:
  Team(Box& box, uint16_t port, const std::vector<Fill>& fills, uint64_t windows)
      : box_(box), port_(port), fills_(fills), windows_(windows), gate_(members()) {
    for (unsigned i = 0; i < members(); i++) feeds_.push_back(std::make_unique<Feed>(box.buffers()));
  }

  uint64_t run(const std::vector<int>& cpus) {
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < members(); i++)
      threads.emplace_back([this, i, cpu = cpus[i]] { guarded(i, cpu); });
    uint64_t ticks = 0;
    try {
      ticks = work(0);
    } catch (...) {
      fail(std::current_exception());
    }
    for (std::thread& t : threads) t.join();
    if (failure_) std::rethrow_exception(failure_);
    return ticks;
  }

 private:
  unsigned members() const { return static_cast<unsigned>(fills_.size()); }

  void fail(const std::exception_ptr& why) {
    if (!told_.exchange(true)) failure_ = why;
    gate_.fail();
  }

  void guarded(unsigned self, int cpu) {
    try {
      const OnCpu here(cpu);
      // A number of its own among DPDK's threads: without one it had no cache of packet buffers.
      if (rte_thread_register() != 0) throw std::runtime_error("DPDK takes no further thread");
      try {
        work(self);
      } catch (...) {
        fail(std::current_exception());
      }
      rte_thread_unregister();
    } catch (...) {
      fail(std::current_exception());
    }
  }

  /// All windows of one worker. Returns the ticks of the timed parts.
  uint64_t work(unsigned self) {
    uint64_t total = 0;
    for (uint64_t n = 1; n <= windows_; n++) {
      if (fills_[self])
        feeds_[self]->load(fills_[self]);
      else
        feeds_[self]->free_out();
      if (!gate_.pass()) return 0;
      const uint64_t start = ticks();
      turn(self, n);
      if (!gate_.pass()) return 0;
      total += ticks() - start;
    }
    return total;
  }

  void turn(unsigned self, uint64_t n) {
    dataplane::Worker& w = box_.worker(self);
    Feed& feed = *feeds_[self];
    for (unsigned done = 0; fills_[self] && done < kWindow; done += kBurst) {
      const dataplane::Millis t = box_.now();
      w.receive(port_, feed.from(done), kBurst, t);
      feed.collect(w);
      w.poll(t);
      feed.collect(w);
    }
    ready_.fetch_add(1, std::memory_order_release);
    for (bool last = false, moved = true; !last || moved;) {
      last = ready_.load(std::memory_order_acquire) == n * members();  // what is handed over lies in our ring
      moved = w.poll(box_.now()) != 0;
      feed.collect(w);
    }
  }

  Box& box_;
  const uint16_t port_;
  const std::vector<Fill>& fills_;
  const uint64_t windows_;
  Gate gate_;
  std::vector<std::unique_ptr<Feed>> feeds_;
  std::atomic<uint64_t> ready_{0};  ///< windows received, by all of them since the beginning
  std::atomic<bool> told_{false};
  std::exception_ptr failure_;
};

}  // namespace

Tally send_at_once(Box& box, uint16_t port, const std::vector<Fill>& fills, const std::vector<int>& cpus,
                   uint64_t packets) {
  uint64_t each = 0;
  for (const Fill& f : fills) each += f ? kWindow : 0;
  if (each == 0) return {};
  const uint64_t windows = (packets + each - 1) / each, dropped = box.dropped();
  const uint64_t ticks = Team(box, port, fills, windows).run(cpus);
  box.check_none_dropped_since(dropped);
  return {windows * each, ticks};
}

}  // namespace culvert::bench
