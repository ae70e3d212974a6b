/// The directory of a sealed segment: where its pages and its dictionary's chunks are, and what is in them
/// (docs/ledger.md). It takes some 15 bytes a page, so 8 kB for a day of four million events, and is read
/// whole.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "logging/ledger/column.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/sealed_format.h"

namespace culvert::logging::ledger {

struct SealedDirectory {
  /// Bytes of the file.
  struct Part {
    uint64_t offset = 0;
    uint32_t bytes = 0, crc = 0;
    bool operator==(const Part&) const = default;
  };
  struct Page {
    Part part;
    net::Ipv4Address first, last;  ///< addresses; nothing where it has none
    uint64_t time = 0;             ///< of the earliest record in it that is not carried, or the opening
    uint32_t records = 0;          ///< carried ones among them
    bool operator==(const Page&) const = default;
  };
  struct Chunk {
    Part part;
    uint32_t subscribers = 0;
    SubscriberNote first;
    bool operator==(const Chunk&) const = default;
  };

  /// First come pages of notes, then those of events that belong to no address, then those of addresses in
  /// ascending order. An address has one page, or several of its own, one after the other in time.
  std::vector<Page> pages;
  size_t note_pages = 0, loose_pages = 0;
  std::vector<Chunk> chunks;
  uint64_t subscribers = 0;
  bool operator==(const SealedDirectory&) const = default;

  size_t first_address_page() const { return note_pages + loose_pages; }
  /// The page goes on with the address that the one before is of.
  bool continues(size_t page) const {
    return page > first_address_page() && page < pages.size() && pages[page].first == pages[page - 1].last;
  }
  /// Pages in which the address can be.
  std::pair<size_t, size_t> pages_of(net::Ipv4Address a) const;
  /// Whether what holds at `from`, or happens from then to `to`, can be in this page: an address' others have
  /// the rest of its time.
  bool concerns(size_t page, Interval when) const {
    return !(continues(page) && pages[page].time > when.to) &&
           !(continues(page + 1) && pages[page + 1].time <= when.from);
  }
};

std::string encode(const SealedDirectory& directory, uint64_t opened, ColumnPacker& packer);
/// nullopt: the bytes are no directory of parts that lie one behind the other from the header to `end`.
/// `opened`: the segment's.
std::optional<SealedDirectory> decode_directory(std::string_view bytes, uint64_t opened, uint64_t end,
                                                ColumnUnpacker& unpacker);

}  // namespace culvert::logging::ledger
