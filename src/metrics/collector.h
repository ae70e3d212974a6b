/// The Prometheus collector: reads the workers' counters when it is scraped, and adds what the control core
/// last published. The workers do nothing for it.
///
/// Threads: collect() runs in the endpoint's threads, publish() in the control core's.
#pragma once

#include <prometheus/collectable.h>

#include <memory>
#include <mutex>
#include <vector>

#include "dataplane/counters.h"
#include "logging/event_ring.h"
#include "metrics/sample.h"

namespace culvert::metrics {

/// A worker as the collector sees it. What it points to must live longer than the collector.
struct WorkerSource {
  unsigned number = 0;
  const dataplane::Counters* counters = nullptr;
  const logging::EventRing* log = nullptr;  ///< may be null
};

class Collector : public prometheus::Collectable {
 public:
  explicit Collector(std::vector<WorkerSource> workers) : workers_(std::move(workers)) {}

  /// Replaces what the next scrape shows.
  void publish(Sample sample);
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  std::shared_ptr<const Sample> latest() const;

  std::vector<WorkerSource> workers_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Sample> sample_ = std::make_shared<Sample>();
};

}  // namespace culvert::metrics
