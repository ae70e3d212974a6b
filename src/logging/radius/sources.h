/// Which detail files an index was made of, and how far: what was read is not read again, whatever the file
/// is called by then. A file is known by its content: by its first bytes, and by those before the place up to
/// which it was read. So it may be renamed, copied and compressed. That it is quite the same file as last
/// time (same inode, size and time of change) spares opening it.
///
/// Reading twice does no harm: sessions say the same then. This only saves time.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/bytes.h"
#include "logging/radius/detail_reader.h"
#include "logging/radius/input.h"

namespace culvert::logging::radius {

/// Bytes at a file's beginning, and before the place, that it is known by; fewer where it was shorter.
inline constexpr size_t kKnownBytes = 4096;

struct Source {
  Fingerprint fingerprint;
  /// Behind the last record that was read; not at the beginning.
  Place place;
  /// Hashes of known_bytes() at the beginning and before the place.
  uint64_t head = 0, tail = 0;

  size_t known_bytes() const {
    return place.offset < kKnownBytes ? static_cast<size_t>(place.offset) : kKnownBytes;
  }
  bool operator==(const Source&) const = default;
};

/// No cryptographic one: who writes a server's files may write what he likes.
uint64_t content_hash(std::string_view bytes);

void encode(const Source& source, ledger::ByteWriter& out);
/// What is wrong makes the reader bad.
Source decode_source(ledger::ByteReader& in);

/// All of them, while an import goes on.
class SourceBook {
 public:
  explicit SourceBook(std::vector<Source> sources);

  /// This very file was read up to its end, as it is now. It is used then.
  bool unchanged(const Fingerprint& fingerprint);
  /// Those whose content begins like this one, which is shorter than kKnownBytes only where the file is; the
  /// one that was read furthest first.
  std::vector<size_t> beginning_like(std::string_view head) const;
  const Source& at(size_t number) const { return sources_[number]; }
  /// A file was read; `known`: it is this one of them. Where two files are the same one, both are noted.
  void note(const Source& source, std::optional<size_t> known);
  /// All but those that this import did not use and that nobody changed since `before`, ns since the epoch.
  std::vector<Source> remaining(uint64_t before) const;

 private:
  void enter(size_t number);
  std::vector<Source> sources_;
  std::vector<bool> used_;
  std::multimap<uint64_t, size_t> by_inode_, by_head_;
  std::set<size_t> sizes_;  ///< known_bytes() that there are
};

}  // namespace culvert::logging::radius
