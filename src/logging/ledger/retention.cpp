#include "logging/ledger/retention.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "logging/ledger/archive.h"

namespace culvert::logging::ledger {
namespace {

namespace fs = std::filesystem;

/// When a segment's last record was, or not long before it opened the next; a damaged one does not say.
uint64_t ended(const SegmentFile& file, const Archive& archive) {
  for (const Segment& s : archive.segments()) {
    if (s.file.serial == file.serial && s.sealed) return s.sealed->ended;
    if (s.file.serial > file.serial) return s.opened;
  }
  return UINT64_MAX;
}

Digest digest_of(const fs::path& path) {
  try {
    return SealedSegment(path).sha256();
  } catch (const std::runtime_error&) {
    return {};
  }
}

}  // namespace

std::vector<Retired> to_retire(const fs::path& directory, const Retention& retention, uint64_t now) {
  const std::vector<SegmentFile> files = list_segments(directory);
  const Archive archive(directory);
  const auto last_sealed = std::ranges::find_if(files.rbegin(), files.rend(), &SegmentFile::sealed);
  uint64_t bytes = 0;
  std::error_code gone;
  for (const SegmentFile& f : files)
    if (const uint64_t size = fs::file_size(f.path, gone); !gone) bytes += size;
  std::vector<Retired> all;
  for (const SegmentFile& f : files) {
    if (!f.sealed || f.serial == last_sealed->serial) break;
    const uint64_t end = ended(f, archive);
    const bool old = retention.age_ms != 0 && end < now && now - end > retention.age_ms;
    const bool much = retention.bytes != 0 && bytes > retention.bytes;
    if (!old && !much) break;
    all.push_back({f.path, {f.serial, digest_of(f.path)}});
    if (const uint64_t size = fs::file_size(f.path, gone); !gone) bytes -= std::min(bytes, size);
  }
  return all;
}

void retire(const Retired& segment) {
  const auto fail = [&] { throw std::system_error(errno, std::generic_category(), segment.path.string()); };
  if (unlink(segment.path.c_str()) != 0 && errno != ENOENT) fail();
  const int directory = ::open(segment.path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) fail();
  const bool synced = fsync(directory) == 0;
  const int error = errno;
  close(directory);
  errno = error;
  if (!synced) fail();
}

}  // namespace culvert::logging::ledger
