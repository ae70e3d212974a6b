/// Questions to a sealed segment that need a few of its pages only: about an external address, about a
/// subscriber.
///
/// Functions of a SealedSegment, which tells of damaged pages; an answer is a value of its own. Its memory:
/// that of its records, and of one page at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "logging/ledger/sealed_segment.h"

namespace culvert::logging::ledger {

/// Records, and all that their numbers stand for. Where the segment ends before the interval does, what it
/// says at its end goes on in the next one.
struct Answer {
  Answer() = default;
  Answer(Answer&&) = default;
  Answer& operator=(Answer&&) = default;
  Answer(const Answer&) = delete;  // records refer to bodies

  /// What holds at the interval's beginning, or the segment's where that is later: allocations of blocks that
  /// are held, with the time when they were allocated; releases of others that were held before; explicit
  /// mappings as mapping_held.
  std::vector<Record> carried;
  /// What happens in it, in the ledger's order. Ordinals are not known: 0.
  std::vector<Record> records;
  std::map<uint64_t, SubscriberNote> subscribers;  ///< whom the records name, by number
  std::map<uint32_t, AddressRange> blocks;         ///< of their addresses, each alone, by address
  std::deque<std::string> bodies;                  ///< of the records
};

/// Everything of an external address, or of one port of it: of the block that has it, and explicit mappings
/// on it.
Answer records_of(SealedSegment& segment, net::Ipv4Address address, std::optional<uint16_t> port,
                  Interval when);

/// Everything of the subscribers whose prefix lies in this one, or has it in itself: what names them, and
/// what ends what they hold. IPv4 stands as ::ffff:a.b.c.d. Only ::/0 has those in it whom damage made
/// unknown.
Answer records_of(SealedSegment& segment, const net::Ipv6Prefix& prefix, Interval when);

}  // namespace culvert::logging::ledger
