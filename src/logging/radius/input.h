/// The content of a detail file, whether it lies there plain or was compressed after its rotation: gzip and
/// zstd, told by their first bytes, not by their names. Others (xz, bzip2) are refused by name, with what to
/// do.
///
/// What comes out of a compressed file is bounded by its reader's patience, not by memory: pieces are handed
/// over as they come.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "logging/radius/file.h"

namespace culvert::logging::radius {

/// What does not change about a file that nobody writes to or replaces.
struct Fingerprint {
  uint64_t device = 0, inode = 0, size = 0;
  uint64_t modified = 0;  ///< ns since the Unix epoch
  bool operator==(const Fingerprint&) const = default;
};

/// Undoes one kind of compression.
class Unpacker {
 public:
  virtual ~Unpacker() = default;
  /// Appends to `out` what some of `packed` unpacks to, and takes that off its front. Throws
  /// std::runtime_error when it is damaged.
  virtual void unpack(std::string_view& packed, std::string& out) = 0;
  /// The compressed data may end here.
  virtual bool complete() const = 0;
};

class Input {
 public:
  /// Throws std::system_error when it cannot be opened, std::runtime_error when it is of a kind that cannot
  /// be read; both with the path.
  explicit Input(const std::filesystem::path& path);
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// As it was when it was opened.
  const Fingerprint& fingerprint() const { return fingerprint_; }
  /// The next piece of the content, good until the next call; empty at its end. Throws likewise.
  std::string_view read();
  /// The next `bytes` of the content; fewer where it ends.
  std::string take(size_t bytes);
  /// Leaves out so many bytes of the content. False: there are fewer.
  bool skip(uint64_t bytes);
  /// Bytes of the file read so far, for showing how far it is.
  uint64_t position() const { return position_; }

 private:
  std::string_view read_raw();
  std::string_view read_piece();
  File file_;
  Fingerprint fingerprint_;
  uint64_t position_ = 0;
  std::string raw_, content_;
  std::string_view left_;     ///< of raw_
  std::string_view pending_;  ///< of what read_piece() gave
  std::unique_ptr<Unpacker> unpacker_;
};

/// Of a file; throws std::system_error when it is not there.
Fingerprint fingerprint_of(const std::filesystem::path& path);

}  // namespace culvert::logging::radius
