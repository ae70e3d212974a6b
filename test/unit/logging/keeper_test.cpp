// The keeper: ended segments are sealed behind the recorder's back, and nothing goes before it is safe.
#include "logging/keeper.h"

#include <fstream>
#include <mutex>
#include <thread>

#include "ledger_writing.h"
#include "logging/ledger/ledger.h"
#include "logging/ledger/sealed_segment.h"
#include "test_directory.h"

using namespace culvert::logging;
using namespace culvert::logging::ledger;
using namespace culvert::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Commit = Ledger::Commit;

namespace {

/// A ledger of so many segments, each with an allocation, the last one being written.
void write(const std::string& directory, uint16_t segments) {
  Ledger ledger(directory, kBegin, {.tell = [](const std::string& text) { FAIL(text); }});
  ledger.define(homes(), kBegin);
  for (uint16_t n = 0; n < segments; n++) {
    REQUIRE((n == 0 ? ledger.commit(kBegin) : ledger.next_segment(kBegin)) == Commit::done);
    ledger.take(allocated(kBegin + n, n + 1u, 1, n), 0, 1);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
  }
}

std::vector<bool> sealed(const std::string& directory) {
  std::vector<bool> result;
  for (const SegmentFile& file : list_segments(directory)) result.push_back(file.sealed);
  return result;
}
bool is_live(const SegmentFile& file) {
  return std::filesystem::exists(std::filesystem::path(file.path).replace_extension(".live"));
}

/// Waits, at most 20 s, until it is so.
template <typename Condition>
bool comes(Condition condition) {
  for (int i = 0; i < 2000 && !condition(); i++) std::this_thread::sleep_for(10ms);
  return condition();
}

struct Running {
  std::mutex mutex;
  std::vector<SegmentNote> notes, retired;
  std::atomic<uint64_t> now{kBegin};
  std::vector<std::string> complaints;
  std::atomic<bool> refuse{false};
  Keeper keeper;

  explicit Running(const std::string& directory, bool refusing = false, Retention retention = {})
      : refuse(refusing),
        keeper({.directory = directory,
                .note = [this](Type type, const SegmentNote& note) -> std::string {
                  const std::lock_guard lock(mutex);
                  if (refuse) return "the disk is full";
                  (type == Type::retired ? retired : notes).push_back(note);
                  return "";
                },
                .clock = [this] { return now.load(); },
                .complain =
                    [this](const std::string& text) {
                      const std::lock_guard lock(mutex);
                      complaints.push_back(text);
                    },
                .retention = retention,
                .look_every = 20ms}) {}
  std::vector<std::string> said() {
    const std::lock_guard lock(mutex);
    return complaints;
  }
};

}  // namespace

TEST_CASE("ended segments are sealed in their order, the last one is left", "[logging][keeper]") {
  TestDirectory directory;
  write(directory.path("l"), 4);
  Running run(directory.path("l"));
  CHECK(comes([&] { return run.keeper.stats().sealed == 3; }));
  CHECK(sealed(directory.path("l")) == std::vector<bool>{true, true, true, false});
  CHECK(run.said().empty());
  const std::vector<SegmentFile> files = list_segments(directory.path("l"));
  REQUIRE(run.notes.size() == 3);
  Digest before{};
  for (size_t i = 0; i < 3; i++) {
    CHECK_FALSE(is_live(files[i]));
    const SealedSegment segment(files[i].path);
    CHECK(segment.header().predecessor == before);
    before = segment.sha256();
    CHECK(run.notes[i] == SegmentNote{files[i].serial, before});
  }
}

TEST_CASE("a live file stays until its sealed one is on record", "[logging][keeper]") {
  TestDirectory directory;
  write(directory.path("l"), 2);
  Running run(directory.path("l"), true);
  CHECK(comes([&] { return run.keeper.stats().errors > 2; }));
  CHECK(is_live(list_segments(directory.path("l"))[0]));
  CHECK(run.said().size() == 1);  // once, however often it is tried
  CHECK_THAT(run.said()[0], Contains("the disk is full"));
  run.refuse = false;
  CHECK(comes([&] { return run.keeper.stats().sealed == 1; }));
  CHECK_FALSE(is_live(list_segments(directory.path("l"))[0]));
}

TEST_CASE("a segment that cannot be read is told, and kept", "[logging][keeper]") {
  TestDirectory directory;
  write(directory.path("l"), 2);
  const auto first = list_segments(directory.path("l"))[0].path;
  std::fstream(first, std::ios::in | std::ios::out).write("XXXX", 4);
  Running run(directory.path("l"));
  CHECK(comes([&] { return !run.said().empty(); }));
  CHECK_THAT(run.said()[0], Contains(first.string()));
  CHECK(std::filesystem::exists(first));
}

TEST_CASE("what is too old, or too much, goes when that is on record", "[logging][keeper]") {
  TestDirectory directory;
  const std::string l = directory.path("l");
  write(l, 5);
  const std::vector<SegmentFile> before = list_segments(l);
  const auto left = [&] {
    std::vector<uint64_t> serials;
    for (const SegmentFile& file : list_segments(l)) serials.push_back(file.serial);
    return serials;
  };
  SECTION("the oldest first, but not the last sealed one, nor what is written") {
    const Retention retention = GENERATE(Retention{.age_ms = 1000}, Retention{.bytes = 1});
    Running run(l, false, retention);
    run.now = kBegin + 2000;
    CHECK(comes([&] { return run.keeper.stats().retired == 3; }));
    CHECK(left() == std::vector<uint64_t>{4, 5});
    REQUIRE(run.retired.size() == 3);
    for (size_t i = 0; i < 3; i++) CHECK(run.retired[i] == run.notes[i]);
  }
  SECTION("also where a later one cannot be sealed") {
    std::fstream(before[3].path, std::ios::in | std::ios::out).write("XXXX", 4);
    {
      Running sealing(l);
      CHECK(comes([&] { return sealing.keeper.stats().errors != 0; }));
    }
    Running run(l, false, {.age_ms = 1000});
    run.now = kBegin + 2000;
    CHECK(comes([&] { return run.keeper.stats().retired == 2; }));
    CHECK(left() == std::vector<uint64_t>{3, 4, 5});
  }
  SECTION("nothing that is neither") {
    Running run(l, false, {.age_ms = 3000, .bytes = 1'000'000});
    run.now = kBegin + 2000;
    CHECK(comes([&] { return run.keeper.stats().sealed == 4; }));
    std::this_thread::sleep_for(100ms);
    CHECK(left().size() == 5);
  }
  SECTION("nothing whose going cannot be put on record") {
    {
      Running sealing(l);
      CHECK(comes([&] { return sealing.keeper.stats().sealed == 4; }));
    }
    Running run(l, true, {.bytes = 1});
    CHECK(comes([&] { return run.keeper.stats().errors > 2; }));
    CHECK(left().size() == 5);
  }
}
