/// libFuzzer target: any bytes as a live segment of the ledger. They are read or told as damage; nothing
/// crashes, hangs or goes back in time. What then holds is put into the checkpoint of a next segment, which
/// says the same, without a fault.
///
/// The first byte says what the others are: a file as it is, or payloads of batches, each behind a length of
/// two bytes, whose headers and checksums are made right, so that what is in them is reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "logging/ledger/batch.h"
#include "logging/ledger/batch_writer.h"
#include "logging/ledger/checkpoint.h"

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
  std::string bytes = encode(kHeader);
  ByteReader in(input);
  for (unsigned batches = 0; !in.done() && batches < 64; batches++) {
    const auto size = in.fixed<uint16_t>();
    const std::string_view payload = in.bytes(std::min<size_t>(size % 512, in.left()));
    // Of every fourth batch the number of events before it is more than the records are.
    const uint64_t events = events_of(bytes) + ((size & 0xc000) == 0xc000 ? 1 : 0);
    bytes += encode_batch(kHeader.serial, static_cast<uint32_t>(events), payload);
  }
  return bytes;
}

/// Whether `after`, read from the checkpoint of `before`, says the same under its own numbers.
void require_same(const State& before, const State& after) {
  const auto block_of = [&](uint64_t block) {
    const AddressRange* range = before.range_of_block(block);
    require(range != nullptr);
    const auto address = range->address_of(block);
    const uint16_t port = range->first_port_of(block);
    require(range->has(address) && range->block_of(address, port) == block);
    const AddressRange* other = after.range_of(address);
    require(other != nullptr && other->instance == range->instance && other->set_size == range->set_size);
    return other->block_of(address, port).value();
  };
  const auto require_same_one = [&](uint64_t old, uint64_t now) {
    SubscriberNote who{.length = 0};  // whose record damage took
    if (const SubscriberNote* known = before.subscribers().find(old)) who = *known;
    who.number = now;
    require(*after.subscribers().find(now) == who);
  };
  require(after.held().size() == before.held().size());
  for (const auto& [block, holder] : before.held()) {
    State::Holder other = after.held().at(block_of(block));
    require_same_one(holder.subscriber, other.subscriber);
    other.subscriber = holder.subscriber;
    require(other == holder);
  }
  require(after.resting().size() == before.resting().size());
  for (const auto& [block, since] : before.resting()) require(after.resting().at(block_of(block)) == since);
  require(after.mappings().size() == before.mappings().size());
  for (const auto& [endpoint, mapping] : before.mappings()) {
    State::Mapping other = after.mappings().at(endpoint);
    require_same_one(mapping.binding.subscriber, other.binding.subscriber);
    other.binding.subscriber = mapping.binding.subscriber;
    require(other == mapping);
  }
  require(after.ranges().size() == before.ranges().size());
  require(after.instances() == before.instances() && after.sources() == before.sources());
  require(after.clock_ahead() == before.clock_ahead() && after.configuration() == before.configuration());
}

/// The next segment, opened at this time, begins with what held before it.
void require_checkpoint(const State& before, uint64_t opened) {
  const LiveHeader next{.serial = 2, .opened = opened, .first_ordinal = 1};
  const std::string bytes = begin_segment(next, before, 0);
  const Replayed after = replay(
      bytes, [](const Damage&) { require(false); },
      [](const Record&, const std::string&) { require(false); });
  require(after.header == next && after.whole == bytes.size() && after.events == 0);
  require(after.state.checked() && after.state.complete() && !after.state.ended());
  require_same(before, after.state);
  for (uint64_t i = 0; i < after.state.subscribers().size(); i++)
    require(after.state.subscribers().contains(i));
  require(begin_segment(next, after.state, 0) == bytes);
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
  require_checkpoint(state, time);
  return 0;
}
