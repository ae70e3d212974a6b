// tools/ledger_reader.py, which shares no code with this program, reads in a segment what this program reads.
#include <rapidcheck.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ledger_history.h"
#include "logging/ledger/live_reader.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using nlohmann::json;

namespace {

/// What a command writes, line by line.
std::vector<json> lines_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::array<char, 4096> some;
  while (const size_t n = std::fread(some.data(), 1, some.size(), pipe)) text.append(some.data(), n);
  pclose(pipe);
  std::vector<json> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
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

}  // namespace

TEST_CASE("An independent reader finds the same records, also in a damaged segment", "[ledger]") {
  const culvert::test::TestDirectory directory;
  const std::string path = directory.path("segment.live");
  CHECK(rc::check("both readers agree", [&] {
    std::string bytes = culvert::test::random_segment();
    if (*rc::gen::arbitrary<bool>() && bytes.size() > kLiveHeaderBytes) {
      const auto at = *rc::gen::inRange(kLiveHeaderBytes, bytes.size());
      bytes[at] = static_cast<char>(bytes[at] ^ *rc::gen::inRange(1, 256));
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    const auto there = lines_of("/usr/bin/python3 -B " CULVERT_SOURCE_DIR "/tools/ledger_reader.py " + path);
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
