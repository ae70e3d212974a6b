#include "logging/ledger/sealing.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "logging/ledger/archive.h"
#include "logging/ledger/new_file.h"
#include "logging/ledger/seal.h"
#include "logging/ledger/sealed_verify.h"

namespace culvert::logging::ledger {
namespace {

namespace fs = std::filesystem;

fs::path with_extension(fs::path path, const std::string& extension) {
  return path.replace_extension(extension);
}

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", path.string(), what));
}

/// The segment's place among the others.
struct Neighbours {
  Digest predecessor{};                ///< zeros: there is none
  bool gap = false;                    ///< there must have been one
  uint64_t next_ordinal = UINT64_MAX;  ///< of the segment behind it
};
Neighbours neighbours(const fs::path& live, uint64_t serial) {
  Neighbours n;
  const std::vector<SegmentFile> files = list_segments(live.parent_path());
  const auto self = std::ranges::find(files, serial, &SegmentFile::serial);
  if (self == files.end()) fail(live, "is not there any more");
  if (self != files.begin() && std::prev(self)->serial + 1 == serial) {
    const SegmentFile& before = *std::prev(self);
    if (!before.sealed) fail(live, fmt::format("{} must be sealed first", before.path.filename().string()));
    n.predecessor = SealedSegment(before.path).sha256();
  } else {
    n.gap = serial != 1;
  }
  const auto next = segment_after(live.parent_path(), serial, [](const std::string&) {});
  if (next) n.next_ordinal = next->first_ordinal;
  return n;
}

/// How many things are wrong with a sealed segment; `first` is one of them.
size_t count_faults(SealedSegment& segment, const Digest& predecessor, std::string& first) {
  size_t faults = 0;
  verify(segment, predecessor, [&](const std::string& what) {
    if (faults++ == 0) first = what;
  });
  return faults;
}

/// Whether the segment was sealed already, without a fault, before a crash.
bool is_sealed(const fs::path& sealed, const Digest& predecessor) {
  if (!fs::exists(sealed)) return false;
  try {
    SealedSegment segment(sealed);
    std::string fault;
    return count_faults(segment, predecessor, fault) == 0;
  } catch (const std::runtime_error&) {
    return false;
  }
}

void keep_cut(const fs::path& live, const std::string& bytes) {
  if (bytes.empty()) return;
  fs::path cut = with_extension(live, ".cut");
  for (unsigned n = 2; fs::exists(cut); n++) cut.replace_extension(fmt::format(".cut{}", n));
  NewFile file(cut);
  file.append(bytes);
  file.finish();
}

}  // namespace

std::vector<fs::path> unsealed(const fs::path& directory, bool last) {
  std::vector<fs::path> found;
  const std::vector<SegmentFile> files = list_segments(directory);
  for (size_t i = 0; i < files.size(); i++) {
    const fs::path live = with_extension(files[i].path, ".live");
    if ((i + 1 < files.size() || last) && fs::exists(live)) found.push_back(live);
  }
  return found;
}

bool seal_one(const fs::path& live, const std::function<bool(const SegmentNote&)>& on_sealed,
              const std::function<void(const std::string&)>& tell) {
  const std::optional<SegmentFile> name = parse_name(live);
  if (!name) fail(live, "is no segment's name");
  const Neighbours n = neighbours(live, name->serial);
  if (n.gap)
    tell(fmt::format("{}: the segment before it is missing; the chain of hashes begins anew", live.string()));
  const fs::path sealed = with_extension(live, ".seg");
  std::string damaged;
  if (!is_sealed(sealed, n.predecessor)) {
    size_t known = 0;  // faults that the live segment has
    try {
      const std::string bytes = read_file(live);
      seal(
          bytes, n.predecessor, sealed, n.next_ordinal,
          [&](const Damage& d) {
            known++;
            damaged += bytes.substr(d.offset, d.bytes);
            tell(fmt::format("{}: {} bytes from {} on are damaged, and {} events lost", live.string(),
                             d.bytes, d.offset, d.events));
          },
          [&](const Record& r, const std::string& what) {
            known++;
            tell(fmt::format("{}: at {}: {}", live.string(), r.time, what));
          });
    } catch (const std::system_error&) {
      throw;
    } catch (const std::runtime_error& e) {
      fail(live, e.what());
    }
    SealedSegment segment(sealed);
    std::string fault;
    if (count_faults(segment, n.predecessor, fault) > known)
      fail(sealed, fmt::format("{}; {} stays beside it", fault, live.filename().string()));
  }
  if (!on_sealed({name->serial, SealedSegment(sealed).sha256()})) return false;
  keep_cut(live, damaged);
  fs::remove(live);
  return true;
}

}  // namespace culvert::logging::ledger
