/// What the ledger's files are made of, in names: docs/ledger.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace culvert::logging::ledger {

inline constexpr std::string_view kLiveMagic = "CULVLIVE";
inline constexpr uint16_t kVersion = 1;
inline constexpr size_t kLiveHeaderBytes = 40;

inline constexpr std::string_view kBatchMark = "\xc5\xba";
inline constexpr size_t kBatchHeaderBytes = 12;
/// Of a payload.
inline constexpr size_t kMaxBatchBytes = 4u << 20;
inline constexpr uint32_t kMaxSegmentEvents = 4u << 20;
/// Workers that the format can tell apart.
inline constexpr unsigned kMaxSources = 64;
/// Times, and differences of them, lie below this: sums of two don't overflow.
inline constexpr uint64_t kMaxTime = uint64_t{1} << 61;

/// Groups of a record's first byte.
inline constexpr uint8_t kAllocated = 0x00, kReleased = 0x20, kSource = 0x80, kTyped = 0xc0;

/// Types of records that are not a block's. Those below kFirstNote are events: they have an ordinal.
enum class Type : uint8_t {
  record_lost = 0,
  mapping_created = 3,
  mapping_deleted = 4,
  session_created = 5,
  session_deleted = 6,
  refused = 7,
  source = 32,
  instance = 33,
  address_range = 34,
  subscriber = 35,
  held = 36,
  resting = 37,
  mapping_held = 38,
  checkpoint_end = 39,
  clock = 40,
  configuration = 41,
  culvertd_started = 42,
  culvertd_stopped = 43,
  uncertain = 44,
  sealed = 45,
  retired = 46,
  segment_end = 47,
};
inline constexpr uint8_t kFirstNote = 32, kTypes = 64;
constexpr bool is_event(Type t) { return static_cast<uint8_t>(t) < kFirstNote; }

/// What a live segment's header says.
struct LiveHeader {
  uint64_t serial = 0;
  uint64_t opened = 0;         ///< event clock, ms since the Unix epoch
  uint64_t first_ordinal = 0;  ///< of its first event
  bool operator==(const LiveHeader&) const = default;
};

}  // namespace culvert::logging::ledger
