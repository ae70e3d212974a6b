// tools/ledger_reader_sealed.py, which shares no code with this program, reads in a sealed segment what this
// program reads.
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ledger_sealed_history.h"
#include "logging/ledger/seal.h"
#include "logging/ledger/sealed_reader.h"
#include "logging/ledger/sealed_verify.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using culvert::test::made_segment;
using culvert::test::TestDirectory;
using nlohmann::json;

namespace {

struct Told {
  int status;
  std::vector<json> lines;
};
Told read_there(const std::string& files) {
  const std::string command =
      "/usr/bin/python3 -B " CULVERT_SOURCE_DIR "/tools/ledger_reader_sealed.py " + files + " 2>/dev/null";
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> some;
  while (const size_t n = std::fread(some.data(), 1, some.size(), pipe)) text.append(some.data(), n);
  Told told{.status = WEXITSTATUS(pclose(pipe)), .lines = {}};
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    told.lines.push_back(json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  return told;
}

std::string hex(const Digest& digest) {
  std::string text;
  for (const uint8_t b : digest) text += "0123456789abcdef"[b >> 4], text += "0123456789abcdef"[b & 15];
  return text;
}

/// What this program's reader finds, in the same words, for as much as is compared.
void read_here(const std::string& path, std::vector<json>& lines) {
  SealedSegment segment(path);
  const SealedHeader& h = segment.header();
  lines.push_back({{"serial", h.serial},
                   {"opened", h.opened},
                   {"ended", h.ended},
                   {"first-ordinal", h.first_ordinal},
                   {"events", h.events},
                   {"lost", h.lost},
                   {"clock-ahead", {h.clock_ahead_min, h.clock_ahead_max}},
                   {"predecessor", hex(h.predecessor)},
                   {"sha256", hex(segment.sha256())}});
  SealedReader reader(segment);
  while (reader.next()) {
    const Record& r = reader.record();
    json line{{"time", r.time}};
    if (r.event()) line.update({{"ordinal", r.ordinal}, {"worker", r.worker}});
    if (r.kind == Record::Kind::allocated) line.update({{"block", r.block}, {"subscriber", r.subscriber}});
    if (r.kind == Record::Kind::released) line.update({{"block", r.block}, {"peak", r.peak}});
    const auto say = [&]<typename Note>(Type type, Note, auto&& words) {
      if (r.kind == Record::Kind::typed && r.type == type)
        if (const auto n = decode<Note>(r.body)) line.update(words(*n));
    };
    say(Type::subscriber, SubscriberNote{}, [](const SubscriberNote& n) {
      const bool mapped = n.length >= 96 && n.prefix.text().starts_with("::ffff:");
      return json{{"record", "subscriber"},
                  {"number", n.number},
                  {"instance", n.instance},
                  {"prefix", mapped ? n.prefix.text().substr(7) + "/" + std::to_string(n.length - 96)
                                    : n.prefix.text() + "/" + std::to_string(n.length)}};
    });
    say(Type::address_range, AddressRange{}, [](const AddressRange& n) {
      return json{{"record", "address-range"}, {"first-block", n.first_block}, {"sets", n.sets}};
    });
    say(Type::held, Held{}, [](const Held& n) {
      return json{{"record", "held"},
                  {"block", n.block},
                  {"subscriber", n.subscriber},
                  {"since", n.since},
                  {"reason", n.reason}};
    });
    say(Type::resting, Resting{},
        [](const Resting& n) { return json{{"record", "resting"}, {"block", n.block}, {"since", n.since}}; });
    say(Type::mapping_created, MappingCreated{}, [](const MappingCreated& n) {
      return json{{"record", "mapping-created"},
                  {"subscriber", n.binding.subscriber},
                  {"port", n.binding.port},
                  {"lifetime", n.lifetime}};
    });
    say(DamageNote::kType, DamageNote{}, [](const DamageNote& n) {
      return json{{"record", "damaged"}, {"events", n.events}, {"bytes", n.bytes}};
    });
    lines.push_back(line);
  }
}

}  // namespace

TEST_CASE("An independent reader finds the same records in sealed segments", "[ledger][sealed]") {
  const TestDirectory directory;
  std::string files;
  std::vector<json> here;
  // In one run of the reader, which takes long to start.
  for (uint64_t seed = 1; seed <= 40; seed++) {
    std::string live = made_segment({.seed = seed,
                                     .steps = seed == 7 ? 12'000 : static_cast<uint32_t>(10 * seed),
                                     .addresses = static_cast<uint32_t>(1 + seed % 4),
                                     .most_pause = seed % 3 == 0 ? 2u : 5000u});
    // Some were damaged.
    if (seed % 4 == 0) live[live.size() * seed / 41] ^= 1;
    const std::string path = directory.path(std::to_string(seed) + ".seg");
    Digest before{};
    before[0] = static_cast<uint8_t>(seed);
    seal(live, before, path);
    read_here(path, here);
    files += " " + path;
  }
  const Told there = read_there(files);
  CHECK(there.status == 0);
  REQUIRE(there.lines.size() == here.size());
  for (size_t i = 0; i < here.size(); i++)
    for (const auto& [key, value] : here[i].items()) {
      INFO("line " << i << ": " << there.lines[i].dump() << " and " << here[i].dump());
      REQUIRE(there.lines[i].contains(key));
      REQUIRE(there.lines[i].at(key) == value);
    }
}

TEST_CASE("The independent reader finds what is damaged in a sealed segment", "[ledger][sealed]") {
  const TestDirectory directory;
  const std::string good = directory.path("good.seg");
  seal(made_segment({.steps = 400}), {}, good);
  std::ifstream in(good, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::string files;
  size_t opened = 0;
  for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 60) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    const std::string bad = directory.path(std::to_string(at) + ".seg");
    std::ofstream(bad, std::ios::binary) << flipped;
    files += " " + bad;
    try {
      const SealedSegment segment(bad);
      opened++;
    } catch (const std::runtime_error&) {
      // One of its ends is damaged, so the other reader cannot read it either.
    }
  }
  const Told told = read_there(files);
  CHECK(told.status == 2);
  size_t segments = 0, damaged = 0, records = 0;
  for (const json& line : told.lines) {
    if (line.contains("segment")) {
      CHECK(damaged >= segments);
      damaged = std::min(damaged, segments);
      segments++;
    }
    damaged += line.contains("damage");
    records += line.contains("record");
  }
  CHECK(damaged >= segments);
  CHECK(segments == opened);
  // What is whole is read.
  CHECK(records > segments * 100);
  CHECK(read_there(good).status == 0);
  CHECK(read_there(directory.path("none")).status == 2);
}
