/// The ledger's entries for an exporter, out of its files: as far as they are on the disk, and on and on
/// while culvertd writes. A segment that is damaged or missing is passed over; `culvert log verify` tells of
/// it.
///
/// Belongs to one exporter and its thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "logging/export/entry_source.h"
#include "logging/ledger/archive_reader.h"

namespace culvert::logging {

class LedgerSource final : public EntrySource {
 public:
  /// `synced`: the ordinal that the next event will have; those below are on the disk. It lives longer.
  /// nullptr: nobody writes, and what can be read is what there is.
  explicit LedgerSource(const std::filesystem::path& directory, const std::atomic<uint64_t>* synced = nullptr)
      : directory_(directory), synced_(synced), reader_(directory, synced) {}

  bool next(Entry& e) override { return reader_.next(e); }
  void seek(uint64_t ordinal) override { reader_.seek(ordinal); }
  uint64_t end() override { return synced_ != nullptr ? synced_->load() : ledger::next_ordinal(directory_); }

 private:
  std::filesystem::path directory_;
  const std::atomic<uint64_t>* synced_;
  ledger::ArchiveReader reader_;
};

}  // namespace culvert::logging
