// What happens to a sealed segment is found: by verify whatever it is, and by everything else so far that
// nothing crashes and what is whole stays readable.
#include <fmt/format.h>
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "ledger_sealed_history.h"
#include "logging/ledger/crc32c.h"
#include "logging/ledger/seal.h"
#include "logging/ledger/sealed_page_writer.h"
#include "logging/ledger/sealed_query.h"
#include "logging/ledger/sealed_reader.h"
#include "logging/ledger/sealed_verify.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using culvert::test::made_segment;
using culvert::test::TestDirectory;
namespace net = culvert::net;

namespace {

std::string content(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}
void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Asks for everything. True: something was told, or the segment could not be opened.
bool use(const std::string& path) {
  std::optional<SealedSegment> segment;
  try {
    segment.emplace(path);
  } catch (const std::runtime_error&) {
    return true;
  }
  bool told = false;
  segment->on_damage = [&](const SealedDamage&) { told = true; };
  SealedReader reader(*segment);
  while (reader.next()) continue;
  for (const uint32_t a : {0xc6336400u, 0xc6336401u, 0x0a000001u})
    records_of(*segment, net::Ipv4Address(a), std::nullopt, {0, UINT64_MAX});
  records_of(*segment, net::Ipv6Prefix{{}, 0}, {0, UINT64_MAX});
  return told;
}

/// What verify tells.
std::vector<std::string> findings(const std::string& path) {
  std::vector<std::string> all;
  try {
    SealedSegment segment(path);
    const bool good = verify(segment, std::nullopt, [&](const std::string& what) { all.push_back(what); });
    REQUIRE(good == all.empty());
  } catch (const std::runtime_error& e) {
    all.emplace_back(e.what());
  }
  return all;
}

/// A segment whose parts are as given, with everything around them as sealing makes it.
std::string assemble(const SealedHeader& header, SealedDirectory directory,
                     const std::vector<std::string>& parts) {
  ColumnPacker packer;
  std::string bytes = encode(header);
  for (size_t i = 0; i < parts.size(); i++) {
    auto& part = i < directory.pages.size() ? directory.pages[i].part
                                            : directory.chunks[i - directory.pages.size()].part;
    part = {bytes.size(), static_cast<uint32_t>(parts[i].size()), crc32c(parts[i])};
    bytes += parts[i];
  }
  const std::string d = encode(directory, header.opened, packer);
  const std::string footer = encode_hashed({.directory = bytes.size(),
                                            .directory_bytes = static_cast<uint32_t>(d.size()),
                                            .directory_crc = crc32c(d)});
  bytes += d + footer;
  Sha256 hash;
  hash.add(bytes);
  const Digest digest = hash.digest();
  bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return bytes += kTailMagic;
}

/// A sealed segment taken apart, to be put together with something changed.
struct Pieces {
  explicit Pieces(const std::string& path) {
    SealedSegment segment(path);
    header = segment.header();
    directory = segment.directory();
    for (const auto& p : directory.pages) parts.push_back(segment.read(p.part.offset, p.part.bytes));
    for (const auto& c : directory.chunks) parts.push_back(segment.read(c.part.offset, c.part.bytes));
  }
  std::string together() const { return assemble(header, directory, parts); }
  SealedHeader header;
  SealedDirectory directory;
  std::vector<std::string> parts;
};

const culvert::test::History kOrderly{.seed = 5, .steps = 120, .odd = false};

/// A segment of two subscribers, an address and some blocks, in which nothing contradicts itself.
std::string plain_segment() {
  const LiveHeader header{.serial = 1, .opened = 1'000'000, .first_ordinal = 1};
  BatchWriter out(header);
  const auto note = [&](const auto& n) { out.add(1'000'000, 0, n.kType, encode(n)); };
  note(InstanceNote{.number = 1, .name = "homes"});
  note(AddressRange{.first_block = 0,
                    .instance = 1,
                    .first_address = net::Ipv4Address(0x01020304),
                    .addresses = 1,
                    .first_port = 1024,
                    .set_size = 512,
                    .sets = 10});
  for (uint64_t i = 0; i < 2; i++)
    note(SubscriberNote{
        .number = i, .instance = 1, .prefix = net::Ipv6Address::from_halves(i << 32, 0), .length = 56});
  note(ClockNote{7});
  for (uint64_t i = 0; i < 4; i++) out.allocated(1'000'100 + i / 2, 0, 1, i, i % 2);
  out.released(1'000'200, 0, 4, 2, 9);
  return encode(header) + std::string(out.take());
}

}  // namespace

TEST_CASE("A bit flipped anywhere in a sealed segment is found", "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("s.seg"), bad = directory.path("bad.seg");
  seal(made_segment(kOrderly), {}, path);
  const std::string bytes = content(path);
  const auto normal = findings(path);
  for (size_t i = 0; i < bytes.size(); i++) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << i % 8));
    write(bad, flipped);
    INFO("byte " << i);
    CHECK(findings(bad) != normal);
    // All but the hash, and what it alone is there for, shows at once.
    if (i < bytes.size() - kFooterBytes + 20) CHECK(use(bad));
  }
}

TEST_CASE("Bits flipped in a large sealed segment are found", "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("s.seg"), bad = directory.path("bad.seg");
  seal(made_segment({.seed = 9, .steps = 20'000, .addresses = 2, .odd = false}), {}, path);
  const std::string bytes = content(path);
  CHECK(rc::check("a flip is found", [&] {
    std::string flipped = bytes;
    const auto at = *rc::gen::inRange<size_t>(0, bytes.size());
    flipped[at] = static_cast<char>(flipped[at] ^ *rc::gen::inRange(1, 256));
    write(bad, flipped);
    const auto found = findings(bad);
    RC_ASSERT(!found.empty());
    RC_ASSERT(found[0].find("hash is another") != std::string::npos || found[0].find(bad) == 0);
    use(bad);
  }));
}

TEST_CASE("A sealed segment that is cut off, or longer, is none", "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("s.seg"), bad = directory.path("bad.seg");
  seal(made_segment(kOrderly), {}, path);
  const std::string bytes = content(path);
  for (size_t size = 0; size < bytes.size(); size++) {
    write(bad, bytes.substr(0, size));
    CHECK_THROWS_WITH(SealedSegment(bad), Catch::StartsWith(bad));
  }
  write(bad, bytes + "x");
  CHECK_THROWS_WITH(SealedSegment(bad), bad + " has a damaged end");
  std::string version = bytes;
  version[8] = 2;
  write(bad, version);
  CHECK_THROWS_WITH(SealedSegment(bad), bad + " has version 2, this program reads 1");
  write(bad, "something else");
  CHECK_THROWS_WITH(SealedSegment(bad), bad + " is not a sealed segment of a ledger");
}

TEST_CASE("What is whole of a damaged sealed segment is read", "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("s.seg");
  seal(made_segment({.seed = 2, .steps = 30'000, .addresses = 1, .odd = false}), {}, path);
  SealedSegment segment(path);
  // Behind that of 10.0.0.1.
  const size_t first = segment.directory().first_address_page();
  REQUIRE((segment.directory().continues(first + 2) && segment.directory().continues(first + 3)));
  // The address' second page is destroyed.
  const SealedDirectory::Page& middle = segment.directory().pages[first + 2];
  std::string bytes = content(path);
  bytes[middle.part.offset] ^= 1;
  write(path, bytes);
  std::vector<SealedDamage> told;
  segment.on_damage = [&](const SealedDamage& d) { told.push_back(d); };
  const uint64_t before = middle.time - 1, after = segment.header().ended;
  CHECK_FALSE(records_of(segment, middle.first, std::nullopt, {0, before}).records.empty());
  CHECK(told.empty());
  CHECK(records_of(segment, middle.first, std::nullopt, {middle.time, middle.time}).records.empty());
  REQUIRE(told.size() == 1);
  CHECK(told[0].what == fmt::format("page {}", first + 2));
  CHECK((told[0].offset == middle.part.offset && told[0].bytes == middle.part.bytes));
  CHECK_FALSE(records_of(segment, middle.first, std::nullopt, {after, after}).carried.empty());
  CHECK(told.size() == 1);
  SealedReader reader(segment);
  size_t records = 0;
  while (reader.next()) {
    records++;
    // Nobody knows how many events are missing where.
    if (reader.record().event()) CHECK(reader.record().ordinal == 0);
  }
  CHECK(records > 5000);
}

TEST_CASE("A segment that was put together wrongly is found, though its checksums are right",
          "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("s.seg");
  seal(plain_segment(), {}, path);
  REQUIRE(findings(path).empty());
  Pieces pieces(path);
  REQUIRE(pieces.together() == content(path));
  const auto finding = [&](const Pieces& p) {
    write(path, p.together());
    const auto all = findings(path);
    return all.empty() ? "" : all[0].starts_with(path) ? all[0].substr(path.size() + 1) : all[0];
  };
  /// The address' page with other records.
  const auto page = [&](auto&& change) {
    Pieces p = pieces;
    const std::vector<SubscriberNote> dictionary{{0, 1, net::Ipv6Address::from_halves(0, 0), 56},
                                                 {1, 1, net::Ipv6Address::from_halves(1ull << 32, 0), 56}};
    PageWriter out(p.header.opened, dictionary);
    change(out);
    ColumnPacker packer;
    auto made = out.take(packer);
    p.parts[p.directory.first_address_page()] = made.bytes;
    made.entry.part = p.directory.pages.back().part;
    p.directory.pages.back() = made.entry;
    return p;
  };
  const net::Ipv4Address address(0x01020304);
  const AddressRange blocks{.first_block = 0,
                            .instance = 1,
                            .first_address = address,
                            .addresses = 1,
                            .first_port = 1024,
                            .set_size = 512,
                            .sets = 10};
  const auto allocated = [](uint64_t time, uint64_t block, uint64_t who) {
    return Record{
        .kind = Record::Kind::allocated, .reason = 1, .time = time, .block = block, .subscriber = who};
  };
  const auto released = [](uint64_t time, uint64_t block) {
    return Record{.kind = Record::Kind::released, .reason = 4, .time = time, .block = block, .peak = 9};
  };
  SECTION("as it was") {
    const Pieces same = page([&](PageWriter& out) {
      out.address(address, blocks);
      for (uint64_t i = 0; i < 4; i++) out.add(allocated(1'000'100 + i / 2, i, i % 2), i % 2);
      out.add(released(1'000'200, 2), 0);
    });
    CHECK(finding(same) == "");
    CHECK(same.parts == pieces.parts);
  }
  SECTION("an event is missing") {
    CHECK(finding(page([&](PageWriter& out) {
            out.address(address, blocks);
            for (uint64_t i = 0; i < 4; i++) out.add(allocated(1'000'100 + i / 2, i, i % 2), i % 2);
          })) == "has 4 events and lost 0; its header says 5 in all, 0 of them lost");
  }
  SECTION("one of two events of a millisecond is missing") {
    CHECK(finding(page([&](PageWriter& out) {
            out.address(address, blocks);
            for (uint64_t i = 1; i < 4; i++) out.add(allocated(1'000'100 + i / 2, i, i % 2), i % 2);
            out.add(released(1'000'200, 2), 0);
          })) == "at 1000100: 1 events came before a record, not 0");
  }
  SECTION("two hold a block") {
    CHECK(finding(page([&](PageWriter& out) {
            out.address(address, blocks);
            for (uint64_t i = 0; i < 4; i++) out.add(allocated(1'000'100 + i / 2, i / 2 * 2, i % 2), i % 2);
            out.add(allocated(1'000'200, 2, 0), 0);
          })) == "at 1000100: block 0 is allocated to subscriber 1 while another holds it");
  }
  SECTION("somebody is named who is not in the dictionary's list") {
    Pieces p = pieces;
    ColumnUnpacker unpacker;
    ColumnPacker packer;
    auto chunk = decode_chunk(p.parts.back(), 0, p.directory.pages.size(), unpacker);
    chunk->pages.pop_back();
    chunk->ends.back()--;
    p.parts.back() = encode(*chunk, packer);
    CHECK(finding(p) == "the dictionary does not say in which pages its subscribers are");
  }
  SECTION("the dictionary has another subscriber") {
    Pieces p = pieces;
    ColumnUnpacker unpacker;
    ColumnPacker packer;
    auto chunk = decode_chunk(p.parts.back(), 0, p.directory.pages.size(), unpacker);
    chunk->subscribers.back().length = 60;
    p.parts.back() = encode(*chunk, packer);
    CHECK(finding(p) == "page 1 has another subscriber 1 than the dictionary");
  }
  SECTION("the header tells something else") {
    Pieces p = pieces;
    p.header.lost = 1;
    CHECK(finding(p) == "has 5 events and lost 0; its header says 5 in all, 1 of them lost");
    p = pieces;
    p.header.clock_ahead_max = 8;
    CHECK(finding(p) == "the header says something else of the clocks than the records do");
    p = pieces;
    p.header.ended = 1'000'199;
    CHECK(finding(p) == "ends at 1000200; its header says 1000199");
  }
  SECTION("the directory tells something else of a page") {
    const size_t n = pieces.directory.first_address_page();
    for (const auto& change : std::vector<std::function<void(SealedDirectory::Page&)>>{
             [](auto& e) { e.last = e.first = net::Ipv4Address(0x01020303); },
             [](auto& e) { e.last = net::Ipv4Address(0x01020305); }, [](auto& e) { e.time++; },
             [](auto& e) { e.records++; }}) {
      Pieces p = pieces;
      change(p.directory.pages[n]);
      CHECK_THAT(finding(p), Catch::StartsWith(fmt::format("page {} ", n)));
    }
    Pieces p = pieces;
    p.directory.loose_pages = 1;
    CHECK_THAT(finding(p), Catch::StartsWith(fmt::format("page {} ", n)));
  }
}

TEST_CASE("A page that does not go on where the one before ended is found", "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string path = directory.path("s.seg");
  seal(made_segment({.seed = 2, .steps = 20'000, .addresses = 1, .odd = false}), {}, path);
  const auto normal = findings(path);
  Pieces p(path);
  const size_t n = p.directory.first_address_page() + 2;
  REQUIRE(p.directory.continues(n));
  SealedSegment segment(path);
  const Page page = *segment.page(n);
  const std::vector<SubscriberNote> dictionary = segment.chunk(0)->subscribers;
  for (const std::string wrong : {"nothing", "one is left out", "other blocks"}) {
    PageWriter out(p.header.opened, dictionary);
    const Page::Address& a = page.addresses[0];
    AddressRange blocks = a.blocks.value();
    const uint64_t moved = wrong == "other blocks" ? 1'000'000 : 0;
    blocks.first_block += moved;
    const auto record = [&](size_t i) {
      Record r = page.record(i);
      if (r.kind != Record::Kind::typed) r.block += moved;
      return r;
    };
    out.address(a.address, blocks);
    for (size_t i = a.begin; i < a.follow; i++)
      if (wrong != "one is left out" || i != a.begin + 1) out.carried(record(i));
    for (size_t i = a.follow; i < a.end; i++) out.add(record(i), page.records[i].tie);
    ColumnPacker packer;
    auto made = out.take(packer);
    Pieces changed = p;
    changed.parts[n] = made.bytes;
    made.entry.part = {};
    changed.directory.pages[n] = made.entry;
    write(path, changed.together());
    auto found = findings(path);
    INFO(wrong);
    if (wrong == "nothing") {
      CHECK(found == normal);
      continue;
    }
    REQUIRE(found.size() > normal.size());
    if (moved == 0) {
      CHECK(found[0] == fmt::format("page {} does not go on where the one before ends", n));
      continue;
    }
    CHECK(found[0] == fmt::format("page {} has other blocks than the one before, of the same address", n));
    SealedSegment hostile(path);
    std::vector<std::string> told;
    hostile.on_damage = [&](const SealedDamage& d) { told.push_back(d.what); };
    const Answer answer = records_of(hostile, a.address, std::nullopt, {0, UINT64_MAX});
    CHECK(told == std::vector<std::string>{fmt::format("page {}", n)});
    for (const Record& r : answer.records)
      if (r.kind != Record::Kind::typed) REQUIRE(answer.blocks.at(a.address.value()).has(r.block));
  }
}

TEST_CASE("Records of an address' page are that address' and carried ones are held", "[ledger][sealed]") {
  const net::Ipv4Address address(0x01020304), other(0x01020305);
  const std::vector<SubscriberNote> dictionary(1);
  ColumnPacker packer;
  ColumnUnpacker unpacker;
  const auto readable = [&](const auto& note, bool carried) {
    const std::string body = encode(note);
    Record r;
    r.kind = Record::Kind::typed;
    r.type = note.kType;
    r.time = 1000;
    r.body = body;
    PageWriter out(1000, dictionary);
    out.address(address, std::nullopt);
    if (carried)
      out.carried(r);
    else
      out.add(r, 0);
    return decode_page(out.take(packer).bytes, 1000, unpacker).has_value();
  };
  CHECK(readable(MappingCreated{.binding = {.external = address}}, false));
  CHECK(readable(MappingHeld{.binding = {.external = address}}, true));
  CHECK_FALSE(readable(MappingCreated{.binding = {.external = other}}, false));
  CHECK_FALSE(readable(MappingHeld{.binding = {.external = other}}, true));
  CHECK_FALSE(readable(MappingCreated{.binding = {.external = address}}, true));
  CHECK_FALSE(readable(MappingHeld{.binding = {.external = address}}, false));
  CHECK_FALSE(readable(ClockNote{7}, false));
}
