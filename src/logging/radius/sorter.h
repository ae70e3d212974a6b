/// Sorts more items than memory holds: they are gathered, sorted and written to a temporary file in runs, and
/// the runs are merged when they are read. An item is a string of bytes; the order is that of its bytes.
///
/// Memory: `memory` bytes for the items gathered and 32 for each of them, and 256 KiB for each run.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/bytes.h"
#include "logging/radius/file.h"

namespace culvert::logging::radius {

class Sorter {
 public:
  /// The temporary file has no name, and its place in this directory. It is made when memory is full.
  Sorter(std::filesystem::path directory, size_t memory);

  /// Throws std::system_error when the disk is full.
  void add(std::string_view item);
  /// No item is added any more.
  void sort();
  /// The next item in order, good until the next call; nullopt: there is none. After sort().
  std::optional<std::string_view> next();
  uint64_t items() const { return items_; }

 private:
  /// A sorted stretch of the temporary file: blocks of packed items.
  struct Run {
    uint64_t at = 0, end = 0;
    std::string block;
    ledger::ByteReader left{std::string_view()};
    std::string_view item;
  };
  void sort_gathered();
  void write_run();
  bool advance(Run& run);

  std::filesystem::path directory_;
  size_t memory_;
  uint64_t items_ = 0;
  std::string gathered_;
  struct Slot {
    size_t offset, bytes;
  };
  std::vector<Slot> slots_;
  size_t next_slot_ = 0;
  std::optional<File> file_;
  uint64_t file_bytes_ = 0;
  std::vector<Run> runs_;
  std::vector<size_t> heap_;  ///< runs that have an item, the one with the least first
  bool taken_ = false;        ///< the item at the heap's top was handed out
};

}  // namespace culvert::logging::radius
