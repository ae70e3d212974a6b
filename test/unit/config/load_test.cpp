#include "helpers.h"

using namespace culvert::config;
using namespace culvert::config::test;
using namespace culvert::net;
using namespace std::chrono_literals;

namespace {

/// Every key with a value that is not its default.
const std::string full = R"(
workers: 2
lcores: [0, 3, 5]
capacity: {subscribers: 1000, mappings: 2000, sessions: 3000, external-addresses: 512, packet-buffers: 10240}
hold-down-timeout: 3m
hold-down-max: 77
pool-drain-timeout: 2h
icmp-error-rate-limit: 5
logging: {durability: strict, ledger-directory: /tmp/ledger, ledger-segment-events: 5000, ring-directory: /tmp/rings,
  log-retention: {max-age: 2d, max-megabytes: 7},
  exports: [
    {name: siem, protocol: syslog, transport: tls, collector: "[2001:db8::5]:6514", overlap: 1, format: template,
     template: "{time}", hostname: cgn1, facility: 3, structured-data: false, enterprise-number: 9,
     tls: {ca-file: /ca, server-name: siem, certificate-file: /own, private-key-file: /key}},
    {name: flows, protocol: netflow-v9, collector: "192.0.2.9:2055", max-packet-size: 1024, datagrams-per-second: 5,
     observation-domain-id: 6, template-refresh-timeout: 2m, template-refresh-packet: 8},
    {name: ipfix, protocol: ipfix, transport: tcp, collector: "192.0.2.9:4739"},
    {name: short, protocol: syslog, collector: "192.0.2.9:514", format: junos-short}]}
control-socket: /tmp/socket
metrics-address: "[::1]:0"
interfaces:
  - name: in0
    device: net_af_packet0,iface=a
    role: inside
    vlan: 7
    mtu: 1600
    queues: 2
    rx-descriptors: 256
    tx-descriptors: 128
    ipv4-address: [192.0.2.1/24, 198.51.100.1/25]
    ipv6-address: 2001:db8:f::1/64
    next-hop-ipv4: 192.0.2.7
    next-hop-ipv6: fe80::1
  - {name: out0, device: "0000:03:00.0", role: outside, next-hop-ipv4: 02-00-00-00-00-02}
instances:
  - name: homes
    type: ds-lite
    aftr-ipv6-addr: [2001:db8:a::1, "2001:db8:a::"]
    subscriber-match:
      - 2001:db8::/40
      - {subnet: "2001:db8:1000::/40", subscriber-mask-v6: 60}
    external-ip-address-pool: [203.0.113.0/25, {external-ip-pool: 203.0.113.128/25}]
    port-range: 512-32767
    port-set-size: 1536
    port-sets-per-subscriber: 3
    port-set-timeout: 10
    explicit-port-range: 256-511
    allow-system-ports: true
    mapping-type: eim
    filtering-type: edf
    udp-inbound-refresh: true
    udp-timeout: 121
    tcp-idle-timeout: 1d
    tcp-trans-open-timeout: 4
    tcp-trans-close-timeout: 241s
    tcp-in-syn-timeout: 7
    fragment-min-timeout: 3
    softwire-payload-mtu: 1400
    mss-clamping: 1360
    fragment-behavior: inner
    icmp-timeout: 61
    port-quota: 100
    mapping-limits: {limit-port-mappings: 1, mappings-per-subscriber: 2, sessions-per-subscriber: 3}
    connection-limits: {limit-per-subscriber: 4}
    mapping-table:
      - transport-protocol: udp
        b4-ipv6-address: 2001:db8:0:100::1
        internal-src-address: 192.168.1.2
        internal-src-port: 53
        external-src-address: 203.0.113.5
        external-src-port: 300
)";

using culvert::logging::ExportConfig;

std::vector<ExportConfig> exports() {
  using Protocol = ExportConfig::Protocol;
  using Transport = ExportConfig::Transport;
  ExportConfig siem{.name = "siem", .transport = Transport::tls, .address = "2001:db8::5", .port = 6514};
  siem.position_file = "/tmp/ledger/siem.position";
  siem.overlap = 1;
  siem.format = ExportConfig::Format::custom;
  siem.message_template = "{time}";
  siem.hostname = "cgn1";
  siem.facility = 3;
  siem.structured_data = false;
  siem.enterprise_number = 9;
  siem.ca_file = "/ca";
  siem.server_name = "siem";
  siem.certificate_file = "/own";
  siem.private_key_file = "/key";
  ExportConfig flows{.name = "flows", .protocol = Protocol::netflow_v9, .address = "192.0.2.9", .port = 2055};
  flows.position_file = "/tmp/ledger/flows.position";
  flows.max_packet_size = 1024;
  flows.datagrams_per_second = 5;
  flows.observation_domain_id = 6;
  flows.template_refresh_timeout = 120;
  flows.template_refresh_packet = 8;
  ExportConfig ipfix{.name = "ipfix",
                     .protocol = Protocol::ipfix,
                     .transport = Transport::tcp,
                     .address = "192.0.2.9",
                     .port = 4739};
  ipfix.position_file = "/tmp/ledger/ipfix.position";
  ExportConfig brief{.name = "short", .address = "192.0.2.9", .port = 514};
  brief.position_file = "/tmp/ledger/short.position";
  brief.format = ExportConfig::Format::junos_short;
  return {siem, flows, ipfix, brief};
}

}  // namespace

TEST_CASE("every key reaches its field", "[config]") {
  const Config c = load_right(full);
  CHECK(c.file == "test.yaml");
  CHECK(c.workers == 2);
  CHECK(c.lcores == std::vector<uint16_t>{0, 3, 5});
  CHECK(c.capacity == Capacity{1000, 2000, 3000, 512, 10240});
  CHECK(c.hold_down == HoldDown{180s, 77});
  CHECK(c.drain_timeout == 7200s);
  CHECK(c.icmp_error_rate == 5);
  CHECK(c.logging == Logging{"/tmp/ledger", true, 5000, "/tmp/rings", 172'800s, 7, exports()});
  CHECK(c.control_socket == "/tmp/socket");
  CHECK(c.metrics_address == "[::1]:0");

  REQUIRE(c.interfaces.size() == 2);
  const Interface& in = c.interfaces[0];
  CHECK(in.name == "in0");
  CHECK(in.device == "net_af_packet0,iface=a");
  CHECK(in.role == Role::inside);
  CHECK(in.vlan == 7);
  CHECK(in.mtu == 1600);
  CHECK(in.queues == 2);
  CHECK(in.rx_descriptors == 256);
  CHECK(in.tx_descriptors == 128);
  REQUIRE(in.ipv4_addresses.size() == 2);
  CHECK(in.ipv4_addresses[1].address == Ipv4Address::parse("198.51.100.1"));
  CHECK(in.ipv4_addresses[1].prefix_length == 25);
  CHECK(in.ipv6_addresses.at(0).address == Ipv6Address::parse("2001:db8:f::1"));
  CHECK(std::get<Ipv4Address>(in.next_hop_ipv4) == Ipv4Address::parse("192.0.2.7"));
  CHECK(std::get<Ipv6Address>(in.next_hop_ipv6) == Ipv6Address::parse("fe80::1"));
  const Interface& out = c.interfaces[1];
  CHECK(out.role == Role::outside);
  CHECK(std::get<MacAddress>(out.next_hop_ipv4) == MacAddress::parse("02:00:00:00:00:02"));
  CHECK(std::holds_alternative<std::monostate>(out.next_hop_ipv6));

  const Instance& i = c.instances.at(0);
  CHECK(i.name == "homes");
  CHECK(i.carriage == Carriage::ds_lite);
  CHECK(i.aftr_addresses ==
        std::vector{*Ipv6Address::parse("2001:db8:a::1"), *Ipv6Address::parse("2001:db8:a::")});
  REQUIRE(i.subscribers_ipv6.size() == 2);
  CHECK(i.subscribers_ipv6[0] == SubscriberMatch<Ipv6Prefix>{*Ipv6Prefix::parse("2001:db8::/40"), 56});
  CHECK(i.subscribers_ipv6[1] == SubscriberMatch<Ipv6Prefix>{*Ipv6Prefix::parse("2001:db8:1000::/40"), 60});
  CHECK(i.pools == std::vector{*Ipv4Prefix::parse("203.0.113.0/25"), *Ipv4Prefix::parse("203.0.113.128/25")});
  CHECK(i.ports == PortAllocation{512, 32767, 1536, 3, 256, 511});
  CHECK(i.filtering == Filtering::edf);
  CHECK(i.timers == Timers{121s, 86'400s, 4s, 241s, 7s, 61s, 3s, 10s});
  CHECK(i.softwire_payload_mtu == 1400);
  CHECK(i.cut_inner_packet);
  CHECK(i.mss_clamping == 1360);
  CHECK(i.limits == SubscriberLimits{100, 2, 3, 4});
  CHECK(i.mapping_limit == 1);
  CHECK(i.udp_inbound_refresh);
  CHECK(i.static_mappings ==
        std::vector{StaticMapping{Protocol::udp, *Ipv6Address::parse("2001:db8:0:100::1"),
                                  *Ipv4Address::parse("192.168.1.2"), 53, *Ipv4Address::parse("203.0.113.5"),
                                  300}});
}

TEST_CASE("a nat64 instance: its defaults, and a static mapping for an IPv6 host", "[config]") {
  const Config c = load_right(R"(
interfaces:
  - {name: arm, device: net_null0, role: both, next-hop-ipv4: "02:00:00:00:00:01", next-hop-ipv6: "02:00:00:00:00:01"}
instances:
  - name: phones
    type: nat64
    nat64-prefix: 64:ff9b::/96
    subscriber-match: ["2001:db8::/40", "2001:db8:ff00::7/128"]
    external-ip-address-pool: 203.0.113.0/30
    explicit-port-range: 1024-2047
    port-range: 2048-65535
    mapping-table:
      - {transport-protocol: icmp, internal-src-address: "2001:db8::5", internal-src-port: 9,
         external-src-address: 203.0.113.3, external-src-port: 1024}
)");
  const Instance& i = c.instances.at(0);
  CHECK(i.subscribers_ipv6.at(0).mask == 64);
  CHECK(i.subscribers_ipv6.at(1).mask == 128);  // never shorter than its prefix
  CHECK(i.udp_inbound_refresh);                 // RFC 6146 §3.5.1
  CHECK(i.nat64_prefixes == std::vector{*Ipv6Prefix::parse("64:ff9b::/96")});
  CHECK(i.static_mappings.at(0).protocol == Protocol::icmp);
  CHECK(i.static_mappings.at(0).b4_address == Ipv6Address::parse("2001:db8::5"));
  CHECK(c.capacity.external_addresses == 4);
}

TEST_CASE("nat44 counts one address as one subscriber unless told otherwise", "[config]") {
  CHECK(load_right(smallest).instances.at(0).subscribers_ipv4.at(0).mask == 32);
  CHECK_FALSE(load_right(smallest).instances.at(0).udp_inbound_refresh);
}

TEST_CASE("all mistakes come at once, in the order of the file", "[config]") {
  auto result =
      load_text("wrokers: 2\n" + smallest + "hold-down-max: many\nmetrics-address: nowhere\n", "x.yaml");
  CHECK(problems_in(result) ==
        "x.yaml:1:1: unknown key \"wrokers\" in the configuration; a key that nothing reads is a mistake; "
        "did you mean workers?\n"
        "x.yaml:11:16: hold-down-max is \"many\"; it takes an integer; write for example hold-down-max: "
        "1000000\n"
        "x.yaml:12:18: metrics-address is \"nowhere\"; it takes ADDRESS:PORT, [IPV6-ADDRESS]:PORT or \"\"; "
        "write for example metrics-address: 127.0.0.1:9780\n");
}

TEST_CASE("no metrics endpoint when the address is empty", "[config]") {
  CHECK(load_right(smallest + "metrics-address: \"\"\n").metrics_address.empty());
}
