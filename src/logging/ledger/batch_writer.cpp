#include "logging/ledger/batch_writer.h"

#include <algorithm>
#include <stdexcept>

#include "logging/ledger/batch.h"

namespace culvert::logging::ledger {

std::string encode(const LiveHeader& header) {
  std::string tail;
  ByteWriter numbers(tail);
  numbers.fixed(header.serial);
  numbers.fixed(header.opened);
  numbers.fixed(header.first_ordinal);
  std::string bytes(kLiveMagic);
  ByteWriter out(bytes);
  out.fixed(kVersion);
  out.fixed(static_cast<uint16_t>(kLiveHeaderBytes));
  out.fixed(crc32c(tail));
  out.bytes(tail);
  return bytes;
}

BatchWriter::BatchWriter(const LiveHeader& segment, uint32_t events, uint64_t last_time)
    : segment_(segment), events_(events), events_before_(events), last_time_(last_time) {}

ByteWriter BatchWriter::begin(uint64_t time, uint8_t worker, uint8_t head, size_t rest) {
  const bool event = head < kTyped || is_event(static_cast<Type>(head - kTyped));
  if (!event) worker = worker_;  // notes are no worker's: where the source stands is nothing to them
  time = std::max(time, last_time_);
  const uint64_t base = last_time_ - segment_.opened;
  const size_t before = (payload_.empty() ? varint_size(base) : 0) + (worker != worker_ ? 1 : 0);
  if (payload_.size() + before + 1 + varint_size(time - last_time_) + rest > kMaxBatchBytes)
    throw std::length_error("a batch of the ledger would be longer than its format allows");
  if (event && events_ >= kMaxSegmentEvents)
    throw std::length_error("a segment of the ledger would have more events than its format allows");

  ByteWriter out(payload_);
  if (payload_.empty()) out.varint(base);
  if (worker != worker_) out.byte(static_cast<uint8_t>(kSource | worker));
  out.byte(head);
  out.varint(time - last_time_);
  worker_ = worker;
  last_time_ = time;
  if (event) events_++;
  return out;
}

void BatchWriter::allocated(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block,
                            uint32_t subscriber) {
  ByteWriter out = begin(time, worker, static_cast<uint8_t>(kAllocated | reason),
                         varint_size(block) + varint_size(subscriber));
  out.varint(block);
  out.varint(subscriber);
}

void BatchWriter::released(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block, uint16_t peak) {
  ByteWriter out =
      begin(time, worker, static_cast<uint8_t>(kReleased | reason), varint_size(block) + varint_size(peak));
  out.varint(block);
  out.varint(peak);
}

void BatchWriter::add(uint64_t time, uint8_t worker, Type type, std::string_view body) {
  ByteWriter out = begin(time, worker, static_cast<uint8_t>(kTyped | static_cast<uint8_t>(type)),
                         varint_size(body.size()) + body.size());
  out.text(body);
}

std::string_view BatchWriter::take() {
  batch_ = encode_batch(segment_.serial, events_before_, payload_);
  payload_.clear();
  worker_ = 0;
  events_before_ = events_;
  return batch_;
}

}  // namespace culvert::logging::ledger
