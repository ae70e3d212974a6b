/// Errands: how the control core looks into a worker without stopping it and without waiting. A small piece
/// of work (copy a few hundred records) is posted to the worker, which does it between two bursts; then, back
/// on the control core, from its event loop, `done` is called.
///
///     control core: send() ── Worker::post ─▶ worker: work() ── stack + eventfd ─▶ control core: done()
///
/// The way back is a lock-free stack, so that a worker never waits for a control core that was interrupted.
///
/// Threads: made, used and destroyed by the control core; `work` runs in the worker's thread.
#pragma once

#include <functional>
#include <memory>

#include "control/event_loop.h"
#include "dataplane/worker.h"

namespace culvert::control {

class Errands {
 public:
  explicit Errands(EventLoop& loop);
  /// Errands still under way are done but their `done` is not called any more.
  ~Errands();
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  /// `work` and `done` share ownership of whatever they write to and read from.
  void send(dataplane::Worker& worker, dataplane::Worker::Task work, std::function<void()> done);

 private:
  struct Errand;
  struct Shared;
  void come_back();

  EventLoop& loop_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace culvert::control
