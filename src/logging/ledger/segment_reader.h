/// All records of a segment, live or sealed, in the ledger's order; a live one may be growing.
///
/// Memory: that of a LiveStream or of a SealedReader. Belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "logging/ledger/archive.h"
#include "logging/ledger/sealed_reader.h"

namespace culvert::logging::ledger {

/// A part of a segment that cannot be read, or could not be when it was sealed.
struct Loss {
  uint64_t after = 0;   ///< time of the last record before it; of a sealed page, when the segment was opened
  uint64_t events = 0;  ///< how many; 0: not known, or none
  std::string what;     ///< "120 bytes from 4096 on"
};

class SegmentReader {
 public:
  /// `on_loss` may be empty. Throws as open_segment does.
  SegmentReader(const SegmentFile& file, std::function<void(const Loss&)> on_loss);
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  bool sealed() const { return sealed_ != nullptr; }
  uint64_t opened() const { return opened_; }
  uint64_t first_ordinal() const { return first_ordinal_; }
  /// Goes on to the next record. False: there is none, or none yet.
  bool next();
  /// Its body is good until the next call. Ordinal 0: not known.
  const Record& record() const { return sealed_ ? in_order_->record() : live_->record(); }
  /// A live segment has ended: what is no whole batch at its end is a loss.
  void finish();
  /// Of a live segment: bytes read so far; of a sealed one all of them.
  uint64_t at() const { return live_ ? live_->at() : sealed_->size(); }

 private:
  std::function<void(const Loss&)> on_loss_;
  std::unique_ptr<LiveStream> live_;
  std::unique_ptr<SealedSegment> sealed_;
  std::optional<SealedReader> in_order_;
  uint64_t opened_ = 0, first_ordinal_ = 0;
};

}  // namespace culvert::logging::ledger
