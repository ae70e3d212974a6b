#include "config/keys_instance.h"

namespace culvert::config::instance_keys {
namespace {

constexpr uint64_t day = 86'400;

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

constexpr Choice fragment_choices[] = {
    {"outer", "the packet is encapsulated and the IPv6 packet cut; the B4 puts it together (RFC 6333 §6.3)"},
    {"inner",
     "the IPv4 packet is cut, as by any router, and its fragments encapsulated: for B4s that cannot"},
};

constexpr Choice checksum_choices[] = {
    {"compute", "it gets the checksum that IPv6 demands"},
    {"drop", "it is dropped as `udp-zero-checksum`, and its sender told: administratively prohibited"},
};

constexpr Choice mapping_choices[] = {{"eim", "endpoint-independent mapping, the only one Culvert does"}};

constexpr Choice protocol_choices[] = {
    {"tcp", "TCP"},
    {"udp", "UDP"},
    {"icmp",
     "ICMP or ICMPv6 echo of the inside host and its replies; the identifier takes the place of the port"},
};

constexpr Key match_keys[] = {
    {.name = "subnet",
     .kind = Kind::ip_prefix,
     .meaning =
         "Source addresses that may use the instance: IPv4 for nat44, IPv6 for ds-lite (the B4s) and nat64. "
         "Anybody else is dropped and counted.",
     .reference = "RFC 8512 subscriber-match/subnet",
     .example = "100.64.0.0/10",
     .mandatory = true},
    {.name = "subscriber-mask-v6",
     .kind = Kind::integer,
     .meaning = "Leading bits of the IPv6 source address that make one subscriber; not less than the "
                "subnet's length.",
     .reference = "RFC 8512 subscriber-mask-v6",
     .default_note = "56 for ds-lite, 64 for nat64 (or the length of a "
                     "longer subnet)",
     .example = "56",
     .min = 32,
     .max = 128,
     .types = for_ds_lite | for_nat64},
    {.name = "subscriber-mask-v4",
     .kind = Kind::integer,
     .meaning = "Leading bits of the IPv4 source address that make one subscriber; not less than the "
                "subnet's length.",
     .default_note = "32",
     .example = "32",
     .min = 8,
     .max = 32,
     .types = for_nat44},
};
}  // namespace

constinit const Section match_section{"subscriber-match",
                                      "One entry of `subscriber-match`; a prefix alone stands for its "
                                      "`subnet`.",
                                      match_keys, "subnet"};

namespace {

constexpr Key pool_keys[] = {
    {.name = "external-ip-pool",
     .kind = Kind::ip_prefix,
     .meaning =
         "IPv4 prefix; all its addresses, the first and the last too, are given to subscribers. Neighbours "
         "must route it to this box.",
     .reference = "RFC 8512 external-ip-pool",
     .example = "203.0.113.0/24",
     .mandatory = true},
};
}  // namespace

constinit const Section pool_section{"external-ip-address-pool",
                                     "One entry of `external-ip-address-pool`; a prefix alone "
                                     "stands for its `external-ip-pool`.",
                                     pool_keys, "external-ip-pool"};

namespace {

constexpr Key mapping_keys[] = {
    {.name = "transport-protocol",
     .kind = Kind::choice,
     .meaning = "The protocol mapped.",
     .reference = "RFC 8512 transport-protocol",
     .example = "tcp",
     .choices = protocol_choices,
     .mandatory = true},
    {.name = "b4-ipv6-address",
     .kind = Kind::ipv6_address,
     .meaning = "The B4 behind which the host is; mandatory for ds-lite.",
     .reference = "RFC 8513 b4-ipv6-address",
     .default_note = "none",
     .types = for_ds_lite},
    {.name = "internal-src-address",
     .kind = Kind::ip_address,
     .meaning = "The host: IPv4 for nat44 and ds-lite, IPv6 for nat64.",
     .reference = "RFC 8512 internal-src-address",
     .mandatory = true},
    {.name = "internal-src-port",
     .kind = Kind::integer,
     .meaning = "Its port (or ICMP identifier).",
     .reference = "RFC 8512 internal-src-port",
     .example = "443",
     .min = 1,
     .max = 65'535,
     .mandatory = true},
    {.name = "external-src-address",
     .kind = Kind::ipv4_address,
     .meaning = "The address outside, one of the instance's pools.",
     .reference = "RFC 8512 external-src-address",
     .mandatory = true},
    {.name = "external-src-port",
     .kind = Kind::integer,
     .meaning = "The port outside (or ICMP identifier), inside `explicit-port-range`.",
     .reference = "RFC 8512 external-src-port",
     .example = "1443",
     .min = 1,
     .max = 65'535,
     .mandatory = true},
};
}  // namespace

constinit const Section mapping_section{"mapping-table", "One entry of `mapping-table`: a static mapping.",
                                        mapping_keys};

namespace {

constexpr Key pass_through_keys[] = {
    {.name = "prefix",
     .kind = Kind::ip_prefix,
     .meaning = "IPv4 addresses of the destinations.",
     .reference = "RFC 8512 nat-pass-through/prefix",
     .default_note = "any",
     .example = "192.0.2.53/32"},
    {.name = "port",
     .kind = Kind::integer,
     .meaning = "Only this TCP and UDP port of theirs; without it, all protocols.",
     .reference = "RFC 8512 nat-pass-through/port",
     .default_note = "all",
     .example = "53",
     .min = 1,
     .max = 65'535},
};
}  // namespace

constinit const Section pass_through_section{"nat-pass-through",
                                             "One entry of `nat-pass-through`; a prefix alone stands for its "
                                             "`prefix`.",
                                             pass_through_keys, "prefix"};

namespace {

constexpr Key mapping_limit_keys[] = {
    {.name = "limit-port-mappings",
     .kind = Kind::integer,
     .meaning = "Mappings of the instance at once; the workers share the figure evenly. 0: no limit.",
     .reference = "RFC 8512 limit-port-mappings",
     .default_text = "0",
     .min = 0,
     .max = 268'435'456},
    {.name = "mappings-per-subscriber",
     .kind = Kind::integer,
     .meaning = "Mappings of one subscriber at once, all protocols together. 0: no limit.",
     .reference = "RFC 6888 REQ-4",
     .default_text = "0",
     .min = 0,
     .max = 16'777'216},
    {.name = "sessions-per-subscriber",
     .kind = Kind::integer,
     .meaning = "Sessions of one subscriber at once, beyond the first of each mapping. 0: no limit.",
     .reference = "RFC 6888 REQ-4",
     .default_text = "2000",
     .min = 0,
     .max = 16'777'216},
};
}  // namespace

constinit const Section mapping_limit_section{"mapping-limits", "How much there may be at once.",
                                              mapping_limit_keys};

namespace {

constexpr Key connection_limit_keys[] = {
    {.name = "limit-per-subscriber",
     .kind = Kind::integer,
     .meaning = "New mappings of one subscriber a second; bursts of one second's worth pass. 0: no limit.",
     .reference = "RFC 8512 limit-per-subscriber, RFC 6888 REQ-4",
     .default_text = "0",
     .min = 0,
     .max = 1'000'000},
};
}  // namespace

constinit const Section connection_limit_section{"connection-limits", "How fast there may be more.",
                                                 connection_limit_keys};

namespace {

constexpr Key instance_keys[] = {
    {.name = "name",
     .kind = Kind::instance_name,
     .meaning = "The instance's name in every output and record.",
     .reference = "RFC 8512 instance/name",
     .mandatory = true},
    {.name = "type",
     .kind = Kind::choice,
     .meaning = "How subscriber traffic is carried.",
     .reference = "RFC 8512 type",
     .example = "nat44",
     .choices = type_choices,
     .mandatory = true},
    {.name = "subscriber-match",
     .kind = Kind::section,
     .meaning = "Who may use the instance, and what counts as one subscriber.",
     .reference = "RFC 8512 subscriber-match",
     .section = &match_section,
     .max_items = 1024,
     .mandatory = true},
    {.name = "aftr-ipv6-addr",
     .kind = Kind::ipv6_address,
     .meaning = "Addresses at which B4s reach this AFTR; mandatory for ds-lite.",
     .reference = "RFC 8513 aftr-ipv6-addr, RFC 6333 §6",
     .default_note = "none",
     .max_items = 200,
     .types = for_ds_lite},
    {.name = "mss-clamping",
     .kind = Kind::integer,
     .meaning =
         "Largest segment that a TCP host may announce through the box, in either direction: larger ones are "
         "lowered. For paths where ICMP is filtered. 0: left alone.",
     .reference = "RFC 8513 mss-clamping, RFC 9293 §3.7.1",
     .default_text = "0",
     .min = 0,
     .max = 9560},
    {.name = "softwire-payload-mtu",
     .kind = Kind::integer,
     .meaning = "Bytes of an IPv4 packet that reach a B4 in one piece, where the access network carries less "
                "than the "
                "inside interface. 0: what the interface's MTU leaves, 40 less.",
     .reference = "RFC 8676 softwire-payload-mtu, RFC 6333 §6.3",
     .default_text = "0",
     .min = 0,
     .max = 9560,
     .types = for_ds_lite},
    {.name = "fragment-behavior",
     .kind = Kind::choice,
     .meaning = "How a packet leaves that is too big for the softwire and whose sender allows cutting it.",
     .reference = "RFC 6333 §6.3, RFC 2473 §7.2",
     .default_text = "outer",
     .choices = fragment_choices,
     .types = for_ds_lite},
    {.name = "minimum-ipv6-mtu",
     .kind = Kind::integer,
     .meaning =
         "An IPv4 packet whose sender allows cutting it leaves in IPv6 packets of at most so many bytes: the "
         "least that any IPv6 link carries, or more where all of yours do.",
     .reference = "RFC 7915 §4.1",
     .default_text = "1280",
     .min = 1280,
     .max = 9600,
     .types = for_nat64},
    {.name = "udp-zero-checksum",
     .kind = Kind::choice,
     .meaning = "What happens to a UDP packet from IPv4 that has no checksum.",
     .reference = "RFC 7915 §4.5, RFC 6146 §3.4",
     .default_text = "compute",
     .choices = checksum_choices,
     .types = for_nat64},
    {.name = "nat64-prefix",
     .kind = Kind::ipv6_prefix,
     .meaning =
         "Prefixes that stand for the IPv4 internet: 64:ff9b::/96 or one of your own, of length 32, 40, 48, "
         "56, 64 or 96 with bits 64 to 71 zero; mandatory for nat64. Behind the well-known prefix only "
         "global "
         "IPv4 addresses can be reached.",
     .reference = "RFC 8512 nat64-prefix, RFC 6052 §2.2, §3.1",
     .default_note = "none",
     .max_items = 200,
     .types = for_nat64},
    {.name = "external-ip-address-pool",
     .kind = Kind::section,
     .meaning = "The public addresses that subscribers of this instance share.",
     .reference = "RFC 8512 external-ip-address-pool",
     .section = &pool_section,
     .max_items = 1024,
     .mandatory = true},
    {.name = "port-range",
     .kind = Kind::port_range,
     .meaning = "Ports of each pool address that are dealt out in blocks. Below 1024 only with "
                "`allow-system-ports`.",
     .reference = "RFC 8512 port-set-restrict, RFC 6056 §3.2",
     .default_text = "1024-65535",
     .restart = true},
    {.name = "port-set-size",
     .kind = Kind::integer,
     .meaning = "Ports of one block; divides `port-range` without a rest.",
     .reference = "RFC 8512 port-set-size, RFC 6888 REQ-14",
     .default_text = "512",
     .min = 8,
     .max = 32'768,
     .restart = true},
    {.name = "port-sets-per-subscriber",
     .kind = Kind::integer,
     .meaning = "Blocks one subscriber may hold at once; left out, not more than an address has.",
     .reference = "RFC 6888 REQ-4",
     .default_text = "4",
     .min = 1,
     .max = 16},
    {.name = "port-set-timeout",
     .kind = Kind::duration,
     .meaning = "A block is given back this long after its last mapping.",
     .reference = "RFC 8512 port-set-timeout",
     .default_text = "60",
     .min = 0,
     .max = 30 * day},
    {.name = "explicit-port-range",
     .kind = Kind::port_range,
     .meaning =
         "Ports of each pool address kept for explicit mappings (`mapping-table`), outside `port-range`.",
     .reference = "RFC 6888 REQ-9",
     .default_note = "none",
     .example = "1024-2047"},
    {.name = "allow-system-ports",
     .kind = Kind::boolean,
     .meaning = "Lets `port-range` and `explicit-port-range` begin below 1024.",
     .reference = "RFC 6335 §6, RFC 4787 REQ-3",
     .default_text = "false"},
    {.name = "allow-private-pools",
     .kind = Kind::boolean,
     .meaning =
         "Lets pools have addresses of RFC 1918 or 100.64.0.0/10, for labs and for a second NAT behind "
         "this one.",
     .reference = "RFC 1918 §3, RFC 6598 §4",
     .default_text = "false"},
    {.name = "mapping-type",
     .kind = Kind::choice,
     .meaning = "Which packets share a mapping.",
     .reference = "RFC 8512 mapping-type, RFC 4787 REQ-1",
     .default_text = "eim",
     .choices = mapping_choices},
    {.name = "filtering-type",
     .kind = Kind::choice,
     .meaning = "Who may use an existing mapping from outside.",
     .reference = "RFC 8512 filtering-type, RFC 4787 REQ-8",
     .default_text = "eif",
     .choices = filtering_choices},
    {.name = "udp-inbound-refresh",
     .kind = Kind::boolean,
     .meaning = "Packets from outside keep a UDP mapping alive too.",
     .reference = "RFC 4787 REQ-6, RFC 6146 §3.5.1",
     .default_note = "true for nat64, false otherwise"},
    {.name = "udp-timeout",
     .kind = Kind::duration,
     .meaning = "An unused UDP mapping lives this long.",
     .reference = "RFC 4787 REQ-5 (at least 2 min)",
     .default_text = "300",
     .min = 1,
     .max = 30 * day},
    {.name = "tcp-idle-timeout",
     .kind = Kind::duration,
     .meaning = "An unused established TCP session lives this long.",
     .reference = "RFC 5382 REQ-5 (at least 2 h 4 min)",
     .default_text = "7440",
     .min = 1,
     .max = 30 * day},
    {.name = "tcp-trans-open-timeout",
     .kind = Kind::duration,
     .meaning = "A TCP session not yet established lives "
                "this long.",
     .reference = "RFC 7857 §2.1 (less than 4 min is allowed)",
     .default_text = "240",
     .min = 1,
     .max = 30 * day},
    {.name = "tcp-trans-close-timeout",
     .kind = Kind::duration,
     .meaning = "A TCP session that is being closed lives "
                "this long.",
     .reference = "RFC 5382 REQ-5 (at least 4 min), RFC 7857 §2.1",
     .default_text = "240",
     .min = 1,
     .max = 30 * day},
    {.name = "tcp-in-syn-timeout",
     .kind = Kind::duration,
     .meaning = "An unsolicited SYN from outside waits this long for one from inside before it is answered.",
     .reference = "RFC 5382 REQ-4 (at least 6 s)",
     .default_text = "6",
     .min = 1,
     .max = 3600},
    {.name = "icmp-timeout",
     .kind = Kind::duration,
     .meaning = "An unused ICMP query mapping lives this long.",
     .reference = "RFC 5508 REQ-2 (at least 60 s)",
     .default_text = "60",
     .min = 1,
     .max = 30 * day},
    {.name = "fragment-min-timeout",
     .kind = Kind::duration,
     .meaning = "Fragments wait this long for the rest of their datagram.",
     .reference = "RFC 8512 fragment-min-timeout, RFC 6146 §3.4 (at least 2 s)",
     .default_text = "2",
     .min = 1,
     .max = 300},
    {.name = "allow-short-timers",
     .kind = Kind::boolean,
     .meaning = "Lets the timers above be shorter than their RFCs say.",
     .default_text = "false"},
    {.name = "port-quota",
     .kind = Kind::integer,
     .meaning =
         "External ports of one subscriber in use at once, for each protocol. 0: as many as his blocks have.",
     .reference = "RFC 8512 port-quota, RFC 6888 REQ-4",
     .default_text = "0",
     .min = 0,
     .max = 65'535},
    {.name = "mapping-limits",
     .kind = Kind::section,
     .meaning = "How much there may be at once.",
     .reference = "RFC 8512 mapping-limits",
     .default_note = "no limits",
     .section = &mapping_limit_section},
    {.name = "connection-limits",
     .kind = Kind::section,
     .meaning = "How fast there may be more.",
     .reference = "RFC 8512 connection-limits",
     .default_note = "no limits",
     .section = &connection_limit_section},
    {.name = "nat-pass-through",
     .kind = Kind::section,
     .meaning = "Destinations that subscribers reach with their own addresses, and that reach them.",
     .reference = "RFC 8512 nat-pass-through, RFC 6888 REQ-6",
     .default_note = "none",
     .section = &pass_through_section,
     .max_items = 64,
     .types = for_nat44},
    {.name = "mapping-table",
     .kind = Kind::section,
     .meaning = "Static mappings: an outside port that always leads "
                "to the same host.",
     .reference = "RFC 8512 mapping-table, RFC 6888 REQ-9",
     .default_note = "none",
     .section = &mapping_section,
     .max_items = 16'384},
};
}  // namespace

constinit const Section instance_section{
    "instance", "One entry of `instances`: who comes in, how, and out of which pools.", instance_keys};

}  // namespace culvert::config::instance_keys
