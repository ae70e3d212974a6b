#include "control/api.h"

#include <algorithm>
#include <set>
#include <utility>

#include "dataplane/huge_array.h"
#include "version.h"

namespace culvert::control {
namespace {

constexpr std::chrono::milliseconds kBeat{1000};
constexpr unsigned kBeatsACensus = 5;

uint64_t packets_of(const dataplane::Counters& c) {
  uint64_t n = 0;
  for (size_t i = 0; i < dataplane::kCarriageCount; i++)
    n += c.outbound[i].packets.get() + c.inbound[i].packets.get();
  return n;
}

metrics::InterfaceSample sample_of(const config::Interface& interface, const DeviceStatus& device) {
  using NextHop = metrics::InterfaceSample::NextHop;
  metrics::InterfaceSample out;
  out.name = interface.name;
  out.link_up = device.link_up;
  out.rx_errors = device.rx_errors;
  out.rx_missed = device.rx_missed;
  out.rx_no_buffer = device.rx_no_buffer;
  out.tx_errors = device.tx_errors;
  for (const NextHopStatus& hop : device.next_hops) {
    (hop.ipv6 ? out.next_hop_ipv6 : out.next_hop_ipv4) =
        hop.mac.empty() ? NextHop::unresolved : NextHop::resolved;
  }
  return out;
}

}  // namespace

Api::Api(EventLoop& loop, ApiSource source)
    : loop_(loop),
      errands_(loop),
      census_(*source.engine, errands_),
      context_{std::move(source), errands_, census_, 0, {}, {}} {
  Engine& engine = context_.engine();
  const std::vector<logging::EventRing*> rings = engine.rings();
  std::vector<metrics::WorkerSource> workers;
  for (unsigned w = 0; w < engine.workers(); w++) {
    workers.push_back({w, &engine.worker(w).counters(), w < rings.size() ? rings[w] : nullptr});
  }
  last_.resize(engine.workers());
  std::set<std::string> devices;
  for (const config::Interface& i : engine.config().interfaces) devices.insert(i.device);
  devices_ = std::max(1.0, static_cast<double>(devices.size()));
  collector_ = std::make_shared<metrics::Collector>(std::move(workers));
  measure();
  publish();
  if (!engine.config().metrics_address.empty()) {
    endpoint_ = std::make_unique<metrics::Endpoint>(engine.config().metrics_address, collector_);
  }
  server_ = std::make_unique<ApiServer>(loop, engine.config().control_socket, context_);
  timer_ = loop_.every(kBeat, [this] { beat(); });
}

Api::~Api() {
  loop_.cancel(timer_);
  server_.reset();
  endpoint_.reset();
}

void Api::beat() {
  measure();
  publish();
  if (beats_++ % kBeatsACensus == 0 && !census_.running()) census_.take(nullptr);
}

/// Rates since the last beat.
void Api::measure() {
  const Millis now = context_.source.now();
  const double seconds = static_cast<double>(now - measured_at_) / 1000;
  const bool first = measured_at_ == 0;
  measured_at_ = now;
  const Engine& engine = context_.engine();
  context_.worker_packets_per_second.assign(engine.workers(), 0);
  context_.worker_load.assign(engine.workers(), 0);
  context_.packets_per_second = 0;
  for (unsigned w = 0; w < engine.workers(); w++) {
    const dataplane::Counters& c = engine.worker(w).counters();
    const Last here{packets_of(c), c.polls.get(), c.bursts.get()};
    const Last before = std::exchange(last_[w], here);
    if (first || seconds <= 0) continue;
    context_.worker_packets_per_second[w] = static_cast<double>(here.packets - before.packets) / seconds;
    context_.packets_per_second += context_.worker_packets_per_second[w];
    const auto polls = static_cast<double>(here.polls - before.polls);
    const auto bursts = static_cast<double>(here.bursts - before.bursts);
    if (polls > 0) context_.worker_load[w] = std::min(1.0, bursts / (polls * devices_));
  }
}

void Api::publish() {
  const Engine& engine = context_.engine();
  const config::Config& config = engine.config();
  const BoxStatus box = context_.source.box();
  metrics::Sample s;
  s.version = CULVERT_VERSION;
  s.start_time = static_cast<double>(context_.source.started_at) / 1000;
  s.config_generation = engine.tables().version;
  s.mappings_capacity = config.capacity.mappings;
  s.sessions_capacity = config.capacity.sessions;
  s.subscribers_capacity = config.capacity.subscribers;
  s.log = box.log;
  s.exports = box.exports;
  s.buffers_in_use = box.buffers_in_use;
  s.buffers_capacity = box.buffers;
  s.table_bytes = dataplane::pages_in_use();
  for (unsigned i = 0; i < config.interfaces.size(); i++) {
    s.interfaces.push_back(sample_of(config.interfaces[i], context_.source.device(i)));
  }
  for (const auto& pool : engine.tables().pools) {
    if (pool == nullptr) continue;
    const auto counted = census_.latest().find(pool->slot());
    if (counted == census_.latest().end()) continue;
    s.pools.push_back({pool->prefix().text(), engine.tables().instances[pool->instance()].name,
                       pool->draining.load(), pool->block_count(), pool->ports().set_size,
                       counted->second.workers});
  }
  collector_->publish(std::move(s));
}

}  // namespace culvert::control
