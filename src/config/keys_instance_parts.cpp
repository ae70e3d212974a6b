/// The parts of an instance: entries of its lists, and its limits.
#include "config/keys_instance.h"

namespace culvert::config::instance_keys {
namespace {

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

}  // namespace culvert::config::instance_keys
