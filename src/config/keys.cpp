#include "config/keys.h"

#include "config/keys_instance.h"

namespace culvert::config {
namespace {

constexpr uint64_t day = 86'400;

constexpr Choice role_choices[] = {
    {"inside", "subscribers are behind it"},
    {"outside", "the internet is behind it"},
    {"both", "a one-armed box: this interface alone, without a second one"},
};

constexpr Key interface_keys[] = {
    {.name = "name",
     .kind = Kind::interface_name,
     .meaning = "The interface's name in every output, and the name of its tap in the kernel.",
     .example = "inside0",
     .mandatory = true,
     .restart = true},
    {.name = "device",
     .kind = Kind::device,
     .meaning =
         "DPDK device: a PCI address, or a virtual device with its arguments. Interfaces that share a device "
         "are told apart by their VLANs; a configuration has at most two devices.",
     .mandatory = true,
     .restart = true},
    {.name = "role",
     .kind = Kind::choice,
     .meaning = "Which side of the appliance it faces.",
     .example = "inside",
     .choices = role_choices,
     .mandatory = true,
     .restart = true},
    {.name = "vlan",
     .kind = Kind::integer,
     .meaning = "VLAN identifier of its frames.",
     .reference = "IEEE 802.1Q",
     .default_note = "untagged",
     .example = "100",
     .min = 1,
     .max = 4094,
     .restart = true},
    {.name = "mtu",
     .kind = Kind::integer,
     .meaning = "Bytes of the largest IP packet.",
     .reference = "RFC 8200 §5 (at least 1280)",
     .default_text = "1500",
     .min = 1280,
     .max = 9600,
     .restart = true},
    {.name = "queues",
     .kind = Kind::integer,
     .meaning = "Receive and transmit queues asked of the device. 0: one for each worker.",
     .default_text = "0",
     .min = 0,
     .max = 64,
     .restart = true},
    {.name = "rx-descriptors",
     .kind = Kind::integer,
     .meaning = "Descriptors of each receive queue.",
     .default_text = "1024",
     .min = 64,
     .max = 32'768,
     .restart = true},
    {.name = "tx-descriptors",
     .kind = Kind::integer,
     .meaning = "Descriptors of each transmit queue.",
     .default_text = "1024",
     .min = 64,
     .max = 32'768,
     .restart = true},
    {.name = "ipv4-address",
     .kind = Kind::ipv4_interface,
     .meaning = "The box's own IPv4 addresses here: the kernel answers ARP and ping for them.",
     .default_note = "none",
     .max_items = 64,
     .restart = true},
    {.name = "ipv6-address",
     .kind = Kind::ipv6_interface,
     .meaning =
         "The box's own IPv6 addresses here: the kernel answers neighbour discovery and ping for them.",
     .default_note = "none",
     .max_items = 64,
     .restart = true},
    {.name = "next-hop-ipv4",
     .kind = Kind::ipv4_next_hop,
     .meaning =
         "Where IPv4 packets go from here: a MAC, or an on-link address that the kernel resolves by ARP.",
     .reference = "RFC 826",
     .default_note = "none"},
    {.name = "next-hop-ipv6",
     .kind = Kind::ipv6_next_hop,
     .meaning = "Where IPv6 packets go from here: a MAC, or an on-link address that the kernel resolves by "
                "neighbour "
                "discovery.",
     .reference = "RFC 4861",
     .default_note = "none"},
};
constexpr Section interface_section{"interface", "One entry of `interfaces`: a port, or a VLAN on a port.",
                                    interface_keys};

constexpr Key capacity_keys[] = {
    {.name = "subscribers",
     .kind = Kind::integer,
     .meaning = "Subscribers at once.",
     .default_text = "100000",
     .min = 1,
     .max = 16'777'216,
     .restart = true},
    {.name = "mappings",
     .kind = Kind::integer,
     .meaning = "Mappings at once, static ones included.",
     .default_text = "1000000",
     .min = 1,
     .max = 268'435'456,
     .restart = true},
    {.name = "sessions",
     .kind = Kind::integer,
     .meaning = "TCP and filter sessions at once, beyond the first of each mapping.",
     .default_text = "1000000",
     .min = 1,
     .max = 268'435'456,
     .restart = true},
    {.name = "external-addresses",
     .kind = Kind::integer,
     .meaning =
         "Addresses that the pools may have, now and after any reload. 0: as many as the pools have now.",
     .default_text = "0",
     .min = 0,
     .max = 1'048'576,
     .restart = true},
    {.name = "packet-buffers",
     .kind = Kind::integer,
     .meaning = "Packet buffers (mbufs) for all queues; at least as many as all descriptors together.",
     .default_text = "32768",
     .min = 1024,
     .max = 16'777'216,
     .restart = true},
};
constexpr Section capacity_section{
    "capacity", "What is taken at start, for the whole box; the workers share it evenly.", capacity_keys};

constexpr Choice durability_choices[] = {
    {"buffered",
     "it serves at once; a crash of the machine may lose the records of the last 100 ms, and then nobody "
     "gets a "
     "new block before `hold-down-timeout` is over"},
    {"strict", "its first packets wait until the record is on the disk"},
};

constexpr Key retention_keys[] = {
    {.name = "max-age",
     .kind = Kind::duration,
     .meaning = "Segments whose last record is older are removed. 0: they are kept for ever.",
     .default_text = "0",
     .min = 0,
     .max = 3650 * day,
     .restart = true},
    {.name = "max-megabytes",
     .kind = Kind::integer,
     .meaning =
         "When all segments together have more, the oldest are removed. 0: they may have any size. A disk "
         "that is full of other things is not this key's: without room no new blocks are given.",
     .default_text = "0",
     .min = 0,
     .max = 1'000'000'000,
     .restart = true},
};
constexpr Section retention_section{
    "log-retention",
    "How long the ledger's segments are kept. What goes is put on record first; what is not sealed stays.",
    retention_keys};

constexpr Key logging_keys[] = {
    {.name = "durability",
     .kind = Kind::choice,
     .meaning = "What a new port block waits for.",
     .default_text = "buffered",
     .choices = durability_choices,
     .restart = true},
    {.name = "ledger-directory",
     .kind = Kind::path,
     .meaning = "Directory of the ledger: the record of who held which address and ports when.",
     .reference = "RFC 6888 §4",
     .default_text = "/var/lib/culvert/ledger",
     .restart = true},
    {.name = "ledger-segment-events",
     .kind = Kind::integer,
     .meaning = "Events after which a segment of the ledger ends, if the day does not end before.",
     .default_text = "4194304",
     .min = 1000,
     .max = 4'194'304,
     .restart = true},
    {.name = "ring-directory",
     .kind = Kind::path,
     .meaning =
         "Directory of the file-backed rings between the workers and the recorder. In memory (tmpfs) they "
         "cost no disk writes and outlive a crash of culvertd; on a disk they delay packets when it is slow.",
     .default_text = "/run/culvert/rings",
     .restart = true},
    {.name = "log-retention",
     .kind = Kind::section,
     .meaning = "When old segments of the ledger are removed.",
     .default_note = "they are kept for ever",
     .section = &retention_section,
     .restart = true},
};
constexpr Section logging_section{"logging", "Where records go.", logging_keys};

constexpr Key root_keys[] = {
    {.name = "workers",
     .kind = Kind::integer,
     .meaning = "Cores that carry packets.",
     .default_text = "1",
     .min = 1,
     .max = 64,
     .restart = true},
    {.name = "lcores",
     .kind = Kind::integer,
     .meaning = "The CPU of the control core, then the CPU of each worker. A CPU may stand there twice.",
     .default_note = "chosen",
     .example = "[0, 1]",
     .min = 0,
     .max = 1023,
     .max_items = 65,
     .restart = true},
    {.name = "interfaces",
     .kind = Kind::section,
     .meaning = "The ports: one with role `both`, or at least one inside "
                "and one outside.",
     .section = &interface_section,
     .max_items = 64,
     .mandatory = true,
     .restart = true},
    {.name = "instances",
     .kind = Kind::section,
     .meaning = "The NATs of this box.",
     .reference = "RFC 8512 instances/instance",
     .section = &instance_keys::instance_section,
     .max_items = 64,
     .mandatory = true},
    {.name = "capacity",
     .kind = Kind::section,
     .meaning = "What is taken at start.",
     .default_note = "the defaults below",
     .section = &capacity_section,
     .restart = true},
    {.name = "hold-down-timeout",
     .kind = Kind::duration,
     .meaning = "Freed ports and blocks stay unused this long.",
     .reference = "RFC 8512 hold-down-timeout, RFC 6888 REQ-8 (should be at least 120 s)",
     .default_text = "120",
     .min = 0,
     .max = day},
    {.name = "hold-down-max",
     .kind = Kind::integer,
     .meaning = "Ports that stay unused in this way at once, in the whole box; the oldest go back early.",
     .reference = "RFC 8512 hold-down-max, RFC 6888 REQ-8",
     .default_text = "1000000",
     .min = 0,
     .max = 268'435'456,
     .restart = true},
    {.name = "pool-drain-timeout",
     .kind = Kind::duration,
     .meaning = "Mappings of a pool that a reload removed are cut after this time.",
     .default_text = "3600",
     .min = 0,
     .max = 30 * day},
    {.name = "icmp-error-rate-limit",
     .kind = Kind::integer,
     .meaning = "ICMP and ICMPv6 errors that each worker may make a second on each side. 0: none are made.",
     .reference = "RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)",
     .default_text = "100",
     .min = 0,
     .max = 1'000'000},
    {.name = "logging",
     .kind = Kind::section,
     .meaning = "Where records go.",
     .default_note = "the defaults below",
     .section = &logging_section,
     .restart = true},
    {.name = "control-socket",
     .kind = Kind::path,
     .meaning = "UNIX socket at which `culvert` reaches the daemon.",
     .default_text = "/run/culvert/control.sock",
     .restart = true},
    {.name = "metrics-address",
     .kind = Kind::socket_address,
     .meaning = "Address and port of the Prometheus endpoint; \"\" for none.",
     .default_text = "127.0.0.1:9780",
     .restart = true},
};
constexpr Section root{"the configuration", "The top level of the file.", root_keys};

constexpr const Section* sections[] = {&root,
                                       &interface_section,
                                       &instance_keys::instance_section,
                                       &instance_keys::match_section,
                                       &instance_keys::pool_section,
                                       &instance_keys::pass_through_section,
                                       &instance_keys::mapping_limit_section,
                                       &instance_keys::connection_limit_section,
                                       &instance_keys::mapping_section,
                                       &capacity_section,
                                       &logging_section};

}  // namespace

const Key* Section::find(std::string_view key) const {
  for (const Key& k : keys)
    if (k.name == key) return &k;
  return nullptr;
}

const Section& root_section() { return root; }
std::span<const Section* const> all_sections() { return sections; }

}  // namespace culvert::config
