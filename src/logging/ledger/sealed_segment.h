/// A sealed segment, opened: its header and directory are read and checked; its pages and the chunks of its
/// dictionary are read when they are asked for, each with its checksum.
///
/// The file is read with pread(2), not mapped: one system call brings in a page at once, where a mapping
/// would wait for the disk at every 4 kB of it, and a file that another process cuts short is an error and no
/// signal. Opening takes the first and the last kEndBytes of the file, which hold header, notes, directory
/// and footer of a day's segment; so an answer about an address takes three reads, two of them one after the
/// other.
///
/// What is damaged is told by on_damage and left out; the rest stays readable. Without header, directory or
/// footer nothing is: then there is no such object.
///
/// Belongs to one thread. Memory: the ends, the directory, and what is returned.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "logging/ledger/sealed_dictionary.h"
#include "logging/ledger/sealed_directory.h"
#include "logging/ledger/sealed_format.h"
#include "logging/ledger/sealed_page.h"

namespace culvert::logging::ledger {

/// A part of a sealed segment that cannot be read.
struct SealedDamage {
  std::string what;  ///< "page 7"
  uint64_t offset = 0, bytes = 0;
};

class SealedSegment {
 public:
  static constexpr size_t kEndBytes = 16 * 1024;

  /// Throws std::system_error when the file cannot be read, std::runtime_error when it is no sealed segment
  /// of this version or one of its ends is damaged; both with the path.
  explicit SealedSegment(const std::filesystem::path& path);
  ~SealedSegment();
  SealedSegment(const SealedSegment&) = delete;
  SealedSegment& operator=(const SealedSegment&) = delete;

  /// Told of each damaged part, whenever it is asked for.
  std::function<void(const SealedDamage&)> on_damage;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }
  const SealedHeader& header() const { return header_; }
  const SealedDirectory& directory() const { return directory_; }
  /// What the footer says of all bytes before; not checked.
  const Digest& sha256() const { return footer_.sha256; }

  /// By their place in the directory. nullopt: damaged. Throw std::system_error when the disk fails.
  std::optional<Page> page(size_t n);
  std::optional<DictionaryChunk> chunk(size_t n);
  /// All of the segment's notes, in the ledger's order; each is good during the call.
  void for_each_note(const std::function<void(const Record&)>& take);

  /// Bytes of the file, which must have them.
  std::string read(uint64_t offset, size_t bytes) const;

 private:
  std::string read_file(uint64_t offset, size_t bytes) const;
  /// nullopt: not as the checksum says.
  std::optional<std::string> read_part(const SealedDirectory::Part& part) const;
  void tell(std::string what, const SealedDirectory::Part& part) const;

  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  std::string head_, tail_;  ///< the file's ends
  SealedHeader header_;
  SealedFooter footer_;
  SealedDirectory directory_;
  ColumnUnpacker unpacker_;
};

}  // namespace culvert::logging::ledger
