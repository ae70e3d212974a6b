// The worker loop over a device (rings of DPDK's) that is too slow: what counts as sent is what the device
// took, and every packet that came in went out or was dropped for a reason.
#include "control/worker_loop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/load.h"
#include "control/engine.h"
#include "dataplane/eal.h"
#include "frames.h"

using namespace culvert;
using dataplane::Counter;
using dataplane::Counters;
using dataplane::DropReason;
using dataplane::Port;

namespace {

constexpr unsigned kPacket = 46, kFrame = 60;    ///< bytes of what subscribers send: IP packet, frame
constexpr unsigned kInside = 0, kOutside = 1;    ///< interfaces
constexpr unsigned kTaken = 1023, kRound = 900;  ///< frames that a net_ring holds, and what is sent at once

constexpr const char* kYaml = R"(
interfaces:
  - {name: in, device: net_null0, role: inside, next-hop-ipv4: "02:00:00:00:00:0a"}
  - {name: out, device: net_null1, role: outside, vlan: 7, next-hop-ipv4: "02:00:00:00:00:0b"}
capacity: {subscribers: 10000, mappings: 20000, sessions: 1000, packet-buffers: 8192}
instances:
  - {name: plain, type: nat44, subscriber-match: [10.0.0.0/8], external-ip-address-pool: [203.0.113.0/25]}
)";

/// A box of which nobody empties the outside device but the test.
class Box {
 public:
  /// The outside device has one queue, the first worker's. Only the last worker receives.
  Box(const std::string& name, unsigned workers) {
    dataplane::init_eal_for_replay();
    buffers_ = dataplane::make_buffers(name, 16383, 1500);
    auto loaded = config::load_text(kYaml, "box.yaml");
    if (const auto* problems = std::get_if<config::Problems>(&loaded))
      throw std::runtime_error(problems->front().text());
    auto config = std::get<config::Config>(loaded);
    config.workers = static_cast<uint16_t>(workers);
    inside_ = open("net_ring_" + name + "_in", workers, 0);
    outside_ = open("net_ring_" + name + "_out", workers, 1);
    control::Engine::Options options;
    options.seed = 1;
    options.ring_files = false;
    options.buffers = buffers_.get();
    const std::vector<control::InterfaceFacts> facts{{inside_->id(), inside_->mac()},
                                                     {outside_->id(), outside_->mac()}};
    engine_ = std::make_unique<control::Engine>(config, facts, options, clock_.now());
    quiescent_ = std::make_unique<control::QuiescentState>(workers);
    for (unsigned w = 0; w < workers; ++w) {
      auto loop = std::make_unique<control::WorkerLoop>();
      loop->worker = &engine_->worker(w);
      loop->clock = &clock_;
      loop->quiescent = quiescent_.get();
      // The outside device is a ring as well and would give back what was sent: who has it does not receive.
      if (w == 0 && workers > 1) loop->ports = {outside_.get()};
      if (w + 1 == workers) loop->ports = {inside_.get()};
      loop->stop_receiving = w + 1 != workers;
      constexpr auto kHeader = static_cast<uint32_t>(sizeof(net::EthernetHeader));
      loop->exits = {{inside_.get(), kHeader}, {outside_.get(), kHeader + 4}};
      loop->idle_sleep = true;
      loops_.push_back(std::move(loop));
    }
    for (auto& loop : loops_) threads_.emplace_back(control::turn_worker_loop, loop.get());
  }
  ~Box() {
    for (auto& loop : loops_) loop->stop = true;
    for (std::thread& t : threads_) t.join();
    take();
  }

  /// Each of kRound subscribers sends a packet from this port.
  void subscribers_send(uint16_t port) {
    const bench::FrameMaker maker(config::Carriage::nat44, config::Protocol::udp, kPacket, inside_->mac(),
                                  {});
    for (uint32_t s = 0; s < kRound; ++s) {
      rte_mbuf* m = frame();
      alignas(64) uint8_t bytes[128] = {};
      REQUIRE(maker.outbound(bytes, s, port) == kFrame);
      std::copy_n(bytes, kFrame, dataplane::bytes_of(m));
      REQUIRE(inside_->send(static_cast<unsigned>(loops_.size() - 1), &m, 1) == 1);
    }
    wait();
  }
  /// The kernel sends frames out of the outside interface, by the first worker.
  void kernel_sends(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      rte_mbuf* m = frame();
      dataplane::Mark{.interface = kOutside, .form = dataplane::Form::frame}.put(m);
      REQUIRE(rte_ring_enqueue(engine_->fabric().to_worker[0], m) == 0);
    }
    wait();
  }

  uint64_t sum(const std::function<const Counter&(const Counters&)>& pick) const {
    uint64_t all = 0;
    for (const auto& loop : loops_) all += pick(loop->worker->counters()).get();
    return all;
  }
  uint64_t came_in() const {
    return sum([](const Counters& c) -> const Counter& { return c.received[kInside].packets; }) +
           sum([](const Counters& c) -> const Counter& { return c.injected; });
  }
  uint64_t transmitted() const {
    return sum([](const Counters& c) -> const Counter& { return c.transmitted[kOutside].packets; });
  }
  uint64_t transmitted_bytes() const {
    return sum([](const Counters& c) -> const Counter& { return c.transmitted[kOutside].bytes; });
  }
  uint64_t refused() const {
    return sum([](const Counters& c) -> const Counter& {
      return c.drops[static_cast<size_t>(DropReason::transmit_full)];
    });
  }

  struct Taken {
    uint64_t packets = 0, bytes = 0;
  };
  /// Empties the outside device: what it really took.
  Taken take() {
    Taken taken;
    rte_mbuf* frames[32];
    while (const unsigned n = outside_->receive(0, frames, 32)) {
      for (unsigned i = 0; i < n; ++i) taken.bytes += frames[i]->pkt_len - 18;  // Ethernet header, VLAN tag
      taken.packets += n;
      rte_pktmbuf_free_bulk(frames, n);
    }
    return taken;
  }

 private:
  std::unique_ptr<Port> open(const std::string& device, unsigned workers, uint16_t queues) {
    Port::Setup setup;
    setup.device = device;
    setup.workers = workers;
    setup.queues = queues;
    setup.buffers = buffers_.get();
    auto port = std::make_unique<Port>(setup);
    port->start();
    return port;
  }
  rte_mbuf* frame() {
    expected_++;
    rte_mbuf* m = rte_pktmbuf_alloc(buffers_.get());
    REQUIRE(m != nullptr);
    dataplane::unfence(m);
    std::memset(rte_pktmbuf_append(m, kFrame), 0, kFrame);
    return m;
  }
  /// Until all that was sent went somewhere.
  void wait() const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (transmitted() + refused() < expected_ && std::chrono::steady_clock::now() < until) usleep(1000);
    usleep(5000);  // and not more
  }

  control::Clock clock_;
  dataplane::BufferPool buffers_;
  std::unique_ptr<Port> inside_, outside_;
  std::unique_ptr<control::Engine> engine_;
  std::unique_ptr<control::QuiescentState> quiescent_;
  std::vector<std::unique_ptr<control::WorkerLoop>> loops_;
  std::vector<std::thread> threads_;
  uint64_t expected_ = 0;
};

void check_books(Box& box, uint64_t taken_before, uint64_t bytes_before) {
  const Box::Taken taken = box.take();
  CHECK(box.transmitted() == taken_before + taken.packets);
  CHECK(box.transmitted_bytes() == bytes_before + taken.bytes);
  CHECK(box.came_in() == box.transmitted() + box.refused());
}

}  // namespace

TEST_CASE("a frame that the device refuses is dropped, not sent", "[control][worker_loop]") {
  for (unsigned workers : {1u, 2u}) {
    INFO(workers << " workers, one transmit queue");
    Box box(fmt::format("s{}", workers), workers);
    box.subscribers_send(5000);
    CHECK(box.transmitted() == kRound);
    CHECK(box.transmitted_bytes() == uint64_t{kRound} * kPacket);
    CHECK(box.refused() == 0);
    // The device is nearly full: it takes a part of these, and no frame of the kernel's either.
    box.subscribers_send(5001);
    box.kernel_sends(5);
    CHECK(box.transmitted() == kTaken);
    CHECK(box.refused() == 2 * kRound + 5 - kTaken);
    check_books(box, 0, 0);
    // It was emptied: the kernel's frames are sent and count too.
    box.kernel_sends(5);
    CHECK(box.transmitted() == kTaken + 5);
    check_books(box, kTaken, uint64_t{kTaken} * kPacket);
    CHECK(box.came_in() == 2 * kRound + 10);
  }
}
