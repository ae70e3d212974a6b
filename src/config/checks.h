/// What must hold between keys. Each function looks at all of the configuration for one kind of contradiction
/// and reports it at the place that comes later in the file, naming the line of the earlier one.
///
/// They work on records, which may lack anything that was wrong in itself; what is missing is not complained
/// about twice. Time is bounded: nothing compares all pairs of what the file can have many of.
#pragma once

#include "config/config.h"
#include "config/reader.h"

namespace culvert::config {

/// Devices and VLANs, roles, own addresses, next hops.
void check_interfaces(const Record& root, Report& report);
/// Type-dependent keys: which must, which may not be there; names; timers below the RFCs' minima.
void check_instances(const Record& root, Report& report);
/// Families and kinds of addresses and prefixes in themselves: private pools, RFC 6052 lengths, subscriber
/// masks.
void check_prefixes(const Record& root, Report& report);
/// Addresses claimed twice: pools, subscribers, NAT64 prefixes, AFTRs, the box's own.
void check_overlaps(const Record& root, Report& report);
/// Port ranges, blocks and static mappings.
void check_ports(const Record& root, Report& report);
void check_static_mappings(const Record& root, Report& report);
/// Workers, CPUs, and whether the capacity can hold what the rest asks for.
void check_capacity(const Record& root, Report& report);

/// Exports: their names, keys that theirs has no use for, and what logging::fault_of() finds.
void check_exports(const Record& root, Report& report);

/// The carriage of an instance, if it has a right one.
std::optional<Carriage> carriage_of(const Record& instance);

/// The instance's name in quotes, or its place.
std::string title_of(const Record& instance);

/// The pools that are IPv4.
std::vector<net::Ipv4Prefix> pools_of(const Record& instance);

/// The mask of an entry of subscriber-match for this carriage: written, or its default.
uint8_t subscriber_mask(const Record& match, Carriage carriage);

/// Whether the instance is nat64, where inbound UDP refreshes by default (RFC 6146 §3.5.1), or says so
/// itself.
bool udp_inbound_refresh(const Record& instance);

}  // namespace culvert::config
