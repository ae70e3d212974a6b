/// How far an export is, in a small file of text, so that a start goes on where the run before ended:
///
///     culvert-export 1
///     confirmed 4711      events below have arrived, as far as anybody knows
///     sent 4802           events below were sent once at least
///
/// It is replaced whole: after any crash there is the old one or the new one.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace culvert::logging {

struct ExportPosition {
  uint64_t confirmed = 0, sent = 0;
  bool operator==(const ExportPosition&) const = default;
};

class PositionFile {
 public:
  explicit PositionFile(std::string path) : path_(std::move(path)) {}

  struct None {};
  struct Unreadable {
    std::string why;  ///< with the path
  };
  std::variant<ExportPosition, None, Unreadable> load() const;
  /// Empty when it is on the disk, else why not, with the path. Missing directories are made.
  std::string save(const ExportPosition& position) const;

 private:
  std::string path_;
};

}  // namespace culvert::logging
