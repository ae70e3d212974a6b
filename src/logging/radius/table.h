/// A table in the index: rows, sorted, in blocks that are packed and have a checksum each, and behind them a
/// directory with the key of each block's first row. So one row of a hundred million is found with some
/// twenty reads of 56 bytes and one of a block.
///
/// A TableWriter belongs to one thread; a Table is a value, for any.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "logging/radius/file.h"
#include "logging/radius/index_format.h"

namespace culvert::logging::radius {

/// Rows of a block, before it is packed: about so many bytes.
inline constexpr size_t kBlockBytes = 16384;

/// The index is not as it was written; what() has the path and what to do.
struct DamagedIndex : std::runtime_error {
  explicit DamagedIndex(const File& file);
};

class TableWriter {
 public:
  /// Writes from `offset` on; both live longer.
  TableWriter(File& file, uint64_t& offset) : file_(file), offset_(offset) {}

  /// `row` is appended to the current block, or begins one when that is full.
  void add(const Key& key, std::string_view row);
  /// The row to be added begins a block: what it means does not depend on those before it.
  bool begins_block() const { return block_.empty() || block_.size() >= kBlockBytes; }
  /// Writes what is left, and the directory.
  TablePlace finish();

 private:
  void write_block();

  File& file_;
  uint64_t& offset_;
  Key first_{};
  std::string block_, directory_;
  uint64_t blocks_ = 0;
};

class Table {
 public:
  /// Throws DamagedIndex where it cannot be in this file. `file` lives longer.
  Table(const File& file, uint64_t file_bytes, const TablePlace& place);

  uint64_t blocks() const { return place_.blocks; }
  /// The rows of a block. This and the others throw DamagedIndex where the checksum is wrong.
  std::string block(uint64_t number) const;
  Key first_key(uint64_t number) const;
  /// The last block whose first key is below `key`, or equal to it (`or_equal`); 0 where there is none.
  uint64_t last_below(const Key& key, bool or_equal) const;

 private:
  struct Line {
    Key first;
    uint64_t offset = 0;
    uint32_t bytes = 0, unpacked = 0, crc = 0;
  };
  Line line(uint64_t number) const;

  const File* file_;
  uint64_t file_bytes_;
  TablePlace place_;
};

}  // namespace culvert::logging::radius
