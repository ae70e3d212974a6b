/// What a live segment says, by external address: the first half of sealing it (seal.h).
///
/// Memory: 40 bytes an event (of which a segment has kMaxSegmentEvents, so 170 MB at most), 40 a block
/// held or resting at its beginning, 150 a subscriber, and what is told in notes, of which it may have
/// kMaxNotes. Bodies of other records stay in the live segment's bytes.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/live_reader.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/number_map.h"
#include "logging/ledger/sealed_format.h"
#include "logging/ledger/sealed_page.h"

namespace culvert::logging::ledger {

struct SealInput {
  struct Note {
    Record record;  ///< without its body
    std::string body;
    uint32_t tie;
  };
  /// An external address. `carried`: what the checkpoint says of it; `records`: indices into `records` below.
  struct Place {
    std::optional<AddressRange> blocks;
    std::vector<PageRecord> carried;
    std::vector<uint32_t> records;
    uint64_t weight = 0;  ///< PageWriter::weight of all
  };

  std::string_view live;
  SealedHeader header;                      ///< but the predecessor
  std::vector<Note> notes;                  ///< in the ledger's order
  std::deque<PageRecord> records;           ///< likewise: all that are not carried
  std::vector<uint32_t> loose;              ///< those that belong to no address
  std::map<uint32_t, Place> places;         ///< by address
  std::vector<SubscriberNote> subscribers;  ///< the dictionary
  NumberMap<uint32_t> numbers;              ///< the live segment's number of a subscriber → the dictionary's

  /// A record as the sealed segment has it, under the dictionary's numbers. Its body may be in `body`.
  Record sealed(const PageRecord& p, std::string& body) const;
};

/// Reads the segment up to the first event that has ordinal `end` or more. `on_damage` and `on_fault` (what
/// State says) may be empty. Throws std::runtime_error where `live` is no live segment, or has more notes
/// than can be.
SealInput read_live(std::string_view live, uint64_t end, const std::function<void(const Damage&)>& on_damage,
                    const std::function<void(const Record&, const std::string&)>& on_fault);

}  // namespace culvert::logging::ledger
