/// Batches of a live segment: records are put in, a batch comes out, ready to be appended to the file. All
/// that the bytes depend on (the time of the last record, the number of events before) is kept here, so a
/// batch is made once, in the order of the file.
///
/// A record that the format has no room for is refused, by std::length_error, and nothing of it is kept: one
/// that makes its batch longer than kMaxBatchBytes, or an event after the segment's last (kMaxSegmentEvents).
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
  /// Of a new segment.
  explicit BatchWriter(const LiveHeader& segment) : BatchWriter(segment, 0, segment.opened) {}
  /// Of one that is to go on. `events`: those with an ordinal that it has already; `last_time`: of its last
  /// record, or its opening where it has none.
  BatchWriter(const LiveHeader& segment, uint32_t events, uint64_t last_time);

  /// Records, in the order of their times; a time before the last record's becomes that one's. `worker`:
  /// below kMaxSources. `reason`: 0–31. Throws std::length_error.
  void allocated(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block, uint32_t subscriber);
  void released(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block, uint16_t peak);
  /// Any other; `worker` matters for those events that count in a worker's sequence. Throws likewise.
  void add(uint64_t time, uint8_t worker, Type type, std::string_view body);

  /// No record since the last take().
  bool empty() const { return payload_.empty(); }
  /// Whether it is time for take(): another record, with a body of so many bytes, may be too much for one
  /// batch.
  bool full(size_t body = 0) const { return !empty() && payload_.size() + body > kMaxBatchBytes / 2; }
  /// Events of the segment so far, those of this batch included.
  uint32_t events() const { return events_; }
  /// The ordinal that the next event gets.
  uint64_t next_ordinal() const { return segment_.first_ordinal + events_; }
  /// Time of the last record, or the segment's opening.
  uint64_t last_time() const { return last_time_; }

  /// The batch of all records since the last call, one at least. The bytes are good until the next call.
  std::string_view take();

 private:
  /// What all records begin with. `head`: the first byte; `rest`: bytes that follow.
  ByteWriter begin(uint64_t time, uint8_t worker, uint8_t head, size_t rest);

  LiveHeader segment_;
  uint32_t events_, events_before_;
  uint64_t last_time_;
  uint8_t worker_ = 0;  ///< that a reader of the payload takes the next record for
  std::string payload_, batch_;
};

}  // namespace culvert::logging::ledger
