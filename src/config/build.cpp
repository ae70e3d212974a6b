#include "config/build.h"

#include <algorithm>

#include "config/checks.h"
#include "config/export.h"
#include "config/set.h"

namespace culvert::config {
namespace {

using net::Ipv4Address;
using net::Ipv4Prefix;
using net::Ipv6Address;
using net::Ipv6Prefix;

template <typename Field>
void set_list(std::vector<Field>& field, const Record& record, std::string_view key) {
  for (const Leaf& leaf : record.list(key))
    if (auto* v = std::get_if<Field>(&leaf.value)) field.push_back(*v);
}

template <typename Address>
void set_next_hop(NextHop<Address>& field, const Record& record, std::string_view key) {
  if (auto mac = record.get<net::MacAddress>(key)) field = *mac;
  if (auto address = record.get<Address>(key)) field = *address;
}

Interface build_interface(const Record& r) {
  Interface i;
  set(i.name, r, "name");
  set(i.device, r, "device");
  auto role = r.get<std::string>("role").value_or("inside");
  i.role = role == "inside" ? Role::inside : role == "outside" ? Role::outside : Role::both;
  if (auto vlan = r.get<uint64_t>("vlan")) i.vlan = static_cast<uint16_t>(*vlan);
  set(i.mtu, r, "mtu");
  set(i.queues, r, "queues");
  set(i.rx_descriptors, r, "rx-descriptors");
  set(i.tx_descriptors, r, "tx-descriptors");
  set_list(i.ipv4_addresses, r, "ipv4-address");
  set_list(i.ipv6_addresses, r, "ipv6-address");
  set_next_hop(i.next_hop_ipv4, r, "next-hop-ipv4");
  set_next_hop(i.next_hop_ipv6, r, "next-hop-ipv6");
  return i;
}

StaticMapping build_mapping(const Record& r) {
  StaticMapping m;
  auto protocol = r.get<std::string>("transport-protocol").value_or("tcp");
  m.protocol = protocol == "tcp" ? Protocol::tcp : protocol == "udp" ? Protocol::udp : Protocol::icmp;
  set(m.b4_address, r, "b4-ipv6-address");
  if (auto a = r.get<Ipv6Address>("internal-src-address")) m.b4_address = *a;  // nat64
  set(m.internal_address, r, "internal-src-address");
  set(m.internal_port, r, "internal-src-port");
  set(m.external_address, r, "external-src-address");
  set(m.external_port, r, "external-src-port");
  return m;
}

PassThrough build_pass_through(const Record& r) {
  PassThrough p;
  set(p.prefix, r, "prefix");
  if (auto port = r.get<uint64_t>("port")) p.port = static_cast<uint16_t>(*port);
  return p;
}

Timers build_timers(const Record& r) {
  Timers t;
  set(t.udp, r, "udp-timeout");
  set(t.tcp_idle, r, "tcp-idle-timeout");
  set(t.tcp_trans_open, r, "tcp-trans-open-timeout");
  set(t.tcp_trans_close, r, "tcp-trans-close-timeout");
  set(t.tcp_in_syn, r, "tcp-in-syn-timeout");
  set(t.icmp, r, "icmp-timeout");
  set(t.port_set, r, "port-set-timeout");
  set(t.fragment_min, r, "fragment-min-timeout");
  return t;
}

PortAllocation build_ports(const Record& r) {
  PortAllocation p;
  if (auto range = r.get<PortRange>("port-range")) {
    p.first_port = range->first;
    p.last_port = range->last;
  }
  if (auto range = r.get<PortRange>("explicit-port-range")) {
    p.explicit_first = range->first;
    p.explicit_last = range->last;
  }
  set(p.set_size, r, "port-set-size");
  set(p.sets_per_subscriber, r, "port-sets-per-subscriber");
  if (!r.wrote("port-sets-per-subscriber"))
    p.sets_per_subscriber =
        static_cast<uint8_t>(std::min<uint32_t>(p.sets_per_subscriber, p.sets_per_address()));
  return p;
}

Instance build_instance(const Record& r) {
  Instance i;
  set(i.name, r, "name");
  i.carriage = carriage_of(r).value_or(Carriage::nat44);
  set_list(i.aftr_addresses, r, "aftr-ipv6-addr");
  set(i.mss_clamping, r, "mss-clamping");
  set(i.softwire_payload_mtu, r, "softwire-payload-mtu");
  i.cut_inner_packet = r.get<std::string>("fragment-behavior").value_or("outer") == "inner";
  set(i.minimum_ipv6_mtu, r, "minimum-ipv6-mtu");
  set_list(i.nat64_prefixes, r, "nat64-prefix");
  for (const Record& match : r.records("subscriber-match")) {
    uint8_t mask = subscriber_mask(match, i.carriage);
    if (auto p = match.get<Ipv4Prefix>("subnet")) i.subscribers_ipv4.push_back({*p, mask});
    if (auto p = match.get<Ipv6Prefix>("subnet")) i.subscribers_ipv6.push_back({*p, mask});
  }
  i.pools = pools_of(r);
  i.ports = build_ports(r);
  auto filtering = r.get<std::string>("filtering-type").value_or("eif");
  i.filtering = filtering == "eif" ? Filtering::eif : filtering == "adf" ? Filtering::adf : Filtering::edf;
  const auto log_sessions = r.get<std::string>("log-sessions");
  i.log_sessions = log_sessions == "mappings"       ? LogSessions::mappings
                   : log_sessions == "destinations" ? LogSessions::destinations
                                                    : LogSessions::off;
  i.timers = build_timers(r);
  const Record mapping_limits = r.child("mapping-limits"), connection_limits = r.child("connection-limits");
  set(i.limits.ports, r, "port-quota");
  set(i.limits.mappings, mapping_limits, "mappings-per-subscriber");
  set(i.limits.sessions, mapping_limits, "sessions-per-subscriber");
  set(i.limits.mappings_per_second, connection_limits, "limit-per-subscriber");
  set(i.mapping_limit, mapping_limits, "limit-port-mappings");
  i.udp_inbound_refresh = udp_inbound_refresh(r);
  i.drops_unchecked_udp = r.get<std::string>("udp-zero-checksum").value_or("compute") == "drop";
  for (const Record& entry : r.records("nat-pass-through"))
    i.pass_through.push_back(build_pass_through(entry));
  for (const Record& mapping : r.records("mapping-table"))
    i.static_mappings.push_back(build_mapping(mapping));
  return i;
}

}  // namespace

Config build(const Record& root, const std::string& file) {
  Config c;
  c.file = file;
  set(c.workers, root, "workers");
  for (const Leaf& leaf : root.list("lcores"))
    c.lcores.push_back(static_cast<uint16_t>(std::get<uint64_t>(leaf.value)));
  for (const Record& i : root.records("interfaces")) c.interfaces.push_back(build_interface(i));
  for (const Record& i : root.records("instances")) c.instances.push_back(build_instance(i));
  const Record capacity = root.child("capacity"), logging = root.child("logging");
  set(c.capacity.subscribers, capacity, "subscribers");
  set(c.capacity.mappings, capacity, "mappings");
  set(c.capacity.sessions, capacity, "sessions");
  set(c.capacity.external_addresses, capacity, "external-addresses");
  set(c.capacity.packet_buffers, capacity, "packet-buffers");
  if (c.capacity.external_addresses == 0)
    for (const Instance& i : c.instances)
      for (const Ipv4Prefix& pool : i.pools)
        c.capacity.external_addresses += static_cast<uint32_t>(pool.size());
  set(c.hold_down.timeout, root, "hold-down-timeout");
  set(c.hold_down.max, root, "hold-down-max");
  set(c.drain_timeout, root, "pool-drain-timeout");
  set(c.icmp_error_rate, root, "icmp-error-rate-limit");
  c.logging.strict = logging.get<std::string>("durability").value_or("buffered") == "strict";
  set(c.logging.ledger_directory, logging, "ledger-directory");
  set(c.logging.segment_events, logging, "ledger-segment-events");
  set(c.logging.ring_directory, logging, "ring-directory");
  const Record retention = logging.child("log-retention");
  set(c.logging.retention_age, retention, "max-age");
  set(c.logging.retention_megabytes, retention, "max-megabytes");
  for (const Record& e : logging.records("exports"))
    c.logging.exports.push_back(export_of(e, c.logging.ledger_directory));
  set(c.control_socket, root, "control-socket");
  set(c.metrics_address, root, "metrics-address");
  return c;
}

}  // namespace culvert::config
