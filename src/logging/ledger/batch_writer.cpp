#include "logging/ledger/batch_writer.h"

#include <algorithm>

#include "logging/ledger/crc32c.h"

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

BatchWriter::BatchWriter(const LiveHeader& segment, uint32_t events)
    : segment_(segment), events_(events), events_before_(events), last_time_(segment.opened) {}

ByteWriter BatchWriter::begin(uint64_t time, uint8_t worker, uint8_t head) {
  ByteWriter out(payload_);
  if (payload_.empty()) {
    out.varint(last_time_ - segment_.opened);
    worker_ = 0;
  }
  if (worker != worker_) {
    out.byte(static_cast<uint8_t>(kSource | worker));
    worker_ = worker;
  }
  time = std::max(time, last_time_);
  out.byte(head);
  out.varint(time - last_time_);
  last_time_ = time;
  return out;
}

void BatchWriter::allocated(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block,
                            uint32_t subscriber) {
  ByteWriter out = begin(time, worker, static_cast<uint8_t>(kAllocated | reason));
  out.varint(block);
  out.varint(subscriber);
  events_++;
}

void BatchWriter::released(uint64_t time, uint8_t worker, uint8_t reason, uint64_t block, uint16_t peak) {
  ByteWriter out = begin(time, worker, static_cast<uint8_t>(kReleased | reason));
  out.varint(block);
  out.varint(peak);
  events_++;
}

void BatchWriter::add(uint64_t time, uint8_t worker, Type type, std::string_view body) {
  // Notes are no worker's: where the source stands is nothing to them.
  ByteWriter out = begin(time, is_event(type) ? worker : worker_,
                         static_cast<uint8_t>(kTyped | static_cast<uint8_t>(type)));
  out.text(body);
  if (is_event(type)) events_++;
}

std::string_view BatchWriter::take() {
  std::string checked;
  ByteWriter numbers(checked);
  numbers.fixed(segment_.serial);
  const auto fixed24 = [&](size_t n) {
    numbers.fixed(static_cast<uint16_t>(n));
    numbers.byte(static_cast<uint8_t>(n >> 16));
  };
  fixed24(payload_.size());
  fixed24(events_before_);
  batch_.assign(kBatchMark);
  batch_.append(checked, 8);
  ByteWriter(batch_).fixed(crc32c(payload_, crc32c(checked)));
  batch_ += payload_;
  payload_.clear();
  events_before_ = events_;
  return batch_;
}

}  // namespace culvert::logging::ledger
