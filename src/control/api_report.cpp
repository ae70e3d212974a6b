/// The short answers, given at once from counters and configuration: status, interfaces, pools, drops,
/// workers, and reload.

#include <fmt/format.h>

#include "control/api_answer.h"
#include "control/api_json.h"
#include "dataplane/huge_array.h"
#include "version.h"

namespace culvert::control {
namespace {

using dataplane::Counter;
using dataplane::Counters;

/// A function makes the whole answer.
class Report : public Answer {
 public:
  using Make = uint64_t (*)(ApiContext& context, const ApiRequest& request, std::string& out);
  Report(Make make, const ApiRequest& request, ApiContext& context)
      : make_(make), request_(request), context_(context) {}
  Step step(std::string& out) override {
    append_end(out, make_(context_, request_, out));
    return Step::done;
  }

 private:
  Make make_;
  ApiRequest request_;
  ApiContext& context_;
};

/// Sum of a counter over all workers.
template <typename Pick>
uint64_t sum(const Engine& engine, Pick pick) {
  uint64_t n = 0;
  for (unsigned w = 0; w < engine.workers(); w++) n += pick(engine.worker(w).counters()).get();
  return n;
}

uint64_t make_status(ApiContext& context, const ApiRequest&, std::string& out) {
  const Engine& engine = context.engine();
  const config::Config& config = engine.config();
  const Millis now = context.source.now();
  const BoxStatus box = context.source.box();
  uint64_t blocks = 0, draining = 0;
  for (const auto& pool : engine.tables().pools) {
    if (pool == nullptr) continue;
    blocks += pool->block_count();
    draining += pool->draining.load() ? 1 : 0;
  }
  uint64_t drops = 0;
  for (size_t r = 0; r < dataplane::kDropReasonCount; r++) {
    drops += sum(engine, [r](const Counters& c) -> const Counter& { return c.drops[r]; });
  }
  JsonRow row(out);
  row.text("version", CULVERT_VERSION);
  row.number("started_at", context.source.started_at)
      .number("uptime", (now - context.source.started_at) / 1000);
  row.text("config", config.file).number("config_generation", engine.tables().version);
  row.number("config_applied_at", box.applied_at).number("reloads", box.reloads);
  row.number("workers", engine.workers()).text("pages", context.source.pages);
  row.number("table_bytes", dataplane::pages_in_use());
  row.number("packet_buffers", box.buffers_in_use).number("packet_buffers_capacity", box.buffers);
  row.number("subscribers",
             sum(engine, [](const Counters& c) -> const Counter& { return c.subscribers_live; }));
  row.number("subscribers_capacity", config.capacity.subscribers);
  row.number("mappings", sum(engine, [](const Counters& c) -> const Counter& { return c.mappings_live; }));
  row.number("mappings_capacity", config.capacity.mappings);
  row.number("sessions", sum(engine, [](const Counters& c) -> const Counter& { return c.sessions_live; }));
  row.number("sessions_capacity", config.capacity.sessions);
  row.number("blocks", sum(engine, [](const Counters& c) -> const Counter& { return c.blocks_live; }));
  row.number("blocks_capacity", blocks);
  row.number("block_refusals",
             sum(engine, [](const Counters& c) -> const Counter& { return c.block_refusals; }));
  row.number("pools_draining", draining);
  row.real("packets_per_second", context.packets_per_second).number("drops", drops);
  row.number("log_written", box.log.written).number("log_errors", box.log.errors);
  row.flag("log_failing", box.log.failing);
  row.number("log_waiting", box.log_waiting);
  row.end();
  return 1;
}

std::string_view role_name(config::Role r) {
  return r == config::Role::inside ? "inside" : r == config::Role::outside ? "outside" : "both";
}

uint64_t make_interfaces(ApiContext& context, const ApiRequest&, std::string& out) {
  const Engine& engine = context.engine();
  const auto& interfaces = engine.config().interfaces;
  // Counted for the whole box: which interface a packet that changes workers came by is not counted.
  uint64_t received = 0;
  for (size_t i = 0; i < dataplane::kMaxInterfaces; i++)
    received += sum(engine, [i](const Counters& k) -> const Counter& { return k.received[i].packets; });
  const uint64_t handed_over = sum(engine, [](const Counters& k) -> const Counter& { return k.handed_over; });
  for (unsigned i = 0; i < interfaces.size(); i++) {
    const config::Interface& c = interfaces[i];
    const DeviceStatus device = context.source.device(i);
    JsonRow row(out);
    row.text("interface", c.name).text("device", c.device).text("driver", device.driver);
    row.text("role", role_name(c.role)).number("vlan", c.vlan.value_or(0));
    row.text("mac", device.mac)
        .number("mtu", c.mtu)
        .flag("link_up", device.link_up)
        .number("mbps", device.mbps);
    row.number("rx_queues", device.rx_queues).number("tx_queues", device.tx_queues);
    row.text("steering", device.steering).number("box_handed_over", handed_over);
    row.real("box_handed_over_share", received == 0 ? 0 : double(handed_over) / double(received));
    const auto total = [&](auto pick) { return sum(engine, pick); };
    row.number("rx_packets",
               total([i](const Counters& k) -> const Counter& { return k.received[i].packets; }));
    row.number("rx_bytes", total([i](const Counters& k) -> const Counter& { return k.received[i].bytes; }));
    row.number("tx_packets",
               total([i](const Counters& k) -> const Counter& { return k.transmitted[i].packets; }));
    row.number("tx_bytes",
               total([i](const Counters& k) -> const Counter& { return k.transmitted[i].bytes; }));
    row.number("rx_errors", device.rx_errors).number("rx_missed", device.rx_missed);
    row.number("rx_no_buffer", device.rx_no_buffer).number("tx_errors", device.tx_errors);
    JsonArray addresses;
    for (const auto& a : c.ipv4_addresses)
      addresses.text(fmt::format("{}/{}", a.address.text(), a.prefix_length));
    for (const auto& a : c.ipv6_addresses)
      addresses.text(fmt::format("{}/{}", a.address.text(), a.prefix_length));
    row.raw("addresses", addresses.take());
    JsonArray hops;
    for (const NextHopStatus& hop : device.next_hops) {
      std::string text;
      JsonRow object(text);
      object.text("family", hop.ipv6 ? "ipv6" : "ipv4").text("address", hop.address);
      object.text("mac", hop.mac).text("state", hop.state);
      object.end(false);
      hops.raw(text);
    }
    row.raw("next_hops", hops.take());
    row.end();
  }
  return interfaces.size();
}

uint64_t make_drops(ApiContext& context, const ApiRequest&, std::string& out) {
  const Engine& engine = context.engine();
  for (size_t r = 0; r < dataplane::kDropReasonCount; r++) {
    JsonRow row(out);
    row.text("reason", dataplane::kDropReasons[r].name);
    row.number("packets", sum(engine, [r](const Counters& c) -> const Counter& { return c.drops[r]; }));
    JsonArray workers;
    for (unsigned w = 0; w < engine.workers(); w++) {
      workers.raw(fmt::format("{}", engine.worker(w).counters().drops[r].get()));
    }
    row.raw("by_worker", workers.take()).text("meaning", dataplane::kDropReasons[r].help);
    row.end();
  }
  return dataplane::kDropReasonCount;
}

uint64_t make_workers(ApiContext& context, const ApiRequest&, std::string& out) {
  const Engine& engine = context.engine();
  for (unsigned w = 0; w < engine.workers(); w++) {
    const Counters& c = engine.worker(w).counters();
    uint64_t outbound = 0, inbound = 0, drops = 0;
    for (size_t i = 0; i < dataplane::kCarriageCount; i++) {
      outbound += c.outbound[i].packets.get();
      inbound += c.inbound[i].packets.get();
    }
    for (const Counter& d : c.drops) drops += d.get();
    JsonRow row(out);
    row.number("worker", w);
    if (w < context.source.worker_cpus.size()) row.number("cpu", context.source.worker_cpus[w]);
    row.number("outbound_packets", outbound).number("inbound_packets", inbound).number("drops", drops);
    if (w < context.worker_packets_per_second.size()) {
      row.real("packets_per_second", context.worker_packets_per_second[w])
          .real("load", context.worker_load[w]);
    }
    row.number("handoffs_sent", c.handed_over.get()).number("handoffs_received", c.handover_received.get());
    row.number("punted", c.punted.get()).number("injected", c.injected.get());
    row.number("subscribers", c.subscribers_live.get()).number("mappings", c.mappings_live.get());
    row.number("sessions", c.sessions_live.get()).number("blocks", c.blocks_live.get());
    row.number("block_refusals", c.block_refusals.get());
    row.number("polls", c.polls.get()).number("bursts", c.bursts.get());
    row.end();
  }
  return engine.workers();
}

uint64_t make_exports(ApiContext& context, const ApiRequest&, std::string& out) {
  const BoxStatus box = context.source.box();
  for (const metrics::ExportSample& e : box.exports) {
    JsonRow row(out);
    row.text("export", e.name).text("protocol", e.protocol).text("transport", e.transport);
    row.text("collector", e.collector).text("state", e.failing ? "failing" : "sending");
    row.number("position", e.position).number("confirmed", e.confirmed).number("waiting", e.waiting);
    row.number("sent", e.sent).number("repeated", e.repeated).number("lost", e.lost);
    row.number("failures", e.failures);
    row.end();
  }
  return box.exports.size();
}

void pool_row(const dataplane::Pool& pool, std::string_view instance, const metrics::PoolUse& use, Millis now,
              std::string& out) {
  JsonRow row(out);
  row.text("pool", pool.prefix().text()).text("instance", instance);
  row.number("first_port", pool.ports().first_port).number("last_port", pool.ports().last_port);
  row.number("port_set_size", pool.ports().set_size).number("addresses", pool.addresses());
  row.number("blocks", pool.block_count());
  row.number("blocks_live", use.live).number("blocks_held", use.held).number("blocks_free", use.free);
  row.real("usage", pool.block_count() == 0 ? 0 : double(use.live + use.held) / pool.block_count());
  row.number("ports_udp", use.ports[0]).number("ports_tcp", use.ports[1]).number("ports_icmp", use.ports[2]);
  row.text("dealt_by", pool.split() ? "block" : "address");
  row.flag("draining", pool.draining.load());
  if (pool.draining.load()) {
    const Millis deadline = pool.drain_deadline.load();
    row.number("cut_in", deadline > now ? (deadline - now + 999) / 1000 : 0);
  }
  row.end();
}

/// Waits for a census, so that the figures are those of now.
class PoolReport : public Answer {
 public:
  PoolReport(const ApiRequest& request, ApiContext& context) : request_(request), context_(context) {}

  Step step(std::string& out) override {
    if (!asked_) {
      asked_ = true;
      context_.census.take([self = std::static_pointer_cast<PoolReport>(shared_from_this())] {
        self->counted_ = true;
        if (self->wake) self->wake();
      });
    }
    if (!counted_) return Step::waiting;
    const dataplane::Tables& tables = context_.engine().tables();
    uint64_t rows = 0;
    for (size_t slot = 0; slot < tables.pools.size(); slot++) {
      if (tables.pools[slot] == nullptr) continue;
      const dataplane::Pool& pool = *tables.pools[slot];
      const std::string& instance = tables.instances[pool.instance()].name;
      if (request_.filter.instance && instance != *request_.filter.instance) continue;
      metrics::PoolUse use;
      const auto counted = context_.census.latest().find(static_cast<uint16_t>(slot));
      if (counted != context_.census.latest().end()) {
        for (const metrics::PoolUse& w : counted->second.workers) use += w;
      }
      pool_row(pool, instance, use, context_.source.now(), out);
      rows++;
    }
    append_end(out, rows);
    return Step::done;
  }

 private:
  ApiRequest request_;
  ApiContext& context_;
  bool asked_ = false, counted_ = false;
};

class Reload : public Answer {
 public:
  explicit Reload(ApiContext& context) : context_(context) {}
  Step step(std::string& out) override {
    const std::string refusal = context_.source.reload();
    if (!refusal.empty()) {
      append_error(out, refusal);
      return Step::done;
    }
    JsonRow row(out);
    row.text("config", context_.engine().config().file);
    row.number("config_generation", context_.engine().tables().version);
    row.end();
    append_end(out, 1);
    return Step::done;
  }

 private:
  ApiContext& context_;
};

}  // namespace

std::shared_ptr<Answer> make_report(const ApiRequest& request, ApiContext& context) {
  static constexpr struct {
    std::string_view command;
    Report::Make make;
  } kReports[] = {{"status", make_status},
                  {"exports", make_exports},
                  {"interfaces", make_interfaces},
                  {"drops", make_drops},
                  {"workers", make_workers}};
  for (const auto& r : kReports) {
    if (r.command == request.command) return std::make_shared<Report>(r.make, request, context);
  }
  if (request.command == "pools") return std::make_shared<PoolReport>(request, context);
  if (request.command == "reload") return std::make_shared<Reload>(context);
  return nullptr;
}

}  // namespace culvert::control
