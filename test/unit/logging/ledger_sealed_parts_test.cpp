// What sealed segments are made of: columns, the directory, hashes, files that get their name when they are
// whole (docs/ledger.md, "A sealed segment").
#include <rapidcheck.h>
#include <zstd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "logging/ledger/column.h"
#include "logging/ledger/new_file.h"
#include "logging/ledger/sealed_dictionary.h"
#include "logging/ledger/sealed_directory.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using culvert::test::TestDirectory;
namespace net = culvert::net;

namespace {

std::string zstd(const std::string& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  return packed;
}

/// Whether these bytes are a column of n numbers, and nothing else.
bool is_column(const std::string& bytes, size_t n) {
  ColumnUnpacker unpacker;
  ByteReader in(bytes);
  unpacker.column(in, n);
  return in.good() && in.done();
}

/// A varint's length and so many bytes.
std::string text(const std::string& bytes) {
  std::string out;
  ByteWriter(out).text(bytes);
  return out;
}

}  // namespace

TEST_CASE("SHA-256 is that of FIPS 180-4", "[ledger][sealed]") {
  Sha256 hash;
  hash.add("a");
  hash.add("");
  hash.add("bc");
  const Digest digest = hash.digest();
  const Digest right{0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                     0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                     0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  CHECK(digest == right);
}

TEST_CASE("Columns are read as they were written, of any numbers", "[ledger][sealed]") {
  CHECK(rc::check("numbers in = numbers out", [] {
    ColumnPacker packer;
    ColumnUnpacker unpacker;
    std::vector<std::vector<uint64_t>> columns;
    std::string bytes;
    for (int i = 0; i < 3; i++) {
      const auto n = *rc::gen::inRange<size_t>(0, 600);
      const auto bits = *rc::gen::inRange(0, 65);
      auto& column = columns.emplace_back();
      for (const uint64_t number :
           *rc::gen::container<std::vector<uint64_t>>(n, rc::gen::arbitrary<uint64_t>()))
        column.push_back(bits == 0 ? 0 : number >> (64 - bits));
      packer.column(bytes, column);
    }
    struct Element {
      uint64_t number = 0;
      uint8_t small = 0;
    };
    ByteReader in(bytes), again(bytes);
    for (const auto& column : columns) {
      RC_ASSERT(unpacker.column(in, column.size()) == column);
      std::vector<Element> elements(column.size());
      unpacker.column(again, elements, &Element::number);
      for (size_t i = 0; i < column.size(); i++) RC_ASSERT(elements[i].number == column[i]);
    }
    RC_ASSERT(in.good() && in.done() && again.good() && again.done());
    std::vector<Element> elements(columns[0].size());
    ByteReader narrow(bytes);
    unpacker.column(narrow, elements, &Element::small);
    RC_ASSERT((narrow.good() == (columns[0].empty() || std::ranges::max(columns[0]) < 256)));
  }));
}

TEST_CASE("A column that is not well formed is refused", "[ledger][sealed]") {
  const std::string many(1000, 'a'), one(1, '\1');
  CHECK(is_column(std::string(1, '\0'), 1000));
  CHECK(is_column(one + text(many), 1000));
  CHECK(is_column(one + text(zstd(many)), 1000));
  // no or too many planes
  CHECK_FALSE(is_column("", 1000));
  CHECK_FALSE(is_column(one, 1000));
  CHECK_FALSE(is_column(std::string(1, '\2') + text(many), 1000));
  std::string nine(1, '\x09');
  for (int i = 0; i < 9; i++) nine += text(many);
  CHECK_FALSE(is_column(nine, 1000));
  // another size, no size, two frames, a cut or changed one, something behind it
  CHECK_FALSE(is_column(one + text(many), 999));
  CHECK_FALSE(is_column(one + text(zstd(many)), 999));
  CHECK_FALSE(is_column(one + text(zstd(many)), 1001));
  CHECK_FALSE(is_column(one + text(zstd(many.substr(1)) + zstd("a")), 1000));
  CHECK_FALSE(is_column(one + text(zstd(many) + zstd("")), 1000));
  CHECK_FALSE(is_column(one + text(zstd(many) + "x"), 1000));
  const std::string frame = zstd(many);
  CHECK_FALSE(is_column(one + text(frame.substr(0, frame.size() - 1)), 1000));
  std::string changed = frame;
  changed[0] = 'x';
  CHECK_FALSE(is_column(one + text(changed), 1000));
  // A frame that says it has a lot takes no memory.
  std::string boast = zstd(std::string(70'000, 'a'));
  const size_t at = boast.find(std::string("\x70\x11\x01\x00", 4));
  REQUIRE(at != std::string::npos);
  boast[at + 3] = 0x7f;
  CHECK_FALSE(is_column(one + text(boast), 70'000));
}

TEST_CASE("A dictionary chunk is read as it was written", "[ledger][sealed]") {
  CHECK(rc::check("chunk in = chunk out", [] {
    DictionaryChunk chunk;
    const auto n = *rc::gen::inRange<uint64_t>(0, 50);
    for (uint64_t i = 0; i < n; i++) {
      const auto length = *rc::gen::inRange<uint8_t>(0, 129);
      const auto prefix =
          net::Ipv6Address::from_halves(*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>());
      chunk.subscribers.push_back(
          {100 + i, *rc::gen::inRange<uint64_t>(0, 3), prefix.masked(length), length});
      for (const auto page : *rc::gen::container<std::set<uint32_t>>(rc::gen::inRange(0u, 1000u)))
        chunk.pages.push_back(page);
      chunk.ends.push_back(static_cast<uint32_t>(chunk.pages.size()));
    }
    ColumnPacker packer;
    ColumnUnpacker unpacker;
    const std::string bytes = encode(chunk, packer);
    RC_ASSERT(decode_chunk(bytes, 100, 1000, unpacker) == chunk);
    RC_ASSERT(!decode_chunk(bytes + "x", 100, 1000, unpacker));
    RC_ASSERT(!decode_chunk(bytes.substr(0, bytes.size() - 1), 100, 1000, unpacker));
    if (!chunk.pages.empty()) RC_ASSERT(!decode_chunk(bytes, 100, std::ranges::max(chunk.pages), unpacker));
  }));
}

TEST_CASE("A directory says which pages can have an address at a time", "[ledger][sealed]") {
  SealedDirectory d;
  d.note_pages = 1;
  d.loose_pages = 1;
  // Notes, loose ones; then addresses 10 to 20; 30, in three parts; 30 alone; 31 to 40.
  const std::tuple<uint32_t, uint32_t, uint64_t> pages[] = {{0, 0, 1000},   {0, 0, 1500},   {10, 20, 1000},
                                                            {30, 30, 1000}, {30, 30, 2000}, {30, 30, 3000},
                                                            {31, 40, 1000}};
  uint64_t offset = kSealedHeaderBytes;
  for (const auto& [first, last, time] : pages) {
    d.pages.push_back({{offset, 10, 7}, net::Ipv4Address(first), net::Ipv4Address(last), time, 5});
    offset += 10;
  }
  d.chunks.push_back({{offset, 10, 8}, 3, {0, 1, net::Ipv6Address::from_halves(5 << 8, 0), 56}});
  d.subscribers = 3;
  offset += 10;
  ColumnPacker packer;
  ColumnUnpacker unpacker;
  const std::string bytes = encode(d, 1000, packer);
  CHECK(decode_directory(bytes, 1000, offset, unpacker) == d);
  CHECK_FALSE(decode_directory(bytes, 1000, offset + 1, unpacker));
  CHECK_FALSE(decode_directory(bytes, 1000, offset - 1, unpacker));
  CHECK_FALSE(decode_directory(bytes + "x", 1000, offset, unpacker));

  const auto found = [&](uint32_t address, uint64_t from, uint64_t to) {
    std::vector<size_t> all;
    const auto [begin, end] = d.pages_of(net::Ipv4Address(address));
    for (size_t n = begin; n < end; n++)
      if (d.concerns(n, {from, to})) all.push_back(n);
    return all;
  };
  using Pages = std::vector<size_t>;
  CHECK(found(9, 0, 9999) == Pages{});
  CHECK(found(10, 0, 9999) == Pages{2});
  CHECK(found(20, 0, 0) == Pages{2});
  CHECK(found(25, 0, 9999) == Pages{});
  CHECK(found(30, 0, 9999) == Pages{3, 4, 5});
  CHECK(found(30, 0, 1999) == Pages{3});
  CHECK(found(30, 0, 2000) == Pages{3, 4});
  CHECK(found(30, 1999, 1999) == Pages{3});
  CHECK(found(30, 2000, 2000) == Pages{4});
  CHECK(found(30, 2500, 3000) == Pages{4, 5});
  CHECK(found(30, 3000, 9999) == Pages{5});
  CHECK(found(31, 0, 9999) == Pages{6});
  CHECK(found(0, 0, 9999) == Pages{});

  SECTION("what cannot be is refused") {
    const auto refused = [&](auto&& change) {
      SealedDirectory bad = d;
      change(bad);
      return !decode_directory(encode(bad, 1000, packer), 1000, offset, unpacker);
    };
    CHECK_FALSE(refused([](SealedDirectory&) {}));
    CHECK(refused([](auto& b) { b.pages[0].part.bytes = 0, b.pages[1].part.bytes = 20; }));
    CHECK(refused([](auto& b) { b.pages[6].part.bytes = 0xffffffff; }));
    CHECK(refused([](auto& b) { b.pages[6].records = kMaxPageRecords + 1; }));
    CHECK(refused([](auto& b) { b.pages[6].time = kMaxTime + 1000; }));
    CHECK(refused([](auto& b) { std::swap(b.pages[2].first, b.pages[2].last); }));
    CHECK(refused([](auto& b) { std::swap(b.pages[2], b.pages[3]); }));
    CHECK(refused([](auto& b) { std::swap(b.pages[4].time, b.pages[5].time); }));
    CHECK(refused([](auto& b) { b.pages[2].last = b.pages[3].first; }));
    CHECK(refused([](auto& b) { b.pages[6].first = b.pages[5].first; }));
    CHECK(refused([](auto& b) { b.chunks[0].subscribers = kChunkSubscribers + 1; }));
    CHECK(refused([](auto& b) { b.chunks[0].subscribers = 0; }));
    CHECK(refused([](auto& b) { b.chunks[0].first.length = 129; }));
  }
}

TEST_CASE("A file gets its name when it is whole, and leaves nothing behind when it is not",
          "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("f.seg");
  {
    NewFile file(path);
    file.append("one");
    CHECK(std::filesystem::exists(path + ".new"));
    CHECK_FALSE(std::filesystem::exists(path));
  }
  CHECK(std::filesystem::is_empty(directory.path("")));
  // What a crash left, longer than the new one.
  std::ofstream(path + ".new") << "something else";
  NewFile file(path);
  file.append("one");
  file.append("-two");
  file.finish();
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
  std::ifstream in(path);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "one-two");
}
