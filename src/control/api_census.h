/// The census of the pools: how many blocks of each are live, held and free, and how many of their ports have
/// a mapping, for each worker. Blocks belong to their workers, so they are counted by errands, a few thousand
/// blocks each, one after the other; a worker is never held up for more than some ten microseconds.
///
/// One count runs at a time; whoever asks while one is under way gets the next one's figures, which are newer
/// than the question.
///
/// Thread: the control core.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "control/api_errand.h"
#include "control/engine.h"
#include "metrics/sample.h"

namespace culvert::control {

class PoolCensus {
 public:
  PoolCensus(Engine& engine, Errands& errands) : engine_(engine), errands_(errands) {}

  /// A pool when it was counted.
  struct Count {
    std::vector<metrics::PoolUse> workers;
  };
  using Counts = std::map<uint16_t, Count>;

  /// Counts, then calls `done` (may be null).
  void take(std::function<void()> done);
  bool running() const { return running_; }
  /// Figures of the last count that was finished, by pool slot.
  const Counts& latest() const { return latest_; }

 private:
  struct Walk;
  void start();
  void next();

  Engine& engine_;
  Errands& errands_;
  bool running_ = false;
  unsigned worker_ = 0;
  Counts counting_, latest_;
  std::vector<std::function<void()>> waiting_, asked_;
};

}  // namespace culvert::control
