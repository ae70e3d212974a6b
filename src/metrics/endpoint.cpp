#include "metrics/endpoint.h"

#include <fmt/format.h>
#include <prometheus/exposer.h>

#include <stdexcept>
#include <vector>

namespace culvert::metrics {

Endpoint::Endpoint(const std::string& address, std::shared_ptr<Collector> collector)
    : collector_(std::move(collector)) {
  // A request takes milliseconds; whoever keeps a connection open without one is shown the door.
  const std::vector<std::string> options = {"listening_ports",       address, "num_threads",     "2",
                                            "request_timeout_ms",    "5000",  "enable_keep_alive", "no"};
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(options);
  } catch (const std::exception& e) {
    throw std::runtime_error(
        fmt::format("metrics-address {}: cannot listen there ({}); is another program using the port?", address,
                    e.what()));
  }
  exposer_->RegisterCollectable(collector_);
}

Endpoint::~Endpoint() = default;

int Endpoint::port() const {
  const std::vector<int> ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace culvert::metrics
