/// The dictionary of a sealed segment: who its subscribers are, and in which pages each is
/// (docs/ledger.md, "A dictionary chunk"). It is sorted, by instance, prefix length and prefix, and cut into
/// chunks, so that a question about one subscriber needs one of them. Answers about an address need none: its
/// page has the prefixes.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "logging/ledger/column.h"
#include "logging/ledger/notes.h"

namespace culvert::logging::ledger {

/// What the dictionary is sorted by.
inline auto dictionary_key(const SubscriberNote& s) { return std::tuple(s.instance, s.length, s.prefix); }

struct DictionaryChunk {
  std::vector<SubscriberNote> subscribers;  ///< in order, numbered
  std::vector<uint32_t> pages;              ///< of all, subscriber by subscriber, ascending for each
  std::vector<uint32_t> ends;               ///< of each subscriber's part of `pages`

  std::span<const uint32_t> pages_of(size_t n) const {
    const uint32_t begin = n == 0 ? 0 : ends[n - 1];
    return std::span(pages).subspan(begin, ends[n] - begin);
  }
  bool operator==(const DictionaryChunk&) const = default;
};

std::string encode(const DictionaryChunk& chunk, ColumnPacker& packer);
/// nullopt: these are not the bytes of a chunk. `first_number`: of its first subscriber; `page_count`: pages
/// of the segment.
std::optional<DictionaryChunk> decode_chunk(std::string_view bytes, uint64_t first_number, size_t page_count,
                                            ColumnUnpacker& unpacker);

}  // namespace culvert::logging::ledger
