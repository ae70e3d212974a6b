/// A box without devices for the tests of the operator's interface: a real Engine with worker threads that
/// poll, the real Api over it, and a client that asks through the socket while the test's thread turns the
/// event loop.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <ctime>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "../logging/test_directory.h"
#include "config/load.h"
#include "control/api.h"

namespace culvert::test {

using control::Millis;

class Box {
 public:
  static constexpr Millis kStart = 1'700'000'000'000;

  explicit Box(unsigned workers = 1, uint32_t mappings = 100'000) {
    auto loaded = config::load_text(kYaml, "box.yaml");
    if (const auto* problems = std::get_if<config::Problems>(&loaded))
      throw std::runtime_error(problems->front().text());
    config_ = std::get<config::Config>(loaded);
    config_.workers = static_cast<uint16_t>(workers);
    config_.capacity.mappings = mappings;
    config_.control_socket = directory_.path("control.sock");
    config_.metrics_address = "127.0.0.1:0";
    control::Engine::Options options;
    options.seed = 1;
    options.ring_files = false;
    options.event_ring_size = 1u << 18;
    engine_ =
        std::make_unique<control::Engine>(config_, std::vector<control::InterfaceFacts>(2), options, kStart);
    engine_->pump = [] { usleep(50); };
  }
  ~Box() {
    api.reset();
    stop_ = true;
    for (std::thread& t : threads_) t.join();
  }

  /// Makes mappings (before start()): `each` UDP mappings of subscribers 0 … count - 1 of a carriage.
  void fill(config::Carriage carriage, unsigned count, unsigned each) {
    for (unsigned i = 0; i < count; i++) {
      for (unsigned j = 0; j < each; j++) map(carriage, i, static_cast<uint16_t>(10'000 + j));
    }
  }
  void map(config::Carriage carriage, unsigned subscriber, uint16_t port,
           config::Protocol p = config::Protocol::udp) {
    const dataplane::Tables& tables = engine_->tables();
    dataplane::InternalKey key;
    key.port = net::Be16(port);
    key.protocol = p;
    const dataplane::SubscriberRule* rule = nullptr;
    dataplane::SubscriberKey who;
    if (carriage == config::Carriage::nat44) {
      key.ipv4 = net::Ipv4Address(0x64400000u + subscriber);  // 100.64.0.0 …
      rule = tables.subscribers_nat44.find(key.ipv4);
      REQUIRE(rule != nullptr);
      who = dataplane::SubscriberKey::ipv4(key.ipv4, rule->mask, rule->instance);
    } else {
      const bool nat64 = carriage == config::Carriage::nat64;
      // A home is a /56 of 2001:db8:100::/40, a phone a /64 of 2001:db8:200::/40.
      const uint64_t home = 0x20010db801000000u + (uint64_t{subscriber} << 8);
      const uint64_t phone = 0x20010db802000000u + subscriber;
      key.ipv6 = net::Ipv6Address::from_halves(nat64 ? phone : home, 1);
      if (!nat64) key.ipv4 = *net::Ipv4Address::parse("192.168.1.2");
      key.context = (nat64 ? tables.nat64_prefixes : tables.softwires).front();
      rule = (nat64 ? tables.subscribers_nat64 : tables.subscribers_ds_lite).find(key.ipv6);
      REQUIRE(rule != nullptr);
      who = dataplane::SubscriberKey::ipv6(key.ipv6, rule->mask, rule->instance);
    }
    dataplane::Worker& w = engine_->worker(tables.steering.worker_of(who));
    const auto outcome = w.binding().create(tables, *rule, key, kStart);
    INFO("mapping " << subscriber << " " << port << " refused: "
                    << (outcome.index() == 1 ? dataplane::name_of(std::get<1>(outcome)) : ""));
    REQUIRE(outcome.index() == 0);
  }

  /// Starts the workers and the Api.
  void start() {
    for (unsigned w = 0; w < engine_->workers(); w++) {
      threads_.emplace_back([this, w] {
        while (!stop_) {
          const uint64_t before = cpu_nanoseconds();
          engine_->worker(w).poll(now);
          longest_poll = std::max<uint64_t>(longest_poll, cpu_nanoseconds() - before);
          usleep(20);
        }
      });
    }
    control::ApiSource source;
    source.engine = engine_.get();
    source.started_at = kStart;
    source.pages = "4 KiB pages";
    source.now = [this] { return now.load(); };
    source.device = [](unsigned) {
      control::DeviceStatus d;
      d.driver = "net_null";
      d.mac = "02:00:00:00:00:01";
      d.link_up = true;
      d.mbps = 10'000;
      d.steering = "rings: 1 receive queue for 2 workers";
      d.next_hops.push_back({"192.0.2.1", "", "incomplete", false});
      return d;
    };
    source.box = [] {
      control::BoxStatus b;
      b.log.written = 7;
      return b;
    };
    source.reload = [this] { return reload_answer; };
    api = std::make_unique<control::Api>(loop, std::move(source));
  }

  /// Turns the event loop until the future is there.
  template <typename T>
  T turn_until(std::future<T> future) {
    while (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      loop.run_once(std::chrono::milliseconds(2));
    }
    return future.get();
  }
  void turn(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) loop.run_once(std::chrono::milliseconds(2));
  }

  /// A connection to the control socket.
  int connect() const {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::strncpy(a.sun_path, socket_path().c_str(), sizeof a.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
    return fd;
  }
  /// All bytes until the server closes, and closes too.
  static std::string read_all(int fd) {
    std::string all;
    char buffer[65536];
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
    close(fd);
    return all;
  }
  /// Sends bytes and gives the whole answer.
  std::string exchange(const std::string& bytes) {
    const int fd = connect();
    REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    return turn_until(std::async(std::launch::async, [fd] { return read_all(fd); }));
  }
  struct Reply {
    std::vector<nlohmann::json> rows;
    nlohmann::json last;
    std::string error() const { return last.value("error", ""); }
  };
  static Reply parse(const std::string& text) {
    Reply out;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      REQUIRE(end != std::string::npos);
      out.rows.push_back(nlohmann::json::parse(text.substr(at, end - at)));
      at = end + 1;
    }
    if (!out.rows.empty()) {
      out.last = out.rows.back();
      out.rows.pop_back();
    }
    return out;
  }
  Reply ask(const nlohmann::json& request) { return parse(exchange(request.dump() + "\n")); }

  control::Engine& engine() { return *engine_; }
  const std::string& socket_path() const { return config_.control_socket; }
  const TestDirectory& directory() const { return directory_; }

  control::EventLoop loop;
  std::unique_ptr<control::Api> api;
  std::atomic<Millis> now{kStart + 1000};
  std::string reload_answer;
  /// The most CPU time, in ns, that any worker spent on one round: what a packet may have had to wait for.
  std::atomic<uint64_t> longest_poll{0};

 private:
  /// CPU time of this thread: what it did, not how long others kept it from doing it.
  static uint64_t cpu_nanoseconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
  }

  static constexpr const char* kYaml = R"(
interfaces:
  - {name: in, device: net_null0, role: inside, ipv4-address: 192.0.2.2/24, next-hop-ipv4: 192.0.2.1,
     ipv6-address: "2001:db8:1::2/64", next-hop-ipv6: "2001:db8:1::1"}
  - {name: out, device: net_null1, role: outside, ipv4-address: 198.51.100.1/30, next-hop-ipv4: 198.51.100.2}
capacity: {subscribers: 20000, mappings: 100000, sessions: 1000, packet-buffers: 8192}
instances:
  - {name: plain, type: nat44, subscriber-match: [100.64.0.0/10], external-ip-address-pool: [203.0.113.0/26]}
  - {name: homes, type: ds-lite, aftr-ipv6-addr: "2001:db8:a::1",
     subscriber-match: [{subnet: "2001:db8:100::/40", subscriber-mask-v6: 56}],
     external-ip-address-pool: [203.0.113.64/26]}
  - {name: phones, type: nat64, nat64-prefix: "64:ff9b::/96", subscriber-match: ["2001:db8:200::/40"],
     external-ip-address-pool: [203.0.113.128/26]}
)";

  TestDirectory directory_;
  config::Config config_;
  std::unique_ptr<control::Engine> engine_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
};

}  // namespace culvert::test
