#include "config/keys.h"

#include <array>

namespace culvert::config {
namespace {

constexpr uint64_t day = 86'400;

constexpr Choice role_choices[] = {
    {"inside", "subscribers are behind it"},
    {"outside", "the internet is behind it"},
    {"both", "a one-armed box: this interface alone, without a second one"},
};

constexpr Choice type_choices[] = {
    {"nat44", "native IPv4 subscribers (YANG: napt44)"},
    {"ds-lite", "IPv4 in IPv6 softwires, RFC 6333 (YANG: napt44 with per-interface-binding dslite)"},
    {"nat64", "IPv6-only subscribers, RFC 6146"},
};

constexpr Choice filtering_choices[] = {
    {"eif", "endpoint-independent: anybody may answer a mapping"},
    {"adf", "address-dependent: only addresses the subscriber has sent to"},
    {"edf", "address- and port-dependent: only endpoints the subscriber has sent to"},
};

constexpr Choice mapping_choices[] = {{"eim", "endpoint-independent mapping, the only one Culvert does"}};

constexpr Choice protocol_choices[] = {
    {"tcp", "TCP"},
    {"udp", "UDP"},
    {"icmp", "ICMP or ICMPv6 echo; its identifier takes the place of the port"},
};

constexpr Key interface_keys[] = {
    {.name = "name", .kind = Kind::interface_name,
     .meaning = "The interface's name in every output, and the name of its tap in the kernel.",
     .example = "inside0", .mandatory = true, .restart = true},
    {.name = "device", .kind = Kind::device,
     .meaning = "DPDK device: a PCI address, or a virtual device with its arguments. Interfaces that share a device "
                "are told apart by their VLANs; a configuration has at most two devices.",
     .mandatory = true, .restart = true},
    {.name = "role", .kind = Kind::choice, .meaning = "Which side of the appliance it faces.", .example = "inside",
     .choices = role_choices, .mandatory = true, .restart = true},
    {.name = "vlan", .kind = Kind::integer, .meaning = "VLAN identifier of its frames.", .reference = "IEEE 802.1Q",
     .default_note = "untagged", .example = "100", .min = 1, .max = 4094, .restart = true},
    {.name = "mtu", .kind = Kind::integer, .meaning = "Bytes of the largest IP packet.",
     .reference = "RFC 8200 §5 (at least 1280)", .default_text = "1500", .min = 1280, .max = 9600, .restart = true},
    {.name = "queues", .kind = Kind::integer,
     .meaning = "Receive and transmit queues asked of the device. 0: one for each worker.", .default_text = "0",
     .min = 0, .max = 64, .restart = true},
    {.name = "rx-descriptors", .kind = Kind::integer, .meaning = "Descriptors of each receive queue.",
     .default_text = "1024", .min = 64, .max = 32'768, .restart = true},
    {.name = "tx-descriptors", .kind = Kind::integer, .meaning = "Descriptors of each transmit queue.",
     .default_text = "1024", .min = 64, .max = 32'768, .restart = true},
    {.name = "ipv4-address", .kind = Kind::ipv4_interface,
     .meaning = "The box's own IPv4 addresses here: the kernel answers ARP and ping for them.",
     .default_note = "none", .max_items = 64, .restart = true},
    {.name = "ipv6-address", .kind = Kind::ipv6_interface,
     .meaning = "The box's own IPv6 addresses here: the kernel answers neighbour discovery and ping for them.",
     .default_note = "none", .max_items = 64, .restart = true},
    {.name = "next-hop-ipv4", .kind = Kind::ipv4_next_hop,
     .meaning = "Where IPv4 packets go from here: a MAC, or an on-link address that the kernel resolves by ARP.",
     .reference = "RFC 826", .default_note = "none", .restart = true},
    {.name = "next-hop-ipv6", .kind = Kind::ipv6_next_hop,
     .meaning = "Where IPv6 packets go from here: a MAC, or an on-link address that the kernel resolves by neighbour "
                "discovery.",
     .reference = "RFC 4861", .default_note = "none", .restart = true},
};
constexpr Section interface_section{"interface", "One entry of `interfaces`: a port, or a VLAN on a port.",
                                    interface_keys};

constexpr Key capacity_keys[] = {
    {.name = "subscribers", .kind = Kind::integer, .meaning = "Subscribers at once.", .default_text = "100000",
     .min = 1, .max = 16'777'216, .restart = true},
    {.name = "mappings", .kind = Kind::integer, .meaning = "Mappings at once, static ones included.",
     .default_text = "1000000", .min = 1, .max = 268'435'456, .restart = true},
    {.name = "sessions", .kind = Kind::integer,
     .meaning = "TCP and filter sessions at once, beyond the first of each mapping.", .default_text = "1000000",
     .min = 1, .max = 268'435'456, .restart = true},
    {.name = "external-addresses", .kind = Kind::integer,
     .meaning = "Addresses that the pools may have, now and after any reload. 0: as many as the pools have now.",
     .default_text = "0", .min = 0, .max = 1'048'576, .restart = true},
    {.name = "packet-buffers", .kind = Kind::integer,
     .meaning = "Packet buffers (mbufs) for all queues; at least as many as all descriptors together.",
     .default_text = "32768", .min = 1024, .max = 16'777'216, .restart = true},
};
constexpr Section capacity_section{
    "capacity", "What is taken at start, for the whole box; the workers share it evenly.", capacity_keys};

constexpr Key logging_keys[] = {
    {.name = "block-log", .kind = Kind::path,
     .meaning = "File of block records: every port block allocated and released.", .reference = "RFC 6888 §4",
     .default_text = "/var/log/culvert/blocks.log", .restart = true},
    {.name = "ring-directory", .kind = Kind::path,
     .meaning = "Directory of the file-backed rings between the workers and the log thread.",
     .default_text = "/var/lib/culvert", .restart = true},
};
constexpr Section logging_section{"logging", "Where records go.", logging_keys};

constexpr Key match_keys[] = {
    {.name = "subnet", .kind = Kind::ip_prefix,
     .meaning = "Source addresses that may use the instance: IPv4 for nat44, IPv6 for ds-lite (the B4s) and nat64. "
                "Anybody else is dropped and counted.",
     .reference = "RFC 8512 subscriber-match/subnet", .example = "100.64.0.0/10", .mandatory = true},
    {.name = "subscriber-mask-v6", .kind = Kind::integer,
     .meaning = "Leading bits of the IPv6 source address that make one subscriber; not less than the subnet's length.",
     .reference = "RFC 8512 subscriber-mask-v6", .default_note = "56 for ds-lite, 64 for nat64 (or the length of a "
     "longer subnet)", .example = "56", .min = 32, .max = 128, .types = for_ds_lite | for_nat64},
    {.name = "subscriber-mask-v4", .kind = Kind::integer,
     .meaning = "Leading bits of the IPv4 source address that make one subscriber; not less than the subnet's length.",
     .default_note = "32", .example = "32", .min = 8, .max = 32, .types = for_nat44},
};
constexpr Section match_section{"subscriber-match", "One entry of `subscriber-match`; a prefix alone stands for its "
                                "`subnet`.", match_keys, "subnet"};

constexpr Key pool_keys[] = {
    {.name = "external-ip-pool", .kind = Kind::ip_prefix,
     .meaning = "IPv4 prefix; all its addresses, the first and the last too, are given to subscribers. Neighbours "
                "must route it to this box.",
     .reference = "RFC 8512 external-ip-pool", .example = "203.0.113.0/24", .mandatory = true},
};
constexpr Section pool_section{"external-ip-address-pool", "One entry of `external-ip-address-pool`; a prefix alone "
                               "stands for its `external-ip-pool`.", pool_keys, "external-ip-pool"};

constexpr Key mapping_keys[] = {
    {.name = "transport-protocol", .kind = Kind::choice, .meaning = "The protocol mapped.",
     .reference = "RFC 8512 transport-protocol", .example = "tcp", .choices = protocol_choices, .mandatory = true},
    {.name = "b4-ipv6-address", .kind = Kind::ipv6_address,
     .meaning = "The B4 behind which the host is; mandatory for ds-lite.", .reference = "RFC 8513 b4-ipv6-address",
     .default_note = "none", .types = for_ds_lite},
    {.name = "internal-src-address", .kind = Kind::ip_address,
     .meaning = "The host: IPv4 for nat44 and ds-lite, IPv6 for nat64.", .reference = "RFC 8512 internal-src-address",
     .mandatory = true},
    {.name = "internal-src-port", .kind = Kind::integer, .meaning = "Its port (or ICMP identifier).",
     .reference = "RFC 8512 internal-src-port", .example = "443", .min = 1, .max = 65'535, .mandatory = true},
    {.name = "external-src-address", .kind = Kind::ipv4_address,
     .meaning = "The address outside, one of the instance's pools.", .reference = "RFC 8512 external-src-address",
     .mandatory = true},
    {.name = "external-src-port", .kind = Kind::integer,
     .meaning = "The port outside (or ICMP identifier), inside `explicit-port-range`.",
     .reference = "RFC 8512 external-src-port", .example = "1443", .min = 1, .max = 65'535, .mandatory = true},
};
constexpr Section mapping_section{"mapping-table", "One entry of `mapping-table`: a static mapping.", mapping_keys};

constexpr Key mapping_limit_keys[] = {
    {.name = "limit-port-mappings", .kind = Kind::integer,
     .meaning = "Mappings of the instance at once; the workers share the figure evenly. 0: no limit.",
     .reference = "RFC 8512 limit-port-mappings", .default_text = "0", .min = 0, .max = 268'435'456},
    {.name = "mappings-per-subscriber", .kind = Kind::integer,
     .meaning = "Mappings of one subscriber at once, all protocols together. 0: no limit.",
     .reference = "RFC 6888 REQ-4", .default_text = "0", .min = 0, .max = 16'777'216},
    {.name = "sessions-per-subscriber", .kind = Kind::integer,
     .meaning = "Sessions of one subscriber at once, beyond the first of each mapping. 0: no limit.",
     .reference = "RFC 6888 REQ-4", .default_text = "0", .min = 0, .max = 16'777'216},
};
constexpr Section mapping_limit_section{"mapping-limits", "How much there may be at once.", mapping_limit_keys};

constexpr Key connection_limit_keys[] = {
    {.name = "limit-per-subscriber", .kind = Kind::integer,
     .meaning = "New mappings of one subscriber a second; bursts of one second's worth pass. 0: no limit.",
     .reference = "RFC 8512 limit-per-subscriber, RFC 6888 REQ-4", .default_text = "0", .min = 0, .max = 1'000'000},
};
constexpr Section connection_limit_section{"connection-limits", "How fast there may be more.",
                                           connection_limit_keys};

constexpr Key instance_keys[] = {
    {.name = "name", .kind = Kind::instance_name, .meaning = "The instance's name in every output and record.",
     .reference = "RFC 8512 instance/name", .mandatory = true},
    {.name = "type", .kind = Kind::choice, .meaning = "How subscriber traffic is carried.",
     .reference = "RFC 8512 type", .example = "nat44", .choices = type_choices, .mandatory = true},
    {.name = "subscriber-match", .kind = Kind::section,
     .meaning = "Who may use the instance, and what counts as one subscriber.",
     .reference = "RFC 8512 subscriber-match", .section = &match_section, .max_items = 1024, .mandatory = true},
    {.name = "aftr-ipv6-addr", .kind = Kind::ipv6_address,
     .meaning = "Addresses at which B4s reach this AFTR; mandatory for ds-lite.",
     .reference = "RFC 8513 aftr-ipv6-addr, RFC 6333 §6", .default_note = "none", .max_items = 200,
     .types = for_ds_lite},
    {.name = "nat64-prefix", .kind = Kind::ipv6_prefix,
     .meaning = "Prefixes that stand for the IPv4 internet: 64:ff9b::/96 or one of your own, of length 32, 40, 48, "
                "56, 64 or 96 with bits 64 to 71 zero; mandatory for nat64. Behind the well-known prefix only global "
                "IPv4 addresses can be reached.",
     .reference = "RFC 8512 nat64-prefix, RFC 6052 §2.2, §3.1", .default_note = "none", .max_items = 200,
     .types = for_nat64},
    {.name = "external-ip-address-pool", .kind = Kind::section,
     .meaning = "The public addresses that subscribers of this instance share.",
     .reference = "RFC 8512 external-ip-address-pool", .section = &pool_section, .max_items = 4096,
     .mandatory = true},
    {.name = "port-range", .kind = Kind::port_range,
     .meaning = "Ports of each pool address that are dealt out in blocks. Below 1024 only with `allow-system-ports`.",
     .reference = "RFC 8512 port-set-restrict, RFC 6056 §3.2", .default_text = "1024-65535"},
    {.name = "port-set-size", .kind = Kind::integer,
     .meaning = "Ports of one block; divides `port-range` without a rest.",
     .reference = "RFC 8512 port-set-size, RFC 6888 REQ-14", .default_text = "512", .min = 8, .max = 32'768},
    {.name = "port-sets-per-subscriber", .kind = Kind::integer, .meaning = "Blocks one subscriber may hold at once.",
     .reference = "RFC 6888 REQ-4", .default_text = "4", .min = 1, .max = 16},
    {.name = "port-set-timeout", .kind = Kind::seconds,
     .meaning = "A block is given back this long after its last mapping.", .reference = "RFC 8512 port-set-timeout",
     .default_text = "60", .min = 0, .max = 30 * day},
    {.name = "explicit-port-range", .kind = Kind::port_range,
     .meaning = "Ports of each pool address kept for explicit mappings (`mapping-table`), outside `port-range`.",
     .reference = "RFC 6888 REQ-9", .default_note = "none", .example = "1024-2047"},
    {.name = "allow-system-ports", .kind = Kind::boolean,
     .meaning = "Lets `port-range` and `explicit-port-range` begin below 1024.",
     .reference = "RFC 6335 §6, RFC 4787 REQ-3", .default_text = "false"},
    {.name = "allow-private-pools", .kind = Kind::boolean,
     .meaning = "Lets pools have addresses of RFC 1918 or 100.64.0.0/10, for labs and for a second NAT behind "
                "this one.",
     .reference = "RFC 1918 §3, RFC 6598 §4", .default_text = "false"},
    {.name = "mapping-type", .kind = Kind::choice, .meaning = "Which packets share a mapping.",
     .reference = "RFC 8512 mapping-type, RFC 4787 REQ-1", .default_text = "eim", .choices = mapping_choices},
    {.name = "filtering-type", .kind = Kind::choice, .meaning = "Who may use an existing mapping from outside.",
     .reference = "RFC 8512 filtering-type, RFC 4787 REQ-8", .default_text = "eif", .choices = filtering_choices},
    {.name = "udp-inbound-refresh", .kind = Kind::boolean,
     .meaning = "Packets from outside keep a UDP mapping alive too.",
     .reference = "RFC 4787 REQ-6, RFC 6146 §3.5.1", .default_note = "true for nat64, false otherwise"},
    {.name = "udp-timeout", .kind = Kind::seconds, .meaning = "An unused UDP mapping lives this long.",
     .reference = "RFC 4787 REQ-5 (at least 2 min)", .default_text = "300", .min = 1, .max = 30 * day},
    {.name = "tcp-idle-timeout", .kind = Kind::seconds, .meaning = "An unused established TCP session lives this long.",
     .reference = "RFC 5382 REQ-5 (at least 2 h 4 min)", .default_text = "7440", .min = 1, .max = 30 * day},
    {.name = "tcp-trans-open-timeout", .kind = Kind::seconds, .meaning = "A TCP session not yet established lives "
     "this long.", .reference = "RFC 7857 §2.1 (less than 4 min is allowed)", .default_text = "240", .min = 1,
     .max = 30 * day},
    {.name = "tcp-trans-close-timeout", .kind = Kind::seconds, .meaning = "A TCP session that is being closed lives "
     "this long.", .reference = "RFC 5382 REQ-5 (at least 4 min), RFC 7857 §2.1", .default_text = "240", .min = 1,
     .max = 30 * day},
    {.name = "tcp-in-syn-timeout", .kind = Kind::seconds,
     .meaning = "An unsolicited SYN from outside waits this long for one from inside before it is answered.",
     .reference = "RFC 5382 REQ-4 (at least 6 s)", .default_text = "6", .min = 1, .max = 3600},
    {.name = "icmp-timeout", .kind = Kind::seconds, .meaning = "An unused ICMP query mapping lives this long.",
     .reference = "RFC 5508 REQ-2 (at least 60 s)", .default_text = "60", .min = 1, .max = 30 * day},
    {.name = "allow-short-timers", .kind = Kind::boolean,
     .meaning = "Lets the timers above be shorter than their RFCs say.", .default_text = "false"},
    {.name = "port-quota", .kind = Kind::integer,
     .meaning = "External ports of one subscriber in use at once, for each protocol. 0: as many as his blocks have.",
     .reference = "RFC 8512 port-quota, RFC 6888 REQ-4", .default_text = "0", .min = 0, .max = 65'535},
    {.name = "mapping-limits", .kind = Kind::section, .meaning = "How much there may be at once.",
     .reference = "RFC 8512 mapping-limits", .default_note = "no limits", .section = &mapping_limit_section},
    {.name = "connection-limits", .kind = Kind::section, .meaning = "How fast there may be more.",
     .reference = "RFC 8512 connection-limits", .default_note = "no limits", .section = &connection_limit_section},
    {.name = "mapping-table", .kind = Kind::section, .meaning = "Static mappings: an outside port that always leads "
     "to the same host.", .reference = "RFC 8512 mapping-table, RFC 6888 REQ-9", .default_note = "none",
     .section = &mapping_section, .max_items = 16'384},
};
constexpr Section instance_section{"instance", "One entry of `instances`: who comes in, how, and out of which pools.",
                                   instance_keys};

constexpr Key root_keys[] = {
    {.name = "workers", .kind = Kind::integer, .meaning = "Cores that carry packets.", .default_text = "1", .min = 1,
     .max = 64, .restart = true},
    {.name = "lcores", .kind = Kind::integer,
     .meaning = "The CPU of the control core, then the CPU of each worker. A CPU may stand there twice.",
     .default_note = "chosen", .example = "[0, 1]", .min = 0, .max = 1023, .max_items = 65, .restart = true},
    {.name = "interfaces", .kind = Kind::section, .meaning = "The ports: one with role `both`, or at least one inside "
     "and one outside.", .section = &interface_section, .max_items = 64, .mandatory = true, .restart = true},
    {.name = "instances", .kind = Kind::section, .meaning = "The NATs of this box.",
     .reference = "RFC 8512 instances/instance", .section = &instance_section, .max_items = 200,
     .mandatory = true},
    {.name = "capacity", .kind = Kind::section, .meaning = "What is taken at start.",
     .default_note = "the defaults below", .section = &capacity_section, .restart = true},
    {.name = "hold-down-timeout", .kind = Kind::seconds, .meaning = "Freed ports and blocks stay unused this long.",
     .reference = "RFC 8512 hold-down-timeout, RFC 6888 REQ-8 (should be at least 120 s)", .default_text = "120",
     .min = 0, .max = day},
    {.name = "hold-down-max", .kind = Kind::integer,
     .meaning = "Ports that stay unused in this way at once, in the whole box; the oldest go back early.",
     .reference = "RFC 8512 hold-down-max, RFC 6888 REQ-8", .default_text = "1000000", .min = 0,
     .max = 268'435'456},
    {.name = "pool-drain-timeout", .kind = Kind::seconds,
     .meaning = "Mappings of a pool that a reload removed are cut after this time.", .default_text = "3600",
     .min = 0, .max = 30 * day},
    {.name = "icmp-error-rate-limit", .kind = Kind::integer,
     .meaning = "ICMP and ICMPv6 errors that each worker may make a second. 0: none are made.",
     .reference = "RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)", .default_text = "100", .min = 0, .max = 1'000'000},
    {.name = "logging", .kind = Kind::section, .meaning = "Where records go.", .default_note = "the defaults below",
     .section = &logging_section, .restart = true},
    {.name = "control-socket", .kind = Kind::path, .meaning = "UNIX socket at which `culvert` reaches the daemon.",
     .default_text = "/run/culvert/control.sock", .restart = true},
    {.name = "metrics-address", .kind = Kind::socket_address,
     .meaning = "Address and port of the Prometheus endpoint; \"\" for none.", .default_text = "127.0.0.1:9780",
     .restart = true},
};
constexpr Section root{"the configuration", "The top level of the file.", root_keys};

constexpr const Section* sections[] = {&root,         &interface_section,     &instance_section,
                                       &match_section, &pool_section,         &mapping_limit_section,
                                       &connection_limit_section, &mapping_section, &capacity_section,
                                       &logging_section};

constexpr KindInfo infos[] = {
    {"true or false", "true", ""},
    {"an integer", "1", ""},
    {"a number of seconds, or one with s, m, h or d", "300", "^[0-9]+[smhd]$"},
    {"a word", "", ""},
    {"a name (a letter, then up to 62 letters, digits, dots, hyphens or underscores)", "homes",
     "^[A-Za-z][A-Za-z0-9._-]{0,62}$"},
    {"a name of 1 to 15 characters (a letter, then letters, digits, dots, hyphens or underscores)", "inside0",
     "^[A-Za-z][A-Za-z0-9._-]{0,14}$"},
    {"a PCI address or a DPDK virtual device", "0000:03:00.0",
     "^(([0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\\.[0-7]|net_[a-z0-9_]+)(,.*)?$"},
    {"an absolute path of at most 100 characters", "/var/log/culvert/blocks.log", "^/.{1,99}$"},
    {"ADDRESS:PORT, [IPV6-ADDRESS]:PORT or \"\"", "127.0.0.1:9780",
     "^(|([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5})$"},
    {"an IPv4 address", "192.0.2.1", "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$"},
    {"an IPv6 address", "2001:db8::1", "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$"},
    {"an IPv4 or IPv6 address", "192.0.2.1", "^[0-9A-Fa-f:.]+$"},
    {"an IPv4 or IPv6 prefix", "203.0.113.0/24", "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"},
    {"an IPv6 prefix", "2001:db8:64::/96", "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/[0-9]{1,3}$"},
    {"an IPv4 address with its prefix length", "192.0.2.1/24", "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$"},
    {"an IPv6 address with its prefix length", "2001:db8::1/64", "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/[0-9]{1,3}$"},
    {"a MAC or an IPv4 address", "192.0.2.254", "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5})$"},
    {"a MAC or an IPv6 address", "2001:db8::fe", "^([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5})$"},
    {"a range of ports FIRST-LAST", "1024-65535", "^[0-9]{1,5}-[0-9]{1,5}$"},
    {"a mapping of keys", "", ""},
};
static_assert(std::size(infos) == static_cast<size_t>(Kind::section) + 1);

}  // namespace

const KindInfo& kind_info(Kind kind) { return infos[static_cast<size_t>(kind)]; }

const Key* Section::find(std::string_view key) const {
  for (const Key& k : keys)
    if (k.name == key) return &k;
  return nullptr;
}

const Section& root_section() { return root; }
std::span<const Section* const> all_sections() { return sections; }

}  // namespace culvert::config
