/// What a sealed segment is made of, in names, and its two ends: docs/ledger.md ("A sealed segment") has the
/// bytes.
///
/// Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "logging/ledger/format.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/sha256.h"

namespace culvert::logging::ledger {

inline constexpr std::string_view kSealedMagic = "CULVSEAL", kTailMagic = "CULVTAIL";
inline constexpr size_t kSealedHeaderBytes = 112, kFooterBytes = 64;
/// Bytes of the footer that its hash holds for.
inline constexpr size_t kHashedFooterBytes = 24;

// What a reader takes memory for is bounded by these.
inline constexpr size_t kMaxPartBytes = 64u << 20;       ///< of a page or chunk as it is in the file
inline constexpr size_t kMaxDirectoryBytes = 64u << 20;  ///< likewise
inline constexpr size_t kMaxPageRecords = 1u << 20;
inline constexpr size_t kMaxPageBodies = 16u << 20;  ///< bytes
inline constexpr size_t kChunkSubscribers = 4096;
inline constexpr size_t kMaxChunkPages = 1u << 20;  ///< entries of all page lists of a chunk
inline constexpr size_t kMaxParts = 1u << 20;       ///< pages, and chunks

// What is sealed at most, besides kMaxSegmentEvents: more is no segment of a real box.
inline constexpr size_t kMaxNotes = 1u << 20;    ///< a day has some tens
inline constexpr size_t kMaxCarried = 1u << 24;  ///< blocks and mappings in a checkpoint; and subscribers

struct SealedHeader {
  uint64_t serial = 0;
  uint64_t opened = 0, ended = 0;                    ///< event clock
  uint64_t first_ordinal = 0;                        ///< of its first event
  uint64_t events = 0;                               ///< with an ordinal, lost ones among them
  int64_t clock_ahead_min = 0, clock_ahead_max = 0;  ///< ms that the system's clock was ahead
  uint64_t lost = 0;                                 ///< events that damage of the live segment took
  Digest predecessor{};                              ///< in its footer; zeros: there was none
  bool operator==(const SealedHeader&) const = default;
};
std::string encode(const SealedHeader& header);
/// `bytes`: the first ones of a file. nullopt: `fault` says what is wrong with it.
std::optional<SealedHeader> decode_header(std::string_view bytes, std::string& fault);

struct SealedFooter {
  uint64_t directory = 0;  ///< offset
  uint32_t directory_bytes = 0, directory_crc = 0;
  Digest sha256{};  ///< of all bytes before it
};
/// The first kHashedFooterBytes of a footer; hash and magic follow.
std::string encode_hashed(const SealedFooter& footer);
/// `bytes`: the last kFooterBytes of a file.
std::optional<SealedFooter> decode_footer(std::string_view bytes);

/// Milliseconds of the event clock, both included.
struct Interval {
  uint64_t from = 0, to = 0;
};

/// A record that only sealed segments have: events are missing here that the live segment had, before it was
/// damaged.
struct DamageNote {
  static constexpr Type kType = Type{48};
  uint64_t events = 0;  ///< how many; 0: not known, or none
  uint64_t bytes = 0;   ///< of the live segment
  static void fields(auto& c, auto& n) {
    c.varint(n.events);
    c.varint(n.bytes);
    c.require(n.events < (1u << 24));
  }
  bool operator==(const DamageNote&) const = default;
};

}  // namespace culvert::logging::ledger
