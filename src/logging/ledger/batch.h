/// The bytes of a live segment's batch (docs/ledger.md): a header of 12 bytes, then the payload. The header's
/// checksum holds for one place in one segment only, so that no old or copied batch passes for one of it.
///
/// Functions of values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "logging/ledger/bytes.h"
#include "logging/ledger/crc32c.h"
#include "logging/ledger/format.h"

namespace culvert::logging::ledger {

/// The checksum in a batch's header: of the payload, and of all else that the header says. `serial`: the
/// segment's. `events`: those that the segment has before this batch.
inline uint32_t batch_checksum(uint64_t serial, uint32_t events, std::string_view payload) {
  std::string said;
  ByteWriter out(said);
  out.fixed(serial);
  out.fixed24(static_cast<uint32_t>(payload.size()));
  out.fixed24(events);
  return crc32c(payload, crc32c(said));
}

/// The batch of a payload of 1 to kMaxBatchBytes. `events`: kMaxSegmentEvents at most.
inline std::string encode_batch(uint64_t serial, uint32_t events, std::string_view payload) {
  std::string batch;
  batch.reserve(kBatchHeaderBytes + payload.size());
  ByteWriter out(batch);
  out.bytes(kBatchMark);
  out.fixed24(static_cast<uint32_t>(payload.size()));
  out.fixed24(events);
  out.fixed(batch_checksum(serial, events, payload));
  out.bytes(payload);
  return batch;
}

}  // namespace culvert::logging::ledger
