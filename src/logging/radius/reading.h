/// Reads a detail file from where the last import left it.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "logging/radius/detail_reader.h"
#include "logging/radius/sources.h"

namespace culvert::logging::radius {

struct FileReading {
  bool unchanged = false;  ///< nothing was read: all in it was read before
  Tally tally;
  uint64_t unfinished = 0;  ///< bytes behind the last whole record
};

/// Hands over the records of a file that `book` does not know yet, and notes there how far it is read. An
/// index among the files of a directory is passed over as unchanged. `on_bytes` is told how much of the file
/// is done. Throws std::runtime_error (std::system_error where the system refuses) with the path, for a file
/// that cannot be read to its end: then records may have been handed over, and the book has no note of it.
FileReading read_new(const std::filesystem::path& path, SourceBook& book,
                     const std::function<void(const Record&)>& on_record,
                     const std::function<void(uint64_t done)>& on_bytes);

}  // namespace culvert::logging::radius
