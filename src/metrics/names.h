/// Every metric the appliance has, in one table: the collector, docs/metrics.md and its test are made from
/// it, so that they cannot differ.
///
/// Names follow Prometheus' conventions: base units in the name, `_total` for what only grows, `_ratio` for
/// 0–1. All of it is constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace culvert::metrics {

enum class Type : uint8_t { counter, gauge };

/// X(enumerator, type, "name", "labels, comma-separated", "help")
#define CULVERT_METRICS(X)                                                                                   \
  X(build_info, gauge, "culvert_build_info", "version", "Always 1; the label says which version runs.")      \
  X(start_time, gauge, "culvert_start_time_seconds", "", "When the appliance started, in Unix time.")        \
  X(config_generation, gauge, "culvert_config_generation", "",                                               \
    "Number of the configuration snapshot in use; grows with every reload and pool change.")                 \
  X(packets, counter, "culvert_packets_total", "worker,carriage,direction", "Packets translated.")           \
  X(bytes, counter, "culvert_bytes_total", "worker,carriage,direction",                                      \
    "Bytes of IP packets translated, headers included, Ethernet not.")                                       \
  X(drops, counter, "culvert_drops_total", "worker,reason", "Packets dropped, by the reason for it.")        \
  X(hairpinned, counter, "culvert_hairpinned_packets_total", "worker",                                       \
    "Packets from one subscriber to another's external address (RFC 4787 REQ-9).")                           \
  X(passed_through, counter, "culvert_passed_through_packets_total", "worker",                               \
    "Packets forwarded untranslated because nat-pass-through names their destination (RFC 6888 REQ-6).")     \
  X(checksums_computed, counter, "culvert_udp_checksums_computed_total", "worker",                           \
    "UDP packets from IPv4 that had no checksum and got one (RFC 7915 section 4.5).")                        \
  X(receive_packets, counter, "culvert_interface_receive_packets_total", "worker,interface",                 \
    "IP packets that came in on an interface.")                                                              \
  X(receive_bytes, counter, "culvert_interface_receive_bytes_total", "worker,interface",                     \
    "Bytes of IP packets that came in on an interface.")                                                     \
  X(transmit_packets, counter, "culvert_interface_transmit_packets_total", "worker,interface",               \
    "Packets that an interface's device took, the kernel's too.")                                            \
  X(transmit_bytes, counter, "culvert_interface_transmit_bytes_total", "worker,interface",                   \
    "Bytes of the packets that an interface's device took.")                                                 \
  X(receive_errors, counter, "culvert_interface_receive_errors_total", "interface",                          \
    "Frames that the device received broken.")                                                               \
  X(receive_missed, counter, "culvert_interface_receive_missed_total", "interface",                          \
    "Frames that the device dropped because its receive queues were full.")                                  \
  X(receive_no_buffer, counter, "culvert_interface_receive_no_buffer_total", "interface",                    \
    "Times that the device found no packet buffer for a frame.")                                             \
  X(transmit_errors, counter, "culvert_interface_transmit_errors_total", "interface",                        \
    "Frames that the device could not send.")                                                                \
  X(interface_up, gauge, "culvert_interface_up", "interface", "1 when the device's link is up.")             \
  X(next_hop_resolved, gauge, "culvert_next_hop_resolved", "interface,family",                               \
    "1 when the link-layer address of the configured next hop is known.")                                    \
  X(handoffs_sent, counter, "culvert_handoffs_sent_total", "worker",                                         \
    "Packets given by ring to the worker that owns them; 0 where the hardware steers well.")                 \
  X(handoffs_received, counter, "culvert_handoffs_received_total", "worker",                                 \
    "Packets got by ring from the worker that received them.")                                               \
  X(punted, counter, "culvert_punted_packets_total", "worker",                                               \
    "Packets given to the kernel: ARP, neighbour discovery, traffic to the box's own addresses.")            \
  X(injected, counter, "culvert_injected_packets_total", "worker", "Packets sent for the kernel.")           \
  X(polls, counter, "culvert_polls_total", "worker", "Rounds of the worker's polling loop.")                 \
  X(bursts, counter, "culvert_bursts_total", "worker", "Bursts of packets that these rounds found.")         \
  X(icmp_sent, counter, "culvert_icmp_errors_sent_total", "worker", "ICMP and ICMPv6 errors the box sent.")  \
  X(icmp_limited, counter, "culvert_icmp_errors_limited_total", "worker",                                    \
    "ICMP and ICMPv6 errors not sent because of icmp-error-rate-limit (RFC 1812 section 4.3.2.8).")          \
  X(icmp_translated, counter, "culvert_icmp_errors_translated_total", "worker",                              \
    "ICMP and ICMPv6 errors of others, translated.")                                                         \
  X(fragments_received, counter, "culvert_fragments_received_total", "worker",                               \
    "Fragments that came to be put together: IPv4, NAT64's IPv6, and softwires', outer and inner.")          \
  X(fragments_held, gauge, "culvert_fragments_held", "worker",                                               \
    "Fragments that wait for the rest of their datagram (fragment-min-timeout).")                            \
  X(fragments_merged, counter, "culvert_fragments_merged_total", "worker",                                   \
    "By how many packets there are fewer because fragments became whole datagrams.")                         \
  X(fragments_cut, counter, "culvert_fragments_cut_total", "worker",                                         \
    "By how many packets there are more because datagrams left in pieces.")                                  \
  X(mappings, gauge, "culvert_mappings", "worker", "Mappings in use (RFC 4787; BIB entries of RFC 6146).")   \
  X(mappings_capacity, gauge, "culvert_mappings_capacity", "",                                               \
    "Mappings there is room for: capacity/mappings.")                                                        \
  X(mappings_created, counter, "culvert_mappings_created_total", "worker", "Mappings made.")                 \
  X(mappings_expired, counter, "culvert_mappings_expired_total", "worker",                                   \
    "Mappings ended, by their timer or by an operator.")                                                     \
  X(sessions, gauge, "culvert_sessions", "worker", "Sessions in use beyond the first of each mapping.")      \
  X(sessions_capacity, gauge, "culvert_sessions_capacity", "",                                               \
    "Sessions there is room for: capacity/sessions.")                                                        \
  X(subscribers, gauge, "culvert_subscribers", "worker", "Subscribers with a block or a mapping.")           \
  X(subscribers_capacity, gauge, "culvert_subscribers_capacity", "",                                         \
    "Subscribers there is room for: capacity/subscribers.")                                                  \
  X(blocks, gauge, "culvert_blocks", "worker", "Port blocks that subscribers hold.")                         \
  X(blocks_allocated, counter, "culvert_blocks_allocated_total", "worker",                                   \
    "Port blocks given to subscribers.")                                                                     \
  X(blocks_released, counter, "culvert_blocks_released_total", "worker", "Port blocks taken back.")          \
  X(block_refusals, counter, "culvert_block_allocation_failures_total", "worker",                            \
    "Requests for a port block that could not be met, whatever the reason.")                                 \
  X(holds_cut_short, counter, "culvert_hold_downs_cut_short_total", "worker",                                \
    "Ports and blocks used again before hold-down-timeout because hold-down-max was reached.")               \
  X(pool_blocks, gauge, "culvert_pool_blocks", "pool,instance,worker,state",                                 \
    "Port blocks of a pool: live (a subscriber's), held (in hold-down) or free.")                            \
  X(pool_blocks_capacity, gauge, "culvert_pool_blocks_capacity", "pool,instance", "Port blocks of a pool.")  \
  X(pool_usage, gauge, "culvert_pool_usage_ratio", "pool,instance",                                          \
    "Part of a pool's port blocks that cannot be given out now: live or held.")                              \
  X(pool_ports, gauge, "culvert_pool_ports_in_use", "pool,instance,protocol",                                \
    "Ports of a pool's blocks with a mapping, by protocol.")                                                 \
  X(pool_ports_capacity, gauge, "culvert_pool_ports_capacity", "pool,instance",                              \
    "Ports in a pool's blocks; each may serve UDP, TCP and ICMP at once.")                                   \
  X(pool_draining, gauge, "culvert_pool_draining", "pool,instance",                                          \
    "1 when the pool left the configuration and waits for its last mapping or its deadline.")                \
  X(log_written, counter, "culvert_log_events_written_total", "", "Events written to the ledger.")           \
  X(log_errors, counter, "culvert_log_write_errors_total", "",                                               \
    "Attempts to write to the ledger that failed; the events wait, none is lost.")                           \
  X(log_failing, gauge, "culvert_log_failing", "", "1 when the last attempt to write to the ledger failed.") \
  X(segments_sealed, counter, "culvert_log_segments_sealed_total", "", "Segments of the ledger sealed.")     \
  X(segments_removed, counter, "culvert_log_segments_removed_total", "",                                     \
    "Segments of the ledger that log-retention removed.")                                                    \
  X(keeping_errors, counter, "culvert_log_keeping_errors_total", "",                                         \
    "Attempts to seal or remove segments that failed; they are made again.")                                 \
  X(export_up, gauge, "culvert_export_up", "export,protocol,transport", "1 when the collector is reached.")  \
  X(export_sent, counter, "culvert_export_events_sent_total", "export",                                      \
    "Events sent to the collector, those sent again among them.")                                            \
  X(export_repeated, counter, "culvert_export_events_repeated_total", "export",                              \
    "Events sent again because they may not have arrived.")                                                  \
  X(export_lost, counter, "culvert_export_events_lost_total", "export",                                      \
    "Events that log-retention removed before the collector had them.")                                      \
  X(export_failures, counter, "culvert_export_failures_total", "export",                                     \
    "Connections that failed, or could not be had.")                                                         \
  X(export_waiting, gauge, "culvert_export_events_waiting", "export",                                        \
    "Events in the ledger that were not sent to the collector yet.")                                         \
  X(log_waiting, gauge, "culvert_log_events_waiting", "worker", "Events not yet in the ledger.")             \
  X(log_ring, gauge, "culvert_log_events_waiting_capacity", "worker",                                        \
    "Events that may wait; when that many do, new blocks are refused (drop reason log-full).")               \
  X(buffers, gauge, "culvert_packet_buffers_in_use", "", "Packet buffers in use.")                           \
  X(buffers_capacity, gauge, "culvert_packet_buffers_capacity", "",                                          \
    "Packet buffers there are: capacity/packet-buffers.")                                                    \
  X(table_memory, gauge, "culvert_table_memory_bytes", "", "Memory taken for the tables at start.")

enum class Metric : uint8_t {
#define CULVERT_X(id, type, name, labels, help) id,
  CULVERT_METRICS(CULVERT_X)
#undef CULVERT_X
};

struct MetricInfo {
  std::string_view name;
  Type type;
  std::string_view labels;
  std::string_view help;
};
inline constexpr MetricInfo kMetrics[] = {
#define CULVERT_X(id, type, name, labels, help) {name, Type::type, labels, help},
    CULVERT_METRICS(CULVERT_X)
#undef CULVERT_X
};
inline constexpr size_t kMetricCount = sizeof kMetrics / sizeof kMetrics[0];

constexpr const MetricInfo& info(Metric m) { return kMetrics[static_cast<size_t>(m)]; }

/// The two tables of docs/metrics.md (Markdown): all metrics, and all values of the label `reason`.
std::string metric_reference();
std::string drop_reference();

}  // namespace culvert::metrics
