/// The HTTP endpoint that Prometheus scrapes: `http://metrics-address/metrics`. It has threads of its own
/// (prometheus-cpp's civetweb), so a slow or hostile scraper costs only another scraper time.
#pragma once

#include <memory>
#include <string>

#include "metrics/collector.h"

namespace prometheus {
class Exposer;
}

namespace culvert::metrics {

class Endpoint {
 public:
  /// Listens on `address`, "127.0.0.1:9780" or "[::1]:9780". Throws std::runtime_error naming it when that
  /// fails.
  Endpoint(const std::string& address, std::shared_ptr<Collector> collector);
  ~Endpoint();
  /// The port it listens on, which is of interest when the address said port 0.
  int port() const;

 private:
  std::string address_;
  std::shared_ptr<Collector> collector_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace culvert::metrics
