/// The file of the live segment: batches are appended whole, or not at all.
///
/// A file gets its name when its beginning (header and checkpoint) is on the disk, name included, so whoever
/// finds a name finds a segment. What an append could not write whole is taken off again, so that the next
/// one follows a whole batch. When fdatasync(2) fails, nobody knows what of the file is on the disk, and
/// trying again would say that all is (the kernel forgets the failure): such a file is broken() for good, and
/// its batches are written to another.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "logging/ledger/format.h"

namespace culvert::logging::ledger {

/// "00000042-20261122T000000Z.live"; `ending` with its dot.
std::string file_name(uint64_t serial, uint64_t opened, std::string_view ending);

class LiveFile {
 public:
  /// Makes the segment's file, with `beginning` in it. Throws std::system_error, with the path in its text;
  /// then there is no file of the segment's name.
  LiveFile(const std::filesystem::path& directory, const LiveHeader& header, std::string_view beginning);
  /// Opens a segment that a process left, to append to its first `whole` bytes. What follows them goes into a
  /// file of the same name that ends in .cut, or .cut2, .cut3 and so on where that is there, and off this
  /// one. Throws likewise, also where there are fewer bytes; then the file is as it was.
  LiveFile(const std::filesystem::path& path, uint64_t whole);
  ~LiveFile();
  LiveFile(LiveFile&& other) noexcept;
  LiveFile& operator=(LiveFile&&) = delete;

  /// False: nothing was written; error() says why. On a full disk it may be tried again.
  bool append(std::string_view batch);
  /// Takes off what is behind these bytes, if that can be done: nobody knows whether it is on the disk, and
  /// it is written again elsewhere.
  void forget_behind(uint64_t whole);
  /// Brings all that was appended to the disk. False: error() says why, and the file is broken().
  bool sync();

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }
  /// errno of what failed last.
  int error() const { return error_; }
  /// Nothing can be appended any more.
  bool broken() const { return broken_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  int error_ = 0;
  bool broken_ = false;
};

}  // namespace culvert::logging::ledger
