/// A window of packets on its way through a worker: 2,048 mbufs that are filled with frames as a NIC would
/// have written them, and what has come out, in the array that a driver's transmit function would be given.
///
/// Thread: one at a time; a worker's own where several run at once.
#pragma once

#include <functional>
#include <vector>

#include "dataplane/worker.h"

namespace culvert::bench {

inline constexpr unsigned kWindow = 2048;

/// Fills mbuf number i (0 to kWindow - 1) of a window; returns the frame's size.
using Fill = std::function<unsigned(uint8_t* frame, unsigned i)>;

class Feed {
 public:
  explicit Feed(rte_mempool* buffers);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  /// Frees what has come out and makes a new window.
  void load(const Fill& fill);
  /// The packets of the window from this one on. Whoever takes them owns them.
  rte_mbuf** from(unsigned packet) { return &mbufs_[packet]; }
  /// Takes what a call into the worker left in its outbox.
  void collect(dataplane::Worker& worker) {
    for (uint8_t i = 0; i < 2; i++) {
      auto& frames = worker.outbox().frames(i);
      out_.insert(out_.end(), frames.begin(), frames.end());
      frames.clear();
    }
  }
  /// What has come out.
  std::vector<rte_mbuf*>& out() { return out_; }
  /// Frees that.
  void free_out();

 private:
  rte_mempool* buffers_;
  std::vector<rte_mbuf*> mbufs_, out_;
};

}  // namespace culvert::bench
