/// The segments of a ledger's directory, live and sealed, as who reads them sees them: also while culvertd
/// writes and seals there, and where a part of them was copied elsewhere.
///
/// Only names and headers are read: 112 bytes a sealed segment, all asked for at once, so that a disk has
/// them ready. A segment whose header cannot be read is a hole in the archive, as a serial number that is not
/// there.
///
/// Where a segment begins at an ordinal, events of the one before with that ordinal or a higher one do not
/// count (docs/ledger.md, "Ordinals"): after a failed fdatasync(2) they were written again.
///
/// A value, as things were when it was made; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "logging/ledger/directory.h"
#include "logging/ledger/live_stream.h"
#include "logging/ledger/sealed_segment.h"

namespace culvert::logging::ledger {

struct Segment {
  SegmentFile file;
  uint64_t bytes = 0;
  uint64_t opened = 0;  ///< event clock
  uint64_t first_ordinal = 0;
  std::optional<SealedHeader> sealed;  ///< of a sealed one
};

/// Segments that are not there, or cannot be read.
struct Hole {
  size_t before = 0;  ///< index of the segment behind it; behind the last one: how many there are
  std::string what;   ///< "segments 12 to 14 are missing", or what is wrong with a file, with its path
};

/// A segment's file, open: as it is by then, for one may be sealed between being listed and being opened.
using OpenSegment = std::variant<std::unique_ptr<LiveStream>, std::unique_ptr<SealedSegment>>;
/// Throws std::system_error when it cannot be read, std::runtime_error when it is damaged; both with the
/// path.
OpenSegment open_segment(const SegmentFile& file);

class Archive {
 public:
  /// Throws std::system_error, with the path, when the directory cannot be read.
  explicit Archive(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  /// Those that can be read, by serial number. Neither times nor ordinals of their beginnings decrease: one
  /// that begins before the one before it is a hole.
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Hole>& holes() const { return holes_; }
  /// Whether there is one right before this segment.
  bool hole_before(size_t segment) const;
  /// Events of this segment with this ordinal, or a higher one, do not count.
  uint64_t end_ordinal(size_t segment) const;
  /// Turns a segment into a hole: it cannot be read beyond its header.
  void give_up(size_t segment, const std::string& fault);

 private:
  void add(Segment segment);

  std::filesystem::path directory_;
  std::vector<Segment> segments_;
  std::vector<Hole> holes_;
};

/// The segment behind this serial number: the next one in the directory whose header can be read; `tell` is
/// told of others before it, and of missing ones, unless `serial` is 0. nullopt: there is none. Throws
/// std::system_error when the directory, or a file that is there, cannot be opened.
std::optional<Segment> segment_after(const std::filesystem::path& directory, uint64_t serial,
                                     const std::function<void(const std::string&)>& tell);

}  // namespace culvert::logging::ledger
