/// A page of a sealed segment (docs/ledger.md, "A page"): the records of some addresses, or of one address in
/// a part of the segment's time, or of none. It needs nothing else of the segment to be understood: it has
/// what its addresses' blocks are, what held when it begins ("carried") and whose numbers its subscribers
/// are.
///
/// A page is read whole: some 8,000 records, at most kMaxPageRecords of 32 bytes each and kMaxPageBodies.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/column.h"
#include "logging/ledger/live_reader.h"
#include "logging/ledger/notes.h"

namespace culvert::logging::ledger {

/// A record, compact: millions of them are kept while a segment is sealed or brought into the ledger's order.
struct PageRecord {
  uint64_t time = 0;   ///< event clock
  uint64_t block = 0;  ///< a block record's; of others, where their body begins
  uint64_t value = 0;  ///< subscriber, peak, or bytes of the body
  uint32_t tie = 0;    ///< events of the segment with the same time and a lower ordinal
  uint8_t head = 0;    ///< first byte, as in a live segment
  uint8_t worker = 0;  ///< of an event
  bool operator==(const PageRecord&) const = default;
};
static_assert(sizeof(PageRecord) == 32);

/// `r` without its body; block and value of a typed one are set by the caller.
PageRecord compact(const Record& r, uint32_t tie);
/// The record, with its body in `bodies`. Its ordinal is not known: 0.
Record expand(const PageRecord& r, std::string_view bodies);

/// Those blocks of a range that are on one address.
AddressRange blocks_on(const AddressRange& range, net::Ipv4Address address);

struct Page {
  struct Address {
    net::Ipv4Address address;
    std::optional<AddressRange> blocks;     ///< of this address only; none: it has explicit mappings only
    size_t begin = 0, follow = 0, end = 0;  ///< in `records`: carried ones from `begin`, others from `follow`
  };
  std::vector<Address> addresses;           ///< ascending; none in pages of records that belong to no address
  std::vector<SubscriberNote> subscribers;  ///< all that it names, by number
  std::vector<PageRecord> records;          ///< address by address; the rest of each in the ledger's order
  std::string bodies;

  Record record(size_t n) const { return expand(records[n], bodies); }
  /// nullptr: the page does not name him.
  const SubscriberNote* subscriber(uint64_t number) const;
  const Address* find(net::Ipv4Address a) const;
};

/// nullopt: these are not the bytes of a page. `opened`: the segment's.
std::optional<Page> decode_page(std::string_view bytes, uint64_t opened, ColumnUnpacker& unpacker);

}  // namespace culvert::logging::ledger
