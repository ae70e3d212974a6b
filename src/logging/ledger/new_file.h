/// A file that gets its name when all of it is on the disk: until then it is called *.new, and whoever finds
/// the name finds the whole file. One that was not finished goes away with this object; after a crash, what
/// is left of it is nobody's, and the next of the same name overwrites it.
///
/// Belongs to one thread.
#pragma once

#include <filesystem>
#include <string_view>

namespace culvert::logging::ledger {

class NewFile {
 public:
  /// All throw std::system_error, with the path in its text.
  explicit NewFile(const std::filesystem::path& path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void append(std::string_view bytes);
  /// Gives it its name, name and content synced. Nothing follows. A file that had the name is replaced.
  void finish();

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_, unfinished_;
  int fd_ = -1;
  bool finished_ = false;
};

}  // namespace culvert::logging::ledger
