// tools/ledger_reader.py, which shares no code with this program, reads in a segment what this program reads.
#include <rapidcheck.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ledger_history.h"
#include "logging/ledger/batch.h"
#include "logging/ledger/live_reader.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using culvert::test::kFirst;
using culvert::test::random_segment;
using nlohmann::json;

namespace {

/// What the independent reader says.
struct Said {
  std::vector<json> lines;
  int status = 0;
};
Said read_there(const std::string& arguments) {
  const std::string command =
      "/usr/bin/python3 -B " CULVERT_SOURCE_DIR "/tools/ledger_reader.py " + arguments + " 2>/dev/null";
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::array<char, 4096> some;
  while (const size_t n = std::fread(some.data(), 1, some.size(), pipe)) text.append(some.data(), n);
  Said said{.status = WEXITSTATUS(pclose(pipe))};
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    said.lines.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return said;
}

/// What this program's reader finds, in the same words, for as much as is compared.
std::vector<json> read_here(const std::string& bytes) {
  LiveReader reader(bytes);
  std::vector<json> lines{
      {{"serial", reader.header()->serial}, {"first-ordinal", reader.header()->first_ordinal}}};
  reader.on_damage = [&](const Damage& d) {
    lines.push_back(
        {{"damage", d.offset}, {"bytes", d.bytes}, {"first-ordinal", d.first_ordinal}, {"events", d.events}});
  };
  while (reader.next()) {
    const Record& r = reader.record();
    json line{{"time", r.time}};
    if (r.event()) line.update({{"ordinal", r.ordinal}, {"worker", r.worker}});
    if (r.kind == Record::Kind::allocated) line.update({{"block", r.block}, {"subscriber", r.subscriber}});
    if (r.kind == Record::Kind::released) line.update({{"block", r.block}, {"peak", r.peak}});
    if (const auto n = decode<SubscriberNote>(r.body); r.type == Type::subscriber && n)
      line.update({{"record", "subscriber"},
                   {"number", n->number},
                   {"prefix", n->prefix.text() + "/" + std::to_string(n->length)}});
    if (const auto n = decode<AddressRange>(r.body); r.type == Type::address_range && n)
      line.update(
          {{"record", "address-range"}, {"first-address", n->first_address.text()}, {"sets", n->sets}});
    lines.push_back(line);
  }
  return lines;
}

/// A segment that is damaged somewhere, or not.
std::string random_damage(std::string bytes) {
  if (*rc::gen::arbitrary<bool>() && bytes.size() > kLiveHeaderBytes) {
    const auto at = *rc::gen::inRange(kLiveHeaderBytes, bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ *rc::gen::inRange(1, 256));
  }
  return bytes;
}

/// A segment of which one batch breaks the rules, while its checksum is right.
std::string random_spoiling(const std::string& bytes) {
  std::string spoiled = bytes.substr(0, kLiveHeaderBytes);
  ByteReader in(std::string_view(bytes).substr(kLiveHeaderBytes));
  for (int left = *rc::gen::inRange(0, 8); !in.done(); left--) {
    in.bytes(kBatchMark.size());
    const uint32_t size = in.fixed24(), events = in.fixed24();
    in.fixed<uint32_t>();
    std::string payload(in.bytes(size));
    if (left == 0) {
      const auto at = *rc::gen::inRange<size_t>(0, payload.size());
      if (*rc::gen::arbitrary<bool>())
        payload[at] = static_cast<char>(payload[at] ^ *rc::gen::inRange(1, 256));
      else
        payload.resize(at + 1);
    }
    spoiled += encode_batch(kFirst.serial, events, payload);
  }
  return spoiled;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("An independent reader finds the same records, also in a damaged segment", "[ledger]") {
  const culvert::test::TestDirectory directory;
  const std::string path = directory.path("segment.live");
  CHECK(rc::check("both readers agree", [&] {
    std::string bytes = random_segment();
    bytes = *rc::gen::arbitrary<bool>() ? random_damage(bytes) : random_spoiling(bytes);
    write(path, bytes);
    const auto there = read_there(path).lines;
    const auto here = read_here(bytes);
    RC_ASSERT(there.size() == here.size());
    for (size_t i = 0; i < here.size(); i++)
      for (const auto& [key, value] : here[i].items()) {
        RC_LOG() << "line " << i << ": " << there[i].dump() << " and " << here[i].dump() << "\n";
        RC_ASSERT(there[i].contains(key));
        RC_ASSERT(there[i].at(key) == value);
      }
  }));
}

TEST_CASE("The independent reader's exit status tells of damage, and of what it cannot read", "[ledger]") {
  const culvert::test::TestDirectory directory;
  const std::string good = directory.path("good"), damaged = directory.path("damaged"),
                    spoiled = directory.path("spoiled"), malformed = directory.path("malformed"),
                    back = directory.path("back"), other = directory.path("other");
  BatchWriter out(kFirst);
  out.add(kFirst.opened + 10, 0, Type::segment_end, {});
  const std::string whole = encode(kFirst) + std::string(out.take());
  write(good, whole);
  write(damaged, whole + "x");
  write(spoiled, whole + encode_batch(kFirst.serial, 0, std::string("\x0a\x40", 2)));
  // A `resting` record without what it says.
  write(malformed, whole + encode_batch(kFirst.serial, 0, std::string("\x0a\xe5\0\0", 4)));
  // A batch that begins 1 ms before the one ahead of it ends.
  write(back, whole + encode_batch(kFirst.serial, 0, std::string("\x09\xef\0\0", 4)));
  write(other, "CULVSEAL, and 40 bytes or more behind that");

  CHECK(read_there(good).status == 0);
  CHECK(read_there(good).lines.size() == 2);
  for (const std::string& path : {damaged, spoiled, malformed, back}) {
    INFO(path);
    CHECK(read_there(path).status == 1);
    CHECK(read_there(path + " " + good).status == 1);
  }
  CHECK(read_there(back).lines.at(2).at("bytes") == 4);
  CHECK(read_there(other).status == 2);
  CHECK(read_there(directory.path("none")).status == 2);
  CHECK(read_there(damaged + " " + other).status == 2);
  write(other, "short");
  CHECK(read_there(other).status == 2);
}
