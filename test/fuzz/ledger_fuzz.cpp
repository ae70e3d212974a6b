/// libFuzzer target: any bytes as a live segment of the ledger. They are read or told as damage; nothing
/// crashes, hangs or goes back in time.
///
/// The first byte says what the others are: a file as it is, or payloads of batches, each behind a length of
/// two bytes, whose headers and checksums are made right, so that what is in them is reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "logging/ledger/crc32c.h"
#include "logging/ledger/state.h"

using namespace culvert::logging::ledger;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr LiveHeader kHeader{.serial = 1, .opened = 1'700'000'000'000, .first_ordinal = 1000};

/// Events of a segment.
uint64_t events_of(std::string_view bytes) {
  LiveReader reader(bytes);
  uint64_t end = kHeader.first_ordinal;
  while (reader.next()) end = reader.record().ordinal + (reader.record().event() ? 1 : 0);
  return end - kHeader.first_ordinal;
}

/// A segment of these payloads.
std::string segment_of(std::string_view input) {
  std::string bytes(kLiveMagic), tail;
  ByteWriter numbers(tail);
  numbers.fixed(kHeader.serial);
  numbers.fixed(kHeader.opened);
  numbers.fixed(kHeader.first_ordinal);
  ByteWriter out(bytes);
  out.fixed(kVersion);
  out.fixed(static_cast<uint16_t>(kLiveHeaderBytes));
  out.fixed(crc32c(tail));
  out.bytes(tail);
  ByteReader in(input);
  for (unsigned batches = 0; !in.done() && batches < 64; batches++) {
    const auto size = in.fixed<uint16_t>();
    const std::string_view payload = in.bytes(std::min<size_t>(size % 512, in.left()));
    // Of every fourth batch the number of events before it is more than the records are.
    const uint64_t events = events_of(bytes) + ((size & 0xc000) == 0xc000 ? 1 : 0);
    const std::string counts{static_cast<char>(payload.size()), static_cast<char>(payload.size() >> 8), 0,
                             static_cast<char>(events),         static_cast<char>(events >> 8),         0};
    std::string checked;
    ByteWriter(checked).fixed(kHeader.serial);
    checked += counts;
    out.bytes(kBatchMark);
    out.bytes(counts);
    out.fixed(crc32c(payload, crc32c(checked)));
    out.bytes(payload);
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string made = data[0] % 2 == 0 ? std::string(input) : segment_of(input);
  LiveReader reader(made);
  require(reader.header().has_value() != !reader.fault().empty());
  if (!reader.header()) return 0;

  State state(reader.header()->opened);
  uint64_t time = reader.header()->opened, ordinal = reader.header()->first_ordinal, end = 0;
  bool gap = false;
  reader.on_damage = [&](const Damage& d) {
    require(d.offset >= end && d.bytes <= made.size() - d.offset);
    end = d.offset + d.bytes;
    gap = true;
    state.miss();
  };
  while (reader.next()) {
    const Record& r = reader.record();
    require(r.time >= time && (gap ? r.ordinal >= ordinal : r.ordinal == ordinal));
    require(r.worker < kMaxSources && r.reason < 32 && reader.whole() <= made.size());
    time = r.time;
    ordinal = r.ordinal + (r.event() ? 1 : 0);
    gap = false;
    state.apply(r);
  }
  state.finish();
  for (const auto& [block, holder] : state.held())
    if (const AddressRange* range = state.range_of_block(block))
      require(range->has(range->address_of(block)) &&
              range->block_of(range->address_of(block), range->first_port_of(block)) == block);
  return 0;
}
