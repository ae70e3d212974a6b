#include "control/api_census.h"

#include <utility>

namespace culvert::control {

/// How far a worker's blocks are counted; filled in by errands in the worker's thread.
struct PoolCensus::Walk {
  static constexpr uint32_t kBlocksAnErrand = 4096;
  static constexpr uint32_t kAddressesAnErrand = 65536;

  /// By slot; taken in advance, so that the worker allocates nothing.
  std::vector<metrics::PoolUse> counted = std::vector<metrics::PoolUse>(dataplane::kMaxPools);
  std::vector<bool> seen = std::vector<bool>(dataplane::kMaxPools);
  uint32_t slot = 0;
  dataplane::BlockIndex block = 0;
  bool end = false;

  void go_on(dataplane::Worker& w) {
    uint32_t blocks = 0, addresses = 0;
    for (; slot < dataplane::kMaxPools; slot++, block = 0) {
      const dataplane::BlockAllocator* allocator =
          w.binding().blocks().allocator(static_cast<uint16_t>(slot));
      if (allocator == nullptr) continue;
      const dataplane::Pool& pool = allocator->pool();
      metrics::PoolUse& use = counted[slot];
      seen[slot] = true;
      while (block < pool.block_count()) {
        if (blocks >= kBlocksAnErrand || addresses >= kAddressesAnErrand) return;
        if (!pool.split() && pool.block_owner(block) != w.id()) {
          block = (block / pool.sets() + 1) * pool.sets();
          addresses++;
          continue;
        }
        blocks++;
        if (pool.block_owner(block) == w.id()) count(pool.block(block), use);
        block++;
      }
    }
    end = true;
  }

  static void count(const dataplane::Block& b, metrics::PoolUse& use) {
    switch (b.state) {
      case dataplane::BlockState::free:
        use.free++;
        break;
      case dataplane::BlockState::held:
        use.held++;
        break;
      case dataplane::BlockState::live:
        use.live++;
        for (unsigned i = 0; i < dataplane::kPortSpaces; i++) use.ports[i] += b.used[i];
        break;
    }
  }
};

void PoolCensus::take(std::function<void()> done) {
  if (done) asked_.push_back(std::move(done));
  if (!running_) start();
}

void PoolCensus::start() {
  running_ = true;
  waiting_ = std::exchange(asked_, {});
  counting_.clear();
  worker_ = 0;
  next();
}

void PoolCensus::next() {
  auto walk = std::make_shared<Walk>();
  const auto go_on = [walk](dataplane::Worker& w, const dataplane::Tables&, Millis) { walk->go_on(w); };
  // One errand is sent from the end of the one before, until the worker's last block is counted.
  struct Chain {
    PoolCensus* census;
    std::shared_ptr<Walk> walk;
    dataplane::Worker::Task task;
    void operator()() const {
      if (!walk->end) {
        census->errands_.send(census->engine_.worker(census->worker_), task, *this);
        return;
      }
      for (uint16_t slot = 0; slot < dataplane::kMaxPools; slot++) {
        if (!walk->seen[slot]) continue;
        Count& c = census->counting_[slot];
        c.workers.resize(census->engine_.workers());
        c.workers[census->worker_] = walk->counted[slot];
      }
      if (++census->worker_ < census->engine_.workers()) {
        census->next();
        return;
      }
      census->latest_ = std::exchange(census->counting_, {});
      census->running_ = false;
      const auto waiting = std::exchange(census->waiting_, {});
      if (!census->asked_.empty()) census->start();
      for (const auto& done : waiting) done();
    }
  };
  errands_.send(engine_.worker(worker_), go_on, Chain{this, walk, go_on});
}

}  // namespace culvert::control
