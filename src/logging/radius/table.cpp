#include "logging/radius/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "logging/ledger/bytes.h"
#include "logging/ledger/crc32c.h"
#include "logging/radius/packed.h"

namespace culvert::logging::radius {
namespace {

/// Of the directory.
constexpr size_t kLineBytes = 56;
constexpr int kLevel = 3;

}  // namespace

DamagedIndex::DamagedIndex(const File& file)
    : std::runtime_error(
          fmt::format("{}: is damaged; remove it and import the detail files again", file.path().string())) {}

void TableWriter::add(const Key& key, std::string_view row) {
  if (block_.size() >= kBlockBytes) write_block();
  if (block_.empty()) first_ = key;
  block_.append(row);
}

void TableWriter::write_block() {
  const std::string frame = pack(block_, kLevel);
  file_.write(offset_, frame);
  std::string line;
  ledger::ByteWriter out(line);
  out.bytes(first_.data(), first_.size());
  out.fixed(offset_);
  out.fixed(static_cast<uint32_t>(frame.size()));
  out.fixed(static_cast<uint32_t>(block_.size()));
  out.fixed(ledger::crc32c(frame));
  out.fixed(ledger::crc32c(line));
  directory_.append(line);
  offset_ += frame.size();
  blocks_++;
  block_.clear();
}

TablePlace TableWriter::finish() {
  if (!block_.empty()) write_block();
  const TablePlace place{offset_, blocks_};
  file_.write(offset_, directory_);
  offset_ += directory_.size();
  return place;
}

Table::Table(const File& file, uint64_t file_bytes, const TablePlace& place)
    : file_(&file), file_bytes_(file_bytes), place_(place) {
  if (place.directory > file_bytes || place.blocks > (file_bytes - place.directory) / kLineBytes)
    throw DamagedIndex(file);
}

Table::Line Table::line(uint64_t number) const {
  const std::string bytes = file_->read(place_.directory + number * kLineBytes, kLineBytes);
  ledger::ByteReader in(bytes);
  Line line;
  const std::string_view key = in.bytes(line.first.size());
  std::copy(key.begin(), key.end(), line.first.begin());
  line.offset = in.fixed<uint64_t>();
  line.bytes = in.fixed<uint32_t>();
  line.unpacked = in.fixed<uint32_t>();
  line.crc = in.fixed<uint32_t>();
  const std::string_view checked = std::string_view(bytes).substr(0, kLineBytes - sizeof(uint32_t));
  if (in.fixed<uint32_t>() != ledger::crc32c(checked)) throw DamagedIndex(*file_);
  return line;
}

Key Table::first_key(uint64_t number) const { return line(number).first; }

std::string Table::block(uint64_t number) const {
  const Line l = line(number);
  if (l.offset > file_bytes_ || l.bytes > file_bytes_ - l.offset || l.bytes > 2 * kMaxBlock)
    throw DamagedIndex(*file_);
  const std::string frame = file_->read(l.offset, l.bytes);
  auto rows = ledger::crc32c(frame) == l.crc ? unpack(frame, l.unpacked) : std::nullopt;
  if (!rows) throw DamagedIndex(*file_);
  return std::move(*rows);
}

uint64_t Table::last_below(const Key& key, bool or_equal) const {
  uint64_t low = 0, high = place_.blocks;  // the first block that is not below lies in [low, high]
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    const Key first = first_key(middle);
    if (first < key || (or_equal && first == key))
      low = middle + 1;
    else
      high = middle;
  }
  return low == 0 ? 0 : low - 1;
}

}  // namespace culvert::logging::radius
