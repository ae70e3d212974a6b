/// A file of the index or of its making: reads and writes at offsets that fail with the path in their text.
///
/// A file without a name (what is sorted, and an index that is used once) goes away with its descriptor, also
/// when the process is killed.
///
/// Belongs to one thread; reading is for any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace culvert::logging::radius {

class File {
 public:
  /// Opens a file to be read. All constructors throw std::system_error, with the path and what could not be
  /// done.
  static File open(const std::filesystem::path& path);
  /// Makes a file to be written and read, or empties it; only its owner and his group may read it.
  static File create(const std::filesystem::path& path);
  /// Makes a file without a name on the file system of that directory.
  static File unnamed(const std::filesystem::path& directory);

  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;

  /// Throws std::system_error when it cannot be read, std::runtime_error when it is shorter.
  std::string read(uint64_t offset, size_t bytes) const;
  /// Throws std::system_error.
  void write(uint64_t offset, std::string_view bytes);
  void sync();
  uint64_t size() const;

  int descriptor() const { return fd_; }
  const std::filesystem::path& path() const { return path_; }
  [[noreturn]] void fail(const char* what) const;

 private:
  File(int fd, std::filesystem::path path);
  std::filesystem::path path_;
  int fd_ = -1;
};

/// Brings a name in this directory to the disk. Throws std::system_error.
void sync_directory(const std::filesystem::path& directory);

}  // namespace culvert::logging::radius
