/// The directory of a ledger: which segments there are, and who writes.
///
/// Thread: any; a Lock belongs to one owner.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::logging::ledger {

struct SegmentFile {
  uint64_t serial = 0;
  bool sealed = false;
  std::filesystem::path path;
  bool operator==(const SegmentFile&) const = default;
};

/// What a file's name says; nullopt: it is no segment's.
std::optional<SegmentFile> parse_name(const std::filesystem::path& path);

/// The segments of a directory by serial number; where one is there sealed and live, the sealed one. Throws
/// std::system_error, with the path, when the directory cannot be read.
std::vector<SegmentFile> list_segments(const std::filesystem::path& directory);

/// The whole of a file. Throws std::system_error, with the path.
std::string read_file(const std::filesystem::path& path);

/// Who writes to a ledger holds its lock. Its file says in which boot of the machine that was, so that the
/// next one can tell a crash of the process from one of the machine, and whether blocks waited for their
/// records then (durability: strict).
class Lock {
 public:
  /// Throws std::runtime_error, with path and remedy, when another process holds it or it cannot be made.
  explicit Lock(const std::filesystem::path& directory, bool strict = false);
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  /// Since whoever held it last took it, the machine was started anew.
  bool rebooted() const { return rebooted_; }
  /// Of whoever held it last.
  bool was_strict() const { return was_strict_; }

 private:
  int fd_ = -1;
  bool rebooted_ = false, was_strict_ = false;
};

}  // namespace culvert::logging::ledger
