// The ledger as its writer has it: what it puts into its files, and what it finds there again.
#include "logging/ledger/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "ledger_writing.h"
#include "test_directory.h"

using namespace culvert::logging;
using namespace culvert::logging::ledger;
using namespace culvert::test;
using Catch::Matchers::Contains;
using Commit = Ledger::Commit;
using Kind = Entry::Kind;

namespace {

constexpr uint64_t kDay = 86'400'000;

std::vector<std::string> told;
void tell(const std::string& text) { told.push_back(text); }

Ledger open(const TestDirectory& directory, uint64_t now = kBegin,
            uint32_t segment_events = kMaxSegmentEvents) {
  told.clear();
  return Ledger(directory.path("l"), now, {.tell = tell, .segment_events = segment_events});
}
size_t segments(const TestDirectory& directory) { return list_segments(directory.path("l")).size(); }
/// The last segment's file.
std::string last(const TestDirectory& directory) { return list_segments(directory.path("l")).back().path; }

}  // namespace

TEST_CASE("what is put in is told, in order, with its ordinals", "[logging][ledger]") {
  TestDirectory directory;
  Ledger ledger = open(directory);
  ledger.define(homes(), kBegin);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  ledger.take(allocated(kBegin + 5, 1, 1, 0), 0, 9);
  ledger.take(allocated(kBegin + 7, 1, 2, 1), 1, 9);
  ledger.take(released(kBegin + 9, 2, 1, 0), 0, 9);
  CHECK(ledger.pending());
  REQUIRE(ledger.commit(kBegin + 10) == Commit::done);
  CHECK_FALSE(ledger.pending());

  const Told is(directory.path("l"));
  CHECK(is.ordinals() == std::vector<uint64_t>{1, 2, 3});
  CHECK(is.held == std::map<uint16_t, std::string>{{1536, "100.64.0.2"}});
  CHECK(is.faults.empty());
  const Entry& release = is.entries.back();
  CHECK(release.kind == Kind::block_released);
  CHECK(release.time == kBegin + 9);
  CHECK(release.since == kBegin + 5);
  CHECK(release.peak == 7);
  CHECK(release.reason == Reason::idle);
  CHECK(release.instance == "homes");
  CHECK(release.worker == 0);
  CHECK(release.external.text() == "192.0.2.1");
  CHECK(release.first_port == 1024);
  CHECK(release.last_port == 1535);
}

TEST_CASE("explicit mappings and sessions are told with both their ends", "[logging][ledger]") {
  TestDirectory directory;
  Ledger ledger = open(directory);
  ledger.define(homes(), kBegin);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  Event e;
  e.time = kBegin;
  e.sequence = 1;
  e.kind = EventKind::mapping_created;
  e.subscriber = *culvert::net::Ipv6Address::parse("2001:db8:1:2::3");
  e.subscriber_length = 56;
  e.external = culvert::net::Ipv4Address(0xc0000202);
  e.first_port = e.last_port = 8080;
  e.protocol = 6;
  e.origin = 2;
  e.lifetime = 3600;
  e.internal_port = 80;
  SECTION("behind a B4") {
    e.internal = culvert::net::Ipv4Address(0xc0a80102);
    ledger.take(e, 0, 1);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
    const Entry entry = Told(directory.path("l")).entries.back();
    CHECK(entry.internal == culvert::net::mapped(e.internal));
    CHECK(entry.subscriber.text() == "2001:db8:1::");
    CHECK(entry.subscriber_length == 56);
    CHECK(entry.lifetime == 3600);
    CHECK(entry.origin == Entry::Origin::pcp_map);
  }
  SECTION("with an address of his own, and a destination") {
    e.kind = EventKind::session_created;
    e.destination = culvert::net::Ipv4Address(0xc6336401);
    e.destination_port = 443;
    ledger.take(e, 0, 1);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
    const Entry entry = Told(directory.path("l")).entries.back();
    CHECK(entry.kind == Kind::session_created);
    CHECK(entry.internal == e.subscriber);
    CHECK(entry.destination == e.destination);
    CHECK(entry.destination_port == 443);
  }
  SECTION("one that left the configuration ends") {
    ledger.take(e, 0, 1);
    ledger.end_mapping({e.external.value(), 8080, 6}, kBegin + 1);
    REQUIRE(ledger.commit(kBegin + 1) == Commit::done);
    const Told is(directory.path("l"));
    CHECK(is.entries.back().kind == Kind::mapping_deleted);
    CHECK(is.entries.back().reason == Reason::configuration);
    CHECK(ledger.state().mappings().empty());
    CHECK(is.faults.empty());
  }
}

TEST_CASE("an event that the ledger has is not put in twice", "[logging][ledger]") {
  TestDirectory directory;
  {
    Ledger ledger = open(directory);
    ledger.define(homes(), kBegin);
    ledger.commit(kBegin);
    ledger.take(allocated(kBegin, 1, 1, 0), 0, 9);
    ledger.take(allocated(kBegin, 1, 1, 0), 0, 9);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
  }
  Ledger ledger = open(directory);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  ledger.take(allocated(kBegin, 1, 1, 0), 0, 9);
  CHECK_FALSE(ledger.pending());
  // The same numbers in another epoch are another event.
  ledger.take(released(kBegin, 1, 1, 0), 0, 10);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  const Told is(directory.path("l"));
  CHECK(is.ordinals() == std::vector<uint64_t>{1, 2});
  CHECK(is.held.empty());
}

TEST_CASE("how the run before ended is found", "[logging][ledger]") {
  TestDirectory directory;
  CHECK(open(directory).run_before() == CulvertdStarted::End::orderly);  // there was none
  {
    Ledger ledger = open(directory);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
  }
  CHECK(open(directory).run_before() == CulvertdStarted::End::crash);
  SECTION("in order") {
    {
      Ledger ledger = open(directory);
      REQUIRE(ledger.stop(kBegin) == Commit::done);
      CHECK_FALSE(ledger.pending());
    }
    CHECK(segments(directory) == 1);
    Ledger ledger = open(directory);
    CHECK(ledger.run_before() == CulvertdStarted::End::orderly);
    REQUIRE(ledger.commit(kBegin) == Commit::done);  // the next segment: a stop ended the last
    CHECK(segments(directory) == 2);
  }
  SECTION("with the machine") {
    std::ofstream(directory.path("l/lock")) << "another boot buffered\n";
    {
      Ledger ledger = open(directory, kBegin + 500);
      CHECK(ledger.run_before() == CulvertdStarted::End::machine_crash);
      CHECK(ledger.uncertain());
      REQUIRE(ledger.start("1.2", kBegin + 500) == Commit::done);
    }
    const Told is(directory.path("l"));
    REQUIRE(is.count(Kind::uncertain) == 1);
    CHECK(is.entries.back().uncertain_from == kBegin);
    CHECK(is.entries.back().uncertain_to == kBegin + 500);
  }
  SECTION("with the machine, while blocks waited for their records") {
    std::ofstream(directory.path("l/lock")) << "another boot strict\n";
    Ledger ledger = open(directory);
    CHECK(ledger.run_before() == CulvertdStarted::End::machine_crash);
    CHECK_FALSE(ledger.uncertain());
  }
}

TEST_CASE("a ledger has one writer", "[logging][ledger]") {
  TestDirectory directory;
  const Ledger ledger = open(directory);
  CHECK_THROWS_WITH(open(directory), Contains(directory.path("l")) && Contains("another culvertd"));
}

TEST_CASE("a ledger that cannot be made says path, reason and remedy", "[logging][ledger]") {
  TestDirectory directory;
  std::ofstream(directory.path("l")) << "a file";
  CHECK_THROWS_WITH(open(directory), Contains(directory.path("l")) && Contains("ledger-directory"));
}

TEST_CASE("what a crash left of a batch goes into a .cut file", "[logging][ledger]") {
  TestDirectory directory;
  {
    Ledger ledger = open(directory);
    ledger.define(homes(), kBegin);
    ledger.commit(kBegin);
    ledger.take(allocated(kBegin, 1, 1, 0), 0, 9);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
  }
  std::ofstream(last(directory), std::ios::app) << "half a batch";
  std::ofstream(directory.path("l/00000002-20231114T221320Z.live.new")) << "unfinished";
  {
    Ledger ledger = open(directory);
    REQUIRE(told.size() == 1);
    CHECK_THAT(told[0], Contains("12 bytes"));
    CHECK(ledger.state().held().size() == 1);
    ledger.take(released(kBegin + 1, 2, 1, 0), 0, 9);
    REQUIRE(ledger.commit(kBegin + 1) == Commit::done);
  }
  const Told is(directory.path("l"));
  CHECK(is.damaged == 0);
  CHECK(is.ordinals() == std::vector<uint64_t>{1, 2});
  CHECK(std::filesystem::exists(std::filesystem::path(last(directory)).replace_extension(".cut")));
  CHECK_FALSE(std::filesystem::exists(directory.path("l/00000002-20231114T221320Z.live.new")));
}

TEST_CASE("times go on behind the last one's, also over a restart", "[logging][ledger]") {
  TestDirectory directory;
  {
    Ledger ledger = open(directory);
    ledger.define(homes(), kBegin);
    ledger.commit(kBegin);
    ledger.take(allocated(kBegin + 5000, 1, 1, 0), 0, 9);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
  }
  Ledger ledger = open(directory, kBegin - 99'000);  // the system's clock was set back
  CHECK(ledger.last_time() == kBegin + 5000);
  ledger.take(released(kBegin + 1, 2, 1, 0), 0, 9);
  REQUIRE(ledger.next_segment(kBegin - 99'000) == Commit::done);
  const Told is(directory.path("l"));
  CHECK(is.entries.back().time == kBegin + 5000);
  CHECK(is.faults.empty());
  CHECK(ledger.last_time() == kBegin + 5000);
}

TEST_CASE("a segment ends at midnight UTC, and by events; who holds what goes on", "[logging][ledger]") {
  TestDirectory directory;
  Ledger ledger = open(directory, kBegin, 3);
  ledger.define(homes(), kBegin);
  ledger.commit(kBegin);
  for (uint16_t n = 0; n < 3; n++) {
    CHECK_FALSE(ledger.full());
    ledger.take(allocated(kBegin, n + 1u, 1, n), 0, 9);
  }
  CHECK(ledger.full());
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  CHECK(segments(directory) == 2);
  CHECK_FALSE(ledger.full());
  const uint64_t midnight = (kBegin / kDay + 1) * kDay;
  CHECK_FALSE(ledger.ripe(midnight - 1));
  CHECK(ledger.ripe(midnight));
  REQUIRE(ledger.commit(midnight) == Commit::done);
  CHECK(segments(directory) == 3);
  CHECK_THAT(last(directory), Contains("00000003-20231115T000000Z.live"));
  ledger.take(released(midnight + 1, 4, 1, 2), 0, 9);
  REQUIRE(ledger.commit(midnight + 1) == Commit::done);

  const Told is(directory.path("l"));
  CHECK(is.ordinals() == std::vector<uint64_t>{1, 2, 3, 4});
  CHECK(is.held.size() == 2);
  CHECK(is.entries.back().since == kBegin);
  CHECK(is.faults.empty());
}

TEST_CASE("a pool that gets blocks of another size ends the segment, and its blocks", "[logging][ledger]") {
  TestDirectory directory;
  Ledger ledger = open(directory);
  ledger.define(homes(), kBegin);
  ledger.commit(kBegin);
  ledger.take(allocated(kBegin, 1, 1, 0), 0, 9);
  REQUIRE(ledger.define(homes(1024), kBegin + 1));
  REQUIRE(ledger.next_segment(kBegin + 1) == Commit::done);
  ledger.take(allocated(kBegin + 2, 2, 2, 0, 1024), 0, 9);
  REQUIRE(ledger.commit(kBegin + 2) == Commit::done);
  CHECK(segments(directory) == 2);
  const Told is(directory.path("l"));
  CHECK(is.held == std::map<uint16_t, std::string>{{1024, "100.64.0.2"}});
  CHECK(is.entries.back().last_port == 2047);
  REQUIRE(is.count(Kind::block_released) == 1);
  const auto release = std::ranges::find(is.entries, Kind::block_released, &Entry::kind);
  CHECK(release->reason == Reason::restart);
  CHECK(is.faults.empty());
}

TEST_CASE("defining the same again writes nothing", "[logging][ledger]") {
  TestDirectory directory;
  Ledger ledger = open(directory);
  ledger.define(homes(), kBegin);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  CHECK_FALSE(ledger.define(homes(), kBegin));
  CHECK_FALSE(ledger.pending());
  Definitions more = homes();
  more.instances.push_back({"phones", Entry::Carriage::nat64});
  more.ranges.push_back({.instance = 1,
                         .first_address = culvert::net::Ipv4Address(0xcb007100),
                         .addresses = 1,
                         .first_port = 0,
                         .set_size = 65535,
                         .sets = 1});
  CHECK_FALSE(ledger.define(more, kBegin));
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  CHECK(segments(directory) == 1);
  CHECK(ledger.state().ranges().size() == 2);
}

TEST_CASE("an event of a pool that nobody defined is counted as lost, and told", "[logging][ledger]") {
  TestDirectory directory;
  Ledger ledger = open(directory);
  ledger.define(homes(), kBegin);
  ledger.commit(kBegin);
  told.clear();
  ledger.take(allocated(kBegin, 1, 1, 0, 333), 0, 9);
  Event e = allocated(kBegin, 2, 1, 0);
  e.external = culvert::net::Ipv4Address(1);
  ledger.take(e, 0, 9);
  e.kind = EventKind::mapping_created;
  e.sequence = 3;
  ledger.take(e, 0, 9);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  CHECK(told.size() == 3);
  const Told is(directory.path("l"));
  CHECK(is.count(Kind::record_lost) == 3);
  CHECK(is.ordinals() == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("a full disk is waited for, and nothing is lost or torn", "[logging][ledger]") {
  TestDirectory directory;
  if (!directory.mount_tmpfs("size=64k")) return;  // needs root
  Ledger ledger = open(directory);
  ledger.define(homes(), kBegin);
  REQUIRE(ledger.commit(kBegin) == Commit::done);
  const std::string filler = directory.path("filler");
  const int fd = ::open(filler.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  std::string page(4096, 'x');
  while (write(fd, page.data(), page.size()) > 0) continue;
  uint64_t sequence = 0;
  Commit result = Commit::done;
  while (result == Commit::done) {
    for (uint16_t n = 0; n < 60; n++) ledger.take(allocated(kBegin, ++sequence, 1, n), 0, 9);
    for (uint16_t n = 0; n < 60; n++) ledger.take(released(kBegin, ++sequence, 1, n), 0, 9);
    result = ledger.commit(kBegin);
    REQUIRE(sequence < 1'000'000);
  }
  CHECK(result == Commit::failed);
  CHECK_THAT(ledger.error(), Contains(last(directory)) && Contains("No space left"));
  CHECK(ledger.pending());
  CHECK(ledger.commit(kBegin) == Commit::failed);
  CHECK(Told(directory.path("l")).damaged == 0);
  SECTION("until there is room again") {
    REQUIRE(ftruncate(fd, 0) == 0);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
    CHECK(Told(directory.path("l")).ordinals().size() == sequence);
  }
  SECTION("the next segment, too") {
    REQUIRE(ftruncate(fd, 0) == 0);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
    while (write(fd, page.data(), page.size()) > 0) continue;
    // The end fits into the last page; the next one's beginning has no room.
    CHECK(ledger.next_segment(kBegin) == Commit::failed);
    CHECK(ledger.commit(kBegin) == Commit::failed);
    REQUIRE(ftruncate(fd, 0) == 0);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
    ledger.take(allocated(kBegin, ++sequence, 1, 0), 0, 9);
    REQUIRE(ledger.commit(kBegin) == Commit::done);
    CHECK(segments(directory) == 2);
    const Told is(directory.path("l"));
    CHECK(is.ordinals().size() == sequence);
    CHECK(is.faults.empty());
  }
  close(fd);
}
