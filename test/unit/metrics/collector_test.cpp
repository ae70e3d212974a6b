/// What the collector makes of counters and of a sample.

#include "metrics/collector.h"

#include <prometheus/metric_family.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "metrics/names.h"

using namespace culvert;

namespace {

metrics::Sample full_sample() {
  metrics::Sample s;
  s.version = "1.2.3";
  s.mappings_capacity = 1000;
  metrics::InterfaceSample i;
  i.name = "inside";
  i.link_up = true;
  i.rx_missed = 3;
  i.next_hop_ipv4 = metrics::InterfaceSample::NextHop::unresolved;
  i.next_hop_ipv6 = metrics::InterfaceSample::NextHop::resolved;
  s.interfaces.push_back(i);
  metrics::PoolSample p;
  p.pool = "203.0.113.0/28";
  p.instance = "homes";
  p.blocks = 100;
  p.set_size = 512;
  p.workers = {{70, 20, 10, {5, 6, 7}}, {0, 0, 0, {1, 0, 0}}};
  s.pools.push_back(p);
  s.log = {.written = 7, .errors = 2, .failing = true, .sealed = 3, .removed = 1, .keeping_errors = 4};
  s.exports.push_back({.name = "siem",
                       .protocol = "syslog",
                       .transport = "tls",
                       .collector = "192.0.2.5:6514",
                       .sent = 12,
                       .repeated = 5,
                       .lost = 6,
                       .failures = 8,
                       .waiting = 9,
                       .failing = true});
  return s;
}

/// Every value by "name{label=value,...}".
std::map<std::string, double> flat(const std::vector<prometheus::MetricFamily>& families) {
  std::map<std::string, double> out;
  for (const auto& f : families) {
    for (const auto& m : f.metric) {
      std::string name = f.name + "{";
      for (const auto& l : m.label) name += (name.back() == '{' ? "" : ",") + l.name + "=" + l.value;
      const bool counter = f.type == prometheus::MetricType::Counter;
      CHECK(out.emplace(name + "}", counter ? m.counter.value : m.gauge.value).second);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("the collector shows counters, labels and pools", "[metrics]") {
  dataplane::Counters one, two;
  one.outbound[1].packets.add(5);
  one.outbound[1].bytes.add(500);
  two.inbound[2].packets.add(6);
  two.drop(dataplane::DropReason::filtered, 9);
  two.mappings_live.add(42);
  logging::EventRing ring(16);
  REQUIRE(ring.push({}));
  metrics::Collector collector({{0, &one, &ring}, {1, &two, nullptr}});
  collector.publish(full_sample());
  const auto values = flat(collector.Collect());
  CHECK(values.at("culvert_packets_total{worker=0,carriage=ds-lite,direction=outbound}") == 5);
  CHECK(values.at("culvert_bytes_total{worker=0,carriage=ds-lite,direction=outbound}") == 500);
  CHECK(values.at("culvert_packets_total{worker=1,carriage=nat64,direction=inbound}") == 6);
  CHECK(values.at("culvert_drops_total{worker=1,reason=filtered}") == 9);
  CHECK(values.at("culvert_drops_total{worker=0,reason=filtered}") == 0);
  CHECK(values.at("culvert_mappings{worker=1}") == 42);
  CHECK(values.at("culvert_mappings_capacity{}") == 1000);
  CHECK(values.at("culvert_build_info{version=1.2.3}") == 1);
  CHECK(values.at("culvert_log_events_waiting{worker=0}") == 1);
  CHECK(values.at("culvert_log_events_waiting_capacity{worker=0}") == 16);
  CHECK(values.at("culvert_log_events_written_total{}") == 7);
  CHECK(values.at("culvert_log_failing{}") == 1);
  CHECK(values.at("culvert_log_segments_sealed_total{}") == 3);
  CHECK(values.at("culvert_log_segments_removed_total{}") == 1);
  CHECK(values.at("culvert_log_keeping_errors_total{}") == 4);
  CHECK(values.at("culvert_export_up{export=siem,protocol=syslog,transport=tls}") == 0);
  CHECK(values.at("culvert_export_events_sent_total{export=siem}") == 12);
  CHECK(values.at("culvert_export_events_repeated_total{export=siem}") == 5);
  CHECK(values.at("culvert_export_events_lost_total{export=siem}") == 6);
  CHECK(values.at("culvert_export_failures_total{export=siem}") == 8);
  CHECK(values.at("culvert_export_events_waiting{export=siem}") == 9);
  CHECK(values.at("culvert_interface_up{interface=inside}") == 1);
  CHECK(values.at("culvert_interface_receive_missed_total{interface=inside}") == 3);
  CHECK(values.at("culvert_next_hop_resolved{interface=inside,family=ipv4}") == 0);
  CHECK(values.at("culvert_next_hop_resolved{interface=inside,family=ipv6}") == 1);
  CHECK(values.at("culvert_pool_blocks{pool=203.0.113.0/28,instance=homes,worker=0,state=held}") == 10);
  CHECK(values.at("culvert_pool_usage_ratio{pool=203.0.113.0/28,instance=homes}") == Approx(0.3));
  CHECK(values.at("culvert_pool_ports_in_use{pool=203.0.113.0/28,instance=homes,protocol=udp}") == 6);
  CHECK(values.at("culvert_pool_ports_capacity{pool=203.0.113.0/28,instance=homes}") == 51'200);
}

TEST_CASE("every metric of the table is collected, with exactly its labels", "[metrics]") {
  dataplane::Counters counters;
  logging::EventRing ring(16);
  metrics::Collector collector({{0, &counters, &ring}});
  collector.publish(full_sample());
  std::map<std::string, prometheus::MetricFamily> families;
  for (auto& f : collector.Collect()) families.emplace(f.name, f);
  for (const auto& m : metrics::kMetrics) {
    INFO(m.name);
    REQUIRE(families.contains(std::string(m.name)));
    for (const auto& one : families.at(std::string(m.name)).metric) {
      std::string labels;
      for (const auto& l : one.label) labels += (labels.empty() ? "" : ",") + l.name;
      CHECK(labels == m.labels);
    }
  }
  CHECK(families.size() == metrics::kMetricCount);
}

TEST_CASE("before anything is published a scrape shows the counters", "[metrics]") {
  dataplane::Counters counters;
  const metrics::Collector collector({{0, &counters, nullptr}});
  CHECK_FALSE(collector.Collect().empty());
}
