#include "control/api_appliance.h"

#include "control/appliance.h"
#include "control/neighbours.h"

namespace culvert::control {
namespace {

/// What is in force for the interface's side, or for both when it has both.
std::string steering_of(const dataplane::PortSteering& steering, config::Role role) {
  if (role == config::Role::inside) return steering.inside_text();
  return role == config::Role::outside ? steering.outside_text() : steering.text();
}

DeviceStatus device_of(const Appliance& appliance, unsigned interface) {
  const dataplane::Port& port = appliance.port_of(interface);
  const dataplane::Port::Link link = port.link();
  const rte_eth_stats stats = port.stats();
  DeviceStatus out;
  out.driver = port.driver();
  out.mac = port.mac().text();
  out.link_up = link.up;
  out.mbps = link.mbps;
  out.rx_queues = port.rx_queues();
  out.tx_queues = port.tx_queues();
  out.steering = steering_of(port.steering(), appliance.engine().config().interfaces[interface].role);
  out.rx_errors = stats.ierrors;
  out.rx_missed = stats.imissed;
  out.rx_no_buffer = stats.rx_nombuf;
  out.tx_errors = stats.oerrors;
  for (const NextHopState& hop : appliance.neighbours().next_hops()) {
    if (hop.interface != interface) continue;
    out.next_hops.push_back(
        {hop.is_static ? "" : text_of(hop.address), hop.mac ? hop.mac->text() : "", hop.state(), hop.ipv6});
  }
  return out;
}

BoxStatus box_of(const Appliance& appliance) {
  BoxStatus out;
  out.applied_at = appliance.applied_at();
  out.reloads = appliance.reloads();
  out.buffers_in_use = appliance.buffers_in_use();
  out.buffers = appliance.buffers();
  const logging::RecorderStats& recorder = appliance.recorder();
  const logging::Keeper::Stats& keeper = appliance.keeper();
  out.log = {.written = recorder.events,
             .errors = recorder.errors,
             .failing = recorder.failing,
             .sealed = keeper.sealed,
             .removed = keeper.retired,
             .keeping_errors = keeper.errors};
  out.log_waiting = appliance.records_waiting();
  for (const auto& exporter : appliance.exports().exporters()) {
    const logging::ExportConfig& c = exporter->config();
    const logging::ExportStats& s = exporter->stats();
    out.exports.push_back({.name = c.name,
                           .protocol = std::string(c.name_of(c.protocol)),
                           .transport = std::string(c.name_of(c.transport)),
                           .collector = c.collector(),
                           .sent = s.sent,
                           .repeated = s.repeated,
                           .lost = s.lost,
                           .failures = s.failures,
                           .position = s.position,
                           .confirmed = s.confirmed,
                           .waiting = s.waiting,
                           .failing = s.failing});
  }
  return out;
}

}  // namespace

ApiSource source_of(Appliance& appliance) {
  ApiSource out;
  out.engine = &appliance.engine();
  out.started_at = appliance.started_at();
  out.pages = appliance.page_kind();
  for (unsigned w = 0; w < appliance.engine().workers(); w++)
    out.worker_cpus.push_back(appliance.worker_cpu(w));
  out.now = [&appliance] { return appliance.now(); };
  out.device = [&appliance](unsigned interface) { return device_of(appliance, interface); };
  out.box = [&appliance] { return box_of(appliance); };
  out.reload = [&appliance] { return appliance.reload(); };
  return out;
}

}  // namespace culvert::control
