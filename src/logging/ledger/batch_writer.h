/// Batches of a live segment: records are put in, a batch comes out, ready to be appended to the file. All
/// that the bytes depend on (the time of the last record, the number of events before) is kept here, so a
/// batch is made once, in the order of the file.
///
/// Thread: the log thread.
#pragma once

#include <string>
#include <string_view>

#include "logging/ledger/bytes.h"
#include "logging/ledger/format.h"

namespace culvert::logging::ledger {

/// The first bytes of a live segment.
std::string encode(const LiveHeader& header);

class BatchWriter {
 public:
  /// `events`: those with an ordinal that the segment has already.
  explicit BatchWriter(const LiveHeader& segment, uint32_t events = 0);

  /// Records, in the order of their times; a time before the last record's becomes that one's. `worker`:
  /// below kMaxSources. `reason`: 0–31.
  void allocated(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block, uint32_t subscriber);
  void released(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block, uint16_t peak);
  /// Any other; `worker` matters for those events that count in a worker's sequence.
  void add(uint64_t time, uint8_t worker, Type type, std::string_view body);

  /// No record since the last take().
  bool empty() const { return payload_.empty(); }
  /// Whether it is time for take(): another record may be too much for one batch.
  bool full() const { return payload_.size() > kMaxBatchBytes / 2; }
  /// Events of the segment so far, those of this batch included.
  uint32_t events() const { return events_; }
  /// The ordinal that the next event gets.
  uint64_t next_ordinal() const { return segment_.first_ordinal + events_; }
  /// Time of the last record, or the segment's opening.
  uint64_t last_time() const { return last_time_; }

  /// The batch of all records since the last call, one at least. The bytes are good until the next call.
  std::string_view take();

 private:
  /// What all records begin with; `head`: the first byte.
  ByteWriter begin(uint64_t time, uint8_t worker, uint8_t head);

  LiveHeader segment_;
  uint32_t events_, events_before_;
  uint64_t last_time_;
  uint8_t worker_ = 0;  ///< that a reader of the payload takes the next record for
  std::string payload_, batch_;
};

}  // namespace culvert::logging::ledger
