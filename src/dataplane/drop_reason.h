/// Why a packet was dropped. Every dropped packet is counted under exactly one of these names; the names are
/// the same in `culvert drops`, in the metric `culvert_drops_total{reason=...}`, in `culvert replay --stats`
/// and in scenario tests. docs/metrics.md explains each to an operator; a test keeps the two in step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace culvert::dataplane {

/// X(enumerator, "name", "one line for the operator")
#define CULVERT_DROP_REASONS(X)                                                                             \
  X(malformed_ethernet, "malformed-ethernet", "frame too short for its headers, or wrong VLAN tag nesting") \
  X(wrong_vlan, "wrong-vlan", "frame's VLAN is none of the port's interfaces")                              \
  X(not_our_mac, "not-our-mac", "frame for another station, or unicast IP in a group frame")                \
  X(unknown_ethertype, "unknown-ethertype", "neither IPv4, IPv6 nor ARP")                                   \
  X(malformed_ipv4, "malformed-ipv4", "IPv4 version, header length or total length is wrong")               \
  X(bad_ipv4_checksum, "bad-ipv4-checksum", "IPv4 header checksum is wrong")                                \
  X(malformed_ipv6, "malformed-ipv6", "IPv6 version, payload length or extension headers are wrong")        \
  X(malformed_transport, "malformed-transport", "TCP, UDP or ICMP header does not fit its packet")          \
  X(truncated, "truncated", "frame is shorter than the packet in it says")                                  \
  X(ipv4_source_route, "ipv4-source-route", "IPv4 source route option (RFC 7126 section 4.3)")              \
  X(ipv6_routing_header, "ipv6-routing-header", "routing header with segments left (RFC 7915 section 5.1)") \
  X(fragment_malformed, "fragment-malformed", "fragment whose length or offset cannot be right")            \
  X(fragment_overlap, "fragment-overlap", "fragment of a datagram whose fragments overlap (RFC 5722)")      \
  X(fragment_duplicate, "fragment-duplicate", "fragment that is there already")                             \
  X(fragment_limit, "fragment-limit", "fragment of a datagram that had to go to make room for others")      \
  X(fragment_timeout, "fragment-timeout", "fragment whose datagram did not become whole in time")           \
  X(unknown_protocol, "unknown-protocol", "transport protocol that the binding cannot carry")               \
  X(icmp_type, "icmp-type", "ICMP that is neither a subscriber's echo, its reply nor a translatable error") \
  X(icmp_error_unmapped, "icmp-error-unmapped", "ICMP error about a packet no mapping knows")               \
  X(icmp_error_malformed, "icmp-error-malformed", "ICMP error whose inner packet is cut short or wrong")    \
  X(udp_zero_checksum, "udp-zero-checksum",                                                                 \
    "UDP without the checksum that IPv6 demands (RFC 8200 section 8.1)")                                    \
  X(martian, "martian", "source or destination address that must not be on a wire")                         \
  X(no_subscriber, "no-subscriber", "source is in no subscriber-match: the box is no open relay")           \
  X(not_for_us, "not-for-us", "destination is neither a pool, a softwire, a NAT64 prefix nor the box")      \
  X(ecn_congestion, "ecn-congestion",                                                                       \
    "softwire congestion mark on a packet that cannot carry it (RFC 6040)")                                 \
  X(softwire_next_header, "softwire-next-header", "packet to an AFTR address without IPv4 inside")          \
  X(no_mapping, "no-mapping", "from outside, to a port nobody has a mapping for")                           \
  X(filtered, "filtered", "from outside, refused by the mapping's filtering-type")                          \
  X(tcp_not_syn, "tcp-not-syn", "TCP packet that opens nothing and belongs to no session")                  \
  X(no_ports, "no-ports", "subscriber's blocks are full and he may have no more")                           \
  X(no_blocks, "no-blocks", "pool has no free port block")                                                  \
  X(log_full, "log-full", "block refused because its record could not be accepted (never unlogged)")        \
  X(record_pending, "record-pending",                                                                       \
    "newcomer whose block's record is not on the disk yet, when no more may wait (durability: strict)")     \
  X(mapping_table_full, "mapping-table-full", "capacity mappings is used up")                               \
  X(session_table_full, "session-table-full", "capacity sessions is used up")                               \
  X(subscriber_table_full, "subscriber-table-full", "capacity subscribers is used up")                      \
  X(subscriber_ports, "port-quota", "subscriber's port-quota is used up (RFC 6888 REQ-4)")                  \
  X(subscriber_mappings, "mappings-per-subscriber",                                                         \
    "subscriber has all the mappings he may have (RFC 6888 REQ-4)")                                         \
  X(subscriber_sessions, "sessions-per-subscriber", "subscriber has all the sessions he may have")          \
  X(subscriber_rate, "mapping-rate",                                                                        \
    "subscriber opens mappings faster than connection-limits allow (RFC 6888 REQ-4)")                       \
  X(instance_mappings, "limit-per-instance", "instance's mapping limit is used up")                         \
  X(ttl_expired, "ttl-expired", "TTL or hop limit ran out at the box")                                      \
  X(too_big, "too-big", "packet does not fit the next hop's MTU")                                           \
  X(next_hop_unresolved, "next-hop-unresolved", "link-layer address of the next hop is not known yet")      \
  X(no_next_hop, "no-next-hop", "interface has no next hop for the packet's family")                        \
  X(handoff_full, "handoff-full", "ring to the packet's worker is full")                                    \
  X(handoff_loop, "handoff-loop", "handed-over packet is not its receiver's either (owner just moved)")     \
  X(punt_full, "punt-full", "ring to the kernel (exception path) is full")                                  \
  X(transmit_full, "transmit-full", "device took no more packets")                                          \
  X(no_buffer, "no-buffer", "no packet buffer left, or no room in it")                                      \
  X(draining, "draining", "new mapping of a pool that is being removed")

enum class DropReason : uint8_t {
#define CULVERT_X(id, name, help) id,
  CULVERT_DROP_REASONS(CULVERT_X)
#undef CULVERT_X
};

inline constexpr struct {
  std::string_view name, help;
} kDropReasons[] = {
#define CULVERT_X(id, name, help) {name, help},
    CULVERT_DROP_REASONS(CULVERT_X)
#undef CULVERT_X
};
inline constexpr size_t kDropReasonCount = sizeof kDropReasons / sizeof kDropReasons[0];

/// Of a number that somebody else wrote.
constexpr std::string_view drop_reason_name(uint8_t r) {
  return r < kDropReasonCount ? kDropReasons[r].name : "unknown";
}
constexpr std::string_view name_of(DropReason r) { return kDropReasons[static_cast<size_t>(r)].name; }

}  // namespace culvert::dataplane
