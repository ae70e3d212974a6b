/// Whether an archive is whole: each segment by itself, and as a chain of them.
///
/// Of a live segment: checksums, ordinals, whether its records can follow each other (State), and whether its
/// checkpoint is complete. Of a sealed one what sealed_verify.h checks. Of all of them: that each begins with
/// what held at the end of the one before, at its next ordinal; that hashes chain; that hashes which are on
/// record (`sealed`, `retired`) are those of the files; that none is missing between two.
///
/// Memory: that of a SealedReader, a State, and what is held at the end of a segment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "logging/ledger/directory.h"

namespace culvert::logging::ledger {

struct VerifyEvents {
  /// A file, and what is wrong with it.
  std::function<void(const std::filesystem::path&, const std::string&)> finding;
  /// Bytes of segments that are done.
  std::function<void(uint64_t)> progress;
};

struct Verified {
  size_t segments = 0, findings = 0;
  uint64_t bytes = 0, events = 0;
};

/// Checks these segments, which are in the order of their serials; where two are neighbours, also how they
/// follow each other. Throws std::system_error when a disk fails.
Verified verify(const std::vector<SegmentFile>& files, const VerifyEvents& events);

}  // namespace culvert::logging::ledger
