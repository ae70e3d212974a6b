/// The HTTP endpoint on loopback.

#include "metrics/endpoint.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

using namespace culvert;

namespace {

std::string get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<uint16_t>(port));
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  REQUIRE(send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
  close(fd);
  return all;
}

}  // namespace

TEST_CASE("Prometheus scrapes what was counted since the last time", "[metrics]") {
  dataplane::Counters counters;
  const metrics::Endpoint endpoint(
      "127.0.0.1:0",
      std::make_shared<metrics::Collector>(std::vector<metrics::WorkerSource>{{0, &counters, nullptr}}));
  REQUIRE(endpoint.port() > 0);
  CHECK(get(endpoint.port(), "/metrics").find("culvert_mappings{worker=\"0\"} 0\n") != std::string::npos);
  counters.mappings_live.add(3);
  CHECK(get(endpoint.port(), "/metrics").find("culvert_mappings{worker=\"0\"} 3\n") != std::string::npos);
}

TEST_CASE("an address that is taken is refused with a remedy", "[metrics]") {
  dataplane::Counters counters;
  const auto collector =
      std::make_shared<metrics::Collector>(std::vector<metrics::WorkerSource>{{0, &counters, nullptr}});
  const metrics::Endpoint first("127.0.0.1:0", collector);
  const std::string address = "127.0.0.1:" + std::to_string(first.port());
  CHECK_THROWS_WITH(metrics::Endpoint(address, collector), Catch::Matchers::Contains(address));
}
