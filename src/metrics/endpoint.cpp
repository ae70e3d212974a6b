#include "metrics/endpoint.h"

#include <fmt/format.h>
#include <netdb.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace culvert::metrics {
namespace {

/// Connects to the endpoint and hangs up at once.
void knock(const std::string& address, int port) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) errno = 0;  // in progress is enough
    close(fd);
  }
  freeaddrinfo(found);
}

}  // namespace

Endpoint::Endpoint(const std::string& address, std::shared_ptr<Collector> collector)
    : address_(address), collector_(std::move(collector)) {
  // A request takes milliseconds; whoever keeps a connection open without one is shown the door.
  const std::vector<std::string> options = {"listening_ports",    address, "num_threads",       "2",
                                            "request_timeout_ms", "5000",  "enable_keep_alive", "no"};
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(options);
  } catch (const std::exception& e) {
    throw std::runtime_error(
        fmt::format("metrics-address {}: cannot listen there ({}); is another program using the port?",
                    address, e.what()));
  }
  exposer_->RegisterCollectable(collector_);
}

Endpoint::~Endpoint() {
  // The server looks up only every two seconds whether it is to end, or when somebody knocks; and an orderly
  // stop of culvertd takes less than that.
  std::atomic<bool> ended{false};
  std::thread knocker([this, &ended, at = port()] {
    using namespace std::chrono_literals;
    while (!ended) {
      knock(address_, at);
      std::this_thread::sleep_for(10ms);
    }
  });
  exposer_.reset();
  ended = true;
  knocker.join();
}

int Endpoint::port() const {
  const std::vector<int> ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace culvert::metrics
