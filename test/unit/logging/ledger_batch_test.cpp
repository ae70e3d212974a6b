// The batches of a live segment (docs/ledger.md): what is written is read, and what is damaged is told.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <stdexcept>
#include <vector>

#include "logging/ledger/batch.h"
#include "logging/ledger/batch_writer.h"
#include "logging/ledger/live_reader.h"

using namespace culvert::logging::ledger;

namespace {

/// A record as a test keeps it: with a body of its own.
struct Kept {
  Record record;
  std::string body;
  explicit Kept(const Record& r) : record(r), body(r.body) { record.body = {}; }
  bool operator==(const Kept&) const = default;
};

struct Read {
  std::vector<Kept> records;
  std::vector<Damage> damage;
  uint64_t whole = 0;
};

Read read(std::string_view bytes) {
  Read all;
  LiveReader reader(bytes);
  REQUIRE(reader.fault().empty());
  reader.on_damage = [&](const Damage& d) { all.damage.push_back(d); };
  while (reader.next()) all.records.emplace_back(reader.record());
  all.whole = reader.whole();
  return all;
}

const LiveHeader kHeader{.serial = 7, .opened = 1'000'000, .first_ordinal = 5000};

/// Three batches: 3 events, a note, 2 events.
std::string three_batches() {
  std::string bytes = encode(kHeader);
  BatchWriter out(kHeader);
  out.allocated(1'000'010, 0, 1, 300, 2);
  out.allocated(1'000'010, 3, 2, 70'000, 4'000'000);
  out.released(1'000'500, 0, 4, 300, 17);
  bytes += out.take();
  out.add(1'000'600, 0, Type::clock, "x");
  bytes += out.take();
  out.add(1'000'700, 3, Type::refused, "body");
  out.released(1'000'690, 3, 5, 70'000, 512);
  bytes += out.take();
  return bytes;
}

/// A payload: how long after the opening its times begin, and records that are there as bytes.
std::string payload(uint64_t base, std::string_view records = {}) {
  std::string bytes;
  ByteWriter out(bytes);
  out.varint(base);
  out.bytes(records);
  return bytes;
}

/// 1 ms later, block 5 is allocated to subscriber 6.
const std::string kAllocation{'\1', '\1', '\5', '\6'};

}  // namespace

TEST_CASE("The ledger's numbers come back, and what is cut off is bad and zero", "[ledger]") {
  CHECK(rc::check([] {
    // As many bits as can be: all sizes.
    const auto number = *rc::gen::arbitrary<uint64_t>() >> *rc::gen::inRange(0, 64);
    std::string bytes;
    ByteWriter out(bytes);
    out.varint(number);
    RC_ASSERT(bytes.size() == varint_size(number));
    out.fixed24(number & 0xffffff);
    out.fixed(number);
    ByteReader in(bytes);
    RC_ASSERT(in.varint() == number);
    RC_ASSERT(in.fixed24() == (number & 0xffffff));
    RC_ASSERT(in.fixed<uint64_t>() == number);
    RC_ASSERT(in.good());
    RC_ASSERT(in.done());
    ByteReader cut(std::string_view(bytes).substr(bytes.size() - 2));
    RC_ASSERT(cut.fixed24() == 0u);
    RC_ASSERT(!cut.good());
  }));
}

TEST_CASE("CRC32C is that of RFC 3720 B.4, whole or in pieces", "[ledger]") {
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c("56789", crc32c("1234")) == 0xe3069283);
}

TEST_CASE("A live segment's records come back with their times, ordinals and workers", "[ledger]") {
  const Read all = read(three_batches());
  CHECK(all.damage.empty());
  REQUIRE(all.records.size() == 6);
  CHECK(all.records[0].record == Record{.kind = Record::Kind::allocated,
                                        .reason = 1,
                                        .time = 1'000'010,
                                        .ordinal = 5000,
                                        .block = 300,
                                        .subscriber = 2});
  CHECK(all.records[1].record == Record{.kind = Record::Kind::allocated,
                                        .worker = 3,
                                        .reason = 2,
                                        .time = 1'000'010,
                                        .ordinal = 5001,
                                        .block = 70'000,
                                        .subscriber = 4'000'000});
  CHECK(all.records[2].record == Record{.kind = Record::Kind::released,
                                        .reason = 4,
                                        .time = 1'000'500,
                                        .ordinal = 5002,
                                        .block = 300,
                                        .peak = 17});
  CHECK(all.records[3].record.type == Type::clock);
  CHECK(all.records[3].record.ordinal == 5003);
  CHECK(all.records[3].body == "x");
  CHECK(all.records[4].record.worker == 3);
  CHECK(all.records[4].record.ordinal == 5003);
  // Time never goes back.
  CHECK(all.records[5].record.time == 1'000'700);
  CHECK(all.records[5].record.ordinal == 5004);
}

TEST_CASE("A bit flipped anywhere in a live segment is damage, and says how many events it took",
          "[ledger]") {
  const std::string bytes = three_batches();
  const Read good = read(bytes);
  for (size_t bit = 0; bit < 8 * bytes.size(); bit++) {
    std::string bad = bytes;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    if (bit / 8 < kLiveHeaderBytes) {
      CHECK_FALSE(LiveReader(bad).header());
      continue;
    }
    const Read all = read(bad);
    REQUIRE(all.damage.size() == 1);
    const Damage& d = all.damage[0];
    CHECK(d.offset <= bit / 8);
    CHECK(bit / 8 < d.offset + d.bytes);
    // What is left is what was there, with the same ordinals.
    for (const Kept& k : all.records)
      CHECK(std::find(good.records.begin(), good.records.end(), k) != good.records.end());
    size_t events = 0, good_events = 0;
    for (const Kept& k : all.records) events += k.record.event();
    for (const Kept& k : good.records) good_events += k.record.event();
    if (!d.at_end) CHECK(events + d.events == good_events);
  }
}

TEST_CASE("A live segment that is cut off anywhere ends with its last whole batch", "[ledger]") {
  const std::string bytes = three_batches();
  const Read good = read(bytes);
  for (size_t size = kLiveHeaderBytes; size < bytes.size(); size++) {
    const Read all = read(std::string_view(bytes).substr(0, size));
    REQUIRE(all.records.size() < good.records.size());
    CHECK(std::equal(all.records.begin(), all.records.end(), good.records.begin()));
    if (all.whole == size) {
      CHECK(all.damage.empty());
    } else {
      REQUIRE(all.damage.size() == 1);
      CHECK(all.damage[0].at_end);
      CHECK(all.damage[0].offset == (all.records.empty() ? kLiveHeaderBytes : all.whole));
      CHECK(all.damage[0].offset + all.damage[0].bytes == size);
    }
  }
}

TEST_CASE("A batch of another segment is no batch of this one", "[ledger]") {
  LiveHeader other = kHeader;
  other.serial++;
  BatchWriter out(other);
  out.allocated(1'000'010, 0, 1, 1, 1);
  const Read all = read(three_batches() + std::string(out.take()));
  CHECK(all.records.size() == 6);
  REQUIRE(all.damage.size() == 1);
  CHECK(all.damage[0].at_end);
}

TEST_CASE("A writer goes on with a segment where another one ended", "[ledger]") {
  BatchWriter first(kHeader);
  first.allocated(1'000'500, 0, 1, 5, 6);
  std::string bytes = encode(kHeader) + std::string(first.take());
  BatchWriter second(kHeader, first.events(), first.last_time());
  CHECK(second.last_time() == 1'000'500);
  CHECK(second.next_ordinal() == 5001);
  second.released(1'000'400, 0, 4, 5, 1);
  second.released(1'000'600, 0, 4, 6, 1);
  bytes += second.take();
  const Read all = read(bytes);
  CHECK(all.damage.empty());
  REQUIRE(all.records.size() == 3);
  CHECK(all.records[1].record.time == 1'000'500);
  CHECK(all.records[2].record.time == 1'000'600);
  CHECK(all.records[2].record.ordinal == 5002);
}

TEST_CASE("A record that the format has no room for is refused, and nothing of it is kept", "[ledger]") {
  BatchWriter out(kHeader), same(kHeader);
  for (BatchWriter* w : {&out, &same}) w->allocated(1'000'010, 3, 1, 5, 6);
  const std::string long_body(kMaxBatchBytes, 'x');
  SECTION("a body longer than a batch") {
    CHECK_THROWS_AS(out.add(1'000'020, 9, Type::refused, long_body), std::length_error);
    CHECK_THROWS_AS(out.add(1'000'020, 0, Type::configuration, long_body), std::length_error);
  }
  SECTION("a payload longer than a batch") {
    // Two varints of one byte, source, first byte, time, length: 5; then record, time and length of this one.
    const std::string body = long_body.substr(0, kMaxBatchBytes - 1 - 5 - 1 - 1 - 4);
    CHECK_FALSE(out.full());
    CHECK(out.full(body.size()));
    CHECK_THROWS_AS(out.add(1'000'010, 0, Type::configuration, body + "x"), std::length_error);
    for (BatchWriter* w : {&out, &same}) w->add(1'000'010, 0, Type::configuration, body);
    CHECK(out.full());
    CHECK_THROWS_AS(out.allocated(1'000'020, 9, 1, 5, 6), std::length_error);
    CHECK_THROWS_AS(out.released(1'000'020, 9, 1, 5, 6), std::length_error);
  }
  CHECK(out.events() == same.events());
  CHECK(out.last_time() == same.last_time());
  const std::string batch(out.take());
  CHECK((batch == same.take()));
  CHECK(read(encode(kHeader) + batch).damage.empty());
}

TEST_CASE("A segment has no more events than its format allows", "[ledger]") {
  BatchWriter out(kHeader, kMaxSegmentEvents - 1, kHeader.opened);
  out.allocated(1'000'010, 0, 1, 5, 6);
  CHECK_THROWS_AS(out.allocated(1'000'020, 0, 1, 6, 6), std::length_error);
  CHECK_THROWS_AS(out.released(1'000'020, 0, 1, 5, 6), std::length_error);
  CHECK_THROWS_AS(out.add(1'000'020, 0, Type::refused, ""), std::length_error);
  CHECK(out.events() == kMaxSegmentEvents);
  std::string bytes = encode(kHeader) + std::string(out.take());
  out.add(1'000'010, 0, Type::segment_end, "");
  bytes += out.take();
  const Read all = read(bytes);
  REQUIRE(all.records.size() == 2);
  CHECK(all.records[0].record.ordinal == kHeader.first_ordinal + kMaxSegmentEvents - 1);
  REQUIRE(all.damage.size() == 1);  // all events before
  CHECK(all.damage[0].events == kMaxSegmentEvents - 1);

  // What says that it is behind more than that is no batch.
  CHECK(read(encode(kHeader) + encode_batch(kHeader.serial, kMaxSegmentEvents + 1, payload(0, kAllocation)))
            .damage.at(0)
            .at_end);
}

TEST_CASE("A batch that begins before the record ahead of it is damage, all of it", "[ledger]") {
  const std::string good = three_batches();  // until 700
  const std::string back = encode_batch(kHeader.serial, 5, payload(699, kAllocation));
  const std::string after = encode_batch(kHeader.serial, 6, payload(700, kAllocation));
  const Read all = read(good + back + after);
  REQUIRE(all.records.size() == 7);
  CHECK(all.records[6].record.time == 1'000'701);
  CHECK(all.records[6].record.ordinal == 5006);
  REQUIRE(all.damage.size() == 2);
  CHECK(all.damage[0] == Damage{.offset = good.size() + kBatchHeaderBytes,
                                .bytes = back.size() - kBatchHeaderBytes,
                                .first_ordinal = 5005,
                                .events = 0,
                                .after = 1'000'700});
  CHECK(all.damage[1] == Damage{.offset = good.size() + back.size(),
                                .bytes = 0,
                                .first_ordinal = 5005,
                                .events = 1,
                                .after = 1'000'700});
}

TEST_CASE("A batch that begins with no time that can be is damage, all of it", "[ledger]") {
  const LiveHeader late{.serial = 7, .opened = kMaxTime - 10, .first_ordinal = 5000};
  const auto damage_of = [&](std::string_view p) {
    const Read all = read(encode(late) + encode_batch(late.serial, 0, p));
    CHECK(all.records.empty());
    REQUIRE(all.damage.size() == 1);
    CHECK(all.damage[0].offset == kLiveHeaderBytes + kBatchHeaderBytes);
    return all.damage[0].bytes;
  };
  CHECK(damage_of(payload(10, kAllocation)) == 5);
  CHECK(damage_of(payload(kMaxTime, kAllocation)) == 13);
  CHECK(damage_of(payload(0 - kMaxTime, kAllocation)) == 14);
  CHECK(damage_of(std::string(12, '\xff')) == 12);
  CHECK(damage_of("\x80") == 1);
  // The last one that can be, and a record behind it.
  CHECK(read(encode(late) + encode_batch(late.serial, 0, payload(8, kAllocation))).damage.empty());
  CHECK(read(encode(late) + encode_batch(late.serial, 0, payload(9, kAllocation))).damage.size() == 1);
}

TEST_CASE("The next whole batch is found behind any number of marks that begin none", "[ledger]") {
  std::string bad;
  for (int i = 0; i < 1000; i++) bad += std::string(kBatchMark) + std::string(10, '\0');
  bad.append(2 * kMaxBatchBytes, 'x');
  const Read all = read(encode(kHeader) + bad + encode_batch(kHeader.serial, 0, payload(0, kAllocation)));
  CHECK(all.records.size() == 1);
  REQUIRE(all.damage.size() == 1);
  CHECK(all.damage[0].bytes == bad.size());
}

TEST_CASE("A segment full of what looks like batches is given up", "[ledger]") {
  // Each of these marks says that 4 MiB follow which must be checked.
  std::string bad;
  for (int i = 0; i < 1000; i++) bad += std::string(kBatchMark) + std::string("\0\0\x40\1\0\0....", 10);
  bad.append(2 * kMaxBatchBytes, 'x');
  const Read all = read(encode(kHeader) + encode_batch(kHeader.serial, 0, payload(0, kAllocation)) + bad +
                        encode_batch(kHeader.serial, 1, payload(1, kAllocation)));
  CHECK(all.records.size() == 1);
  REQUIRE(all.damage.size() == 1);
  CHECK(all.damage[0].at_end);
}

TEST_CASE("Any history is read as it was written, in batches of any size, by one writer or many",
          "[ledger]") {
  CHECK(rc::check("records in = records out", [] {
    const LiveHeader header{*rc::gen::arbitrary<uint64_t>(), *rc::gen::inRange<uint64_t>(0, kMaxTime / 4),
                            *rc::gen::inRange<uint64_t>(0, kMaxTime / 4)};
    std::string bytes = encode(header);
    BatchWriter out(header);
    std::vector<Kept> written;
    uint64_t time = header.opened, ordinal = header.first_ordinal;
    const auto count = *rc::gen::inRange(0, 60);
    for (int i = 0; i < count; i++) {
      time += *rc::gen::element<uint64_t>(0, 0, 1, 127, 128, 1u << 20, uint64_t{1} << 40);
      Record r;
      r.time = time;
      r.worker = static_cast<uint8_t>(*rc::gen::inRange(0u, kMaxSources));
      r.ordinal = ordinal;
      std::string body;
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          r.kind = Record::Kind::allocated;
          r.reason = static_cast<uint8_t>(*rc::gen::inRange(0, 32));
          r.block = *rc::gen::arbitrary<uint64_t>();
          r.subscriber = *rc::gen::arbitrary<uint32_t>();
          out.allocated(time, r.worker, r.reason, r.block, static_cast<uint32_t>(r.subscriber));
          break;
        case 1:
          r.kind = Record::Kind::released;
          r.reason = static_cast<uint8_t>(*rc::gen::inRange(0, 32));
          r.block = *rc::gen::arbitrary<uint64_t>();
          r.peak = *rc::gen::arbitrary<uint16_t>();
          out.released(time, r.worker, r.reason, r.block, static_cast<uint16_t>(r.peak));
          break;
        default:
          r.type = static_cast<Type>(*rc::gen::inRange<int>(0, kTypes));
          body = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
          out.add(time, r.worker, r.type, body);
      }
      if (r.event()) ordinal++;
      Kept kept(r);
      kept.body = body;
      written.push_back(kept);
      if (*rc::gen::inRange(0, 5) == 0) bytes += out.take();
      if (out.empty() && *rc::gen::inRange(0, 3) == 0)
        out = BatchWriter(header, out.events(), out.last_time());
    }
    if (!out.empty()) bytes += out.take();
    RC_ASSERT(out.next_ordinal() == ordinal);
    Read all = read(bytes);
    RC_ASSERT(all.damage.empty());
    RC_ASSERT(all.records.size() == written.size());
    for (size_t i = 0; i < written.size(); i++) {
      // A note is no worker's.
      if (!written[i].record.event()) all.records[i].record.worker = written[i].record.worker;
      RC_ASSERT(all.records[i] == written[i]);
    }
  }));
}
