#include "metrics/collector.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "metrics/names.h"

namespace culvert::metrics {
namespace {

using dataplane::Counters;

constexpr std::string_view kCarriages[dataplane::kCarriageCount] = {"nat44", "ds-lite", "nat64"};
constexpr std::string_view kProtocols[dataplane::kPortSpaces] = {"udp", "tcp", "icmp"};

/// Metric families in the making, one for each metric, in the table's order.
class Families {
 public:
  Families() : families_(kMetricCount) {
    for (size_t i = 0; i < kMetricCount; i++) {
      families_[i].name = kMetrics[i].name;
      families_[i].help = kMetrics[i].help;
      families_[i].type =
          kMetrics[i].type == Type::counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    }
  }

  /// One value; the label values stand in the order of the metric's labels.
  void add(Metric metric, double value, std::initializer_list<std::string_view> labels = {}) {
    const MetricInfo& m = info(metric);
    prometheus::ClientMetric& out = families_[static_cast<size_t>(metric)].metric.emplace_back();
    std::string_view names = m.labels;
    for (const std::string_view label : labels) {
      const size_t comma = std::min(names.find(','), names.size());
      out.label.push_back({std::string(names.substr(0, comma)), std::string(label)});
      names.remove_prefix(std::min(comma + 1, names.size()));
    }
    (m.type == Type::counter ? out.counter.value : out.gauge.value) = value;
  }
  void add(Metric metric, const dataplane::Counter& c, std::initializer_list<std::string_view> labels) {
    add(metric, static_cast<double>(c.get()), labels);
  }

  /// Families without a value (no pool, no interface yet) are left out.
  std::vector<prometheus::MetricFamily> take() {
    std::erase_if(families_, [](const prometheus::MetricFamily& f) { return f.metric.empty(); });
    return std::move(families_);
  }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

void add_traffic(Families& out, const Counters& c, std::string_view worker, const Sample& sample) {
  for (size_t i = 0; i < dataplane::kCarriageCount; i++) {
    out.add(Metric::packets, c.outbound[i].packets, {worker, kCarriages[i], "outbound"});
    out.add(Metric::packets, c.inbound[i].packets, {worker, kCarriages[i], "inbound"});
    out.add(Metric::bytes, c.outbound[i].bytes, {worker, kCarriages[i], "outbound"});
    out.add(Metric::bytes, c.inbound[i].bytes, {worker, kCarriages[i], "inbound"});
  }
  for (size_t i = 0; i < dataplane::kDropReasonCount; i++) {
    out.add(Metric::drops, c.drops[i], {worker, dataplane::kDropReasons[i].name});
  }
  for (size_t i = 0; i < std::min(sample.interfaces.size(), dataplane::kMaxInterfaces); i++) {
    const std::string_view name = sample.interfaces[i].name;
    out.add(Metric::receive_packets, c.received[i].packets, {worker, name});
    out.add(Metric::receive_bytes, c.received[i].bytes, {worker, name});
    out.add(Metric::transmit_packets, c.transmitted[i].packets, {worker, name});
    out.add(Metric::transmit_bytes, c.transmitted[i].bytes, {worker, name});
  }
}

void add_worker(Families& out, const Counters& c, std::string_view worker) {
  out.add(Metric::hairpinned, c.hairpinned, {worker});
  out.add(Metric::passed_through, c.passed_through, {worker});
  out.add(Metric::checksums_computed, c.checksums_computed, {worker});
  out.add(Metric::handoffs_sent, c.handed_over, {worker});
  out.add(Metric::handoffs_received, c.handover_received, {worker});
  out.add(Metric::punted, c.punted, {worker});
  out.add(Metric::injected, c.injected, {worker});
  out.add(Metric::polls, c.polls, {worker});
  out.add(Metric::bursts, c.bursts, {worker});
  out.add(Metric::icmp_sent, c.icmp_errors_sent, {worker});
  out.add(Metric::icmp_limited, c.icmp_errors_limited, {worker});
  out.add(Metric::icmp_translated, c.icmp_errors_translated, {worker});
  out.add(Metric::fragments_received, c.fragments_received, {worker});
  out.add(Metric::fragments_held, c.fragments_held, {worker});
  out.add(Metric::fragments_merged, c.fragments_merged, {worker});
  out.add(Metric::fragments_cut, c.fragments_cut, {worker});
  out.add(Metric::mappings, c.mappings_live, {worker});
  out.add(Metric::mappings_created, c.mappings_created, {worker});
  out.add(Metric::mappings_expired, c.mappings_expired, {worker});
  out.add(Metric::sessions, c.sessions_live, {worker});
  out.add(Metric::subscribers, c.subscribers_live, {worker});
  out.add(Metric::blocks, c.blocks_live, {worker});
  out.add(Metric::blocks_allocated, c.blocks_allocated, {worker});
  out.add(Metric::blocks_released, c.blocks_released, {worker});
  out.add(Metric::block_refusals, c.block_refusals, {worker});
  out.add(Metric::holds_cut_short, c.holds_cut_short, {worker});
}

void add_interface(Families& out, const InterfaceSample& i) {
  const auto count = [&](Metric m, uint64_t v) { out.add(m, static_cast<double>(v), {i.name}); };
  count(Metric::receive_errors, i.rx_errors);
  count(Metric::receive_missed, i.rx_missed);
  count(Metric::receive_no_buffer, i.rx_no_buffer);
  count(Metric::transmit_errors, i.tx_errors);
  count(Metric::interface_up, i.link_up ? 1 : 0);
  const auto next_hop = [&](InterfaceSample::NextHop hop, std::string_view family) {
    if (hop == InterfaceSample::NextHop::none) return;
    out.add(Metric::next_hop_resolved, hop == InterfaceSample::NextHop::resolved ? 1 : 0, {i.name, family});
  };
  next_hop(i.next_hop_ipv4, "ipv4");
  next_hop(i.next_hop_ipv6, "ipv6");
}

void add_pool(Families& out, const PoolSample& p) {
  const auto value = [](uint64_t v) { return static_cast<double>(v); };
  for (size_t w = 0; w < p.workers.size(); w++) {
    const std::string worker = std::to_string(w);
    out.add(Metric::pool_blocks, value(p.workers[w].live), {p.pool, p.instance, worker, "live"});
    out.add(Metric::pool_blocks, value(p.workers[w].held), {p.pool, p.instance, worker, "held"});
    out.add(Metric::pool_blocks, value(p.workers[w].free), {p.pool, p.instance, worker, "free"});
  }
  const PoolUse total = p.total();
  const auto busy = value(total.live + total.held);
  out.add(Metric::pool_blocks_capacity, value(p.blocks), {p.pool, p.instance});
  out.add(Metric::pool_usage, p.blocks == 0 ? 0 : busy / value(p.blocks), {p.pool, p.instance});
  for (size_t i = 0; i < dataplane::kPortSpaces; i++) {
    out.add(Metric::pool_ports, value(total.ports[i]), {p.pool, p.instance, kProtocols[i]});
  }
  out.add(Metric::pool_ports_capacity, value(p.blocks * p.set_size), {p.pool, p.instance});
  out.add(Metric::pool_draining, p.draining ? 1 : 0, {p.pool, p.instance});
}

void add_export(Families& out, const ExportSample& e) {
  const auto value = [&](Metric m, uint64_t v) { out.add(m, static_cast<double>(v), {e.name}); };
  out.add(Metric::export_up, e.failing ? 0 : 1, {e.name, e.protocol, e.transport});
  value(Metric::export_sent, e.sent);
  value(Metric::export_repeated, e.repeated);
  value(Metric::export_lost, e.lost);
  value(Metric::export_failures, e.failures);
  value(Metric::export_waiting, e.waiting);
}

void add_box(Families& out, const Sample& s) {
  const auto value = [&](Metric m, uint64_t v) { out.add(m, static_cast<double>(v)); };
  out.add(Metric::build_info, 1, {s.version});
  out.add(Metric::start_time, s.start_time);
  value(Metric::config_generation, s.config_generation);
  value(Metric::mappings_capacity, s.mappings_capacity);
  value(Metric::sessions_capacity, s.sessions_capacity);
  value(Metric::subscribers_capacity, s.subscribers_capacity);
  value(Metric::log_written, s.log.written);
  value(Metric::log_errors, s.log.errors);
  value(Metric::log_failing, s.log.failing ? 1 : 0);
  value(Metric::segments_sealed, s.log.sealed);
  value(Metric::segments_removed, s.log.removed);
  value(Metric::keeping_errors, s.log.keeping_errors);
  value(Metric::buffers, s.buffers_in_use);
  value(Metric::buffers_capacity, s.buffers_capacity);
  value(Metric::table_memory, s.table_bytes);
}

}  // namespace

void Collector::publish(Sample sample) {
  auto next = std::make_shared<const Sample>(std::move(sample));
  const std::lock_guard lock(mutex_);
  sample_.swap(next);
}

std::shared_ptr<const Sample> Collector::latest() const {
  const std::lock_guard lock(mutex_);
  return sample_;
}

std::vector<prometheus::MetricFamily> Collector::Collect() const {
  const std::shared_ptr<const Sample> sample = latest();
  Families out;
  add_box(out, *sample);
  for (const WorkerSource& w : workers_) {
    const std::string worker = std::to_string(w.number);
    add_traffic(out, *w.counters, worker, *sample);
    add_worker(out, *w.counters, worker);
    if (w.log != nullptr) {
      out.add(Metric::log_waiting, w.log->waiting(), {worker});
      out.add(Metric::log_ring, w.log->capacity(), {worker});
    }
  }
  for (const InterfaceSample& i : sample->interfaces) add_interface(out, i);
  for (const PoolSample& p : sample->pools) add_pool(out, p);
  for (const ExportSample& e : sample->exports) add_export(out, e);
  return out.take();
}

}  // namespace culvert::metrics
