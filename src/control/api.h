/// What an operator sees of a running box: the control socket and the Prometheus endpoint, over one engine.
///
///     culvert ── UNIX socket ── ApiServer ── Answer ── Errands ── worker's records
///     Prometheus ── HTTP ── metrics::Endpoint ── metrics::Collector ── worker's counters, last published
///     sample
///
/// The daemon makes one after its Appliance (api_appliance.h gives the source) and turns its event loop.
///
/// Thread: the control core; the Prometheus endpoint has threads of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/api_answer.h"
#include "control/api_server.h"
#include "metrics/collector.h"
#include "metrics/endpoint.h"

namespace culvert::control {

class Api {
 public:
  /// Opens the control socket and, unless its address is empty, the metrics endpoint of the engine's
  /// configuration. Throws std::runtime_error that says which could not be had. `loop` and what `source`
  /// refers to outlive it.
  Api(EventLoop& loop, ApiSource source);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// The port of the metrics endpoint; 0: there is none.
  int metrics_port() const { return endpoint_ == nullptr ? 0 : endpoint_->port(); }

 private:
  void beat();
  void measure();
  void publish();

  EventLoop& loop_;
  Errands errands_;
  PoolCensus census_;
  ApiContext context_;
  std::shared_ptr<metrics::Collector> collector_;
  std::unique_ptr<metrics::Endpoint> endpoint_;
  std::unique_ptr<ApiServer> server_;
  EventLoop::TimerId timer_ = 0;
  unsigned beats_ = 0;
  /// Counters of each worker at the last beat, for rates.
  struct Last {
    uint64_t packets = 0, polls = 0, bursts = 0;
  };
  std::vector<Last> last_;
  Millis measured_at_ = 0;
  double devices_ = 1;  ///< each polled once a round
};

}  // namespace culvert::control
