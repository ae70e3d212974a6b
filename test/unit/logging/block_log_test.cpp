// The block log's line, and what happens to records when their disk is full, gone or slow.
#include "logging/block_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "test_directory.h"

using namespace culvert::logging;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using culvert::net::Ipv4Address;
using culvert::net::Ipv6Address;
using culvert::test::TestDirectory;

namespace {

Event event(const char* subscriber, uint8_t length) {
  Event e;
  e.time = 1795223527123;
  e.sequence = 1;
  e.subscriber = *Ipv6Address::parse(subscriber);
  e.subscriber_length = length;
  e.external = *Ipv4Address::parse("203.0.113.5");
  e.first_port = 1024;
  e.last_port = 1535;
  std::strcpy(e.instance, "homes");
  return e;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream f(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(f, line);) lines.push_back(line);
  return lines;
}

void push(EventRing& ring, unsigned n) {
  for (unsigned i = 0; i < n; ++i) REQUIRE(ring.push(event("2001:db8:1::", 56)));
}

/// Waits for the log thread; false after five seconds.
template <typename Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

/// Every line whole, sequences without gaps (a line may be there twice after trouble).
void check_complete(const std::vector<std::string>& lines, unsigned records) {
  unsigned next = 1;
  for (const auto& line : lines) {
    Event e = event("2001:db8:1::", 56);
    e.sequence = next;
    if (line == format_event(e)) next++;
  }
  CHECK(next == records + 1);
}

}  // namespace

TEST_CASE("a record is one line of text", "[logging][block_log]") {
  Event e = event("2001:db8:1::", 56);
  CHECK(format_event(e) ==
        "2026-11-21T01:12:07.123Z block-allocated subscriber=2001:db8:1::/56 external=203.0.113.5 "
        "ports=1024-1535 instance=homes reason=first-packet worker=0 sequence=1");
  e.kind = EventKind::block_released;
  e.reason = EventReason::idle;
  e.peak = 17;
  e.worker = 3;
  e.sequence = 99;
  CHECK(format_event(e) ==
        "2026-11-21T01:12:07.123Z block-released subscriber=2001:db8:1::/56 external=203.0.113.5 "
        "ports=1024-1535 instance=homes reason=idle worker=3 sequence=99 peak-mappings=17");
  CHECK_THAT(format_event(event("::ffff:100.64.1.2", 128)), Contains("subscriber=100.64.1.2 "));
  CHECK_THAT(format_event(event("::ffff:100.64.1.0", 120)), Contains("subscriber=100.64.1.0/24 "));
  CHECK_THAT(format_event(event("2001:db8::5", 128)), Contains("subscriber=2001:db8::5 "));
}

TEST_CASE("the mark of a start or end names its worker only", "[logging][block_log]") {
  Event e;
  e.time = 1795223527123;
  e.kind = EventKind::started;
  e.worker = 3;
  e.sequence = 9;
  CHECK(format_event(e) == "2026-11-21T01:12:07.123Z started worker=3 sequence=9");
  e.kind = EventKind::stopped;
  CHECK_THAT(format_event(e), Contains("Z stopped worker=3"));
}

TEST_CASE("a record of arbitrary bytes is still one line", "[logging][block_log]") {
  Event e;
  std::memset(static_cast<void*>(&e), 0xff, sizeof e);
  CHECK_THAT(format_event(e), Contains("9999-12-31T23:59:59.999Z unknown") && Contains("reason=unknown"));
  e = event("::1", 128);
  std::memcpy(e.instance, "a\nb c\0", 6);
  CHECK_THAT(format_event(e), Contains("instance=a?b?c reason"));
  std::memset(e.instance, 'x', sizeof e.instance);
  CHECK_THAT(format_event(e), Contains("instance=xxxxxxxxxxxxxxxx reason"));
}

TEST_CASE("draining appends lines and releases their events", "[logging][block_log]") {
  TestDirectory directory;
  const std::string path = directory.path("deep/er/blocks.log");
  EventRing ring(5000);
  push(ring, 3000);  // several writes
  {
    BlockLog log(path);
    CHECK(log.drain(ring) == 3000);
    CHECK(log.error() == 0);
    CHECK(ring.waiting() == 0);
  }
  push(ring, 2);
  BlockLog log(path);
  CHECK(log.drain(ring) == 2);
  log.sync();
  CHECK(lines_of(path).size() == 3002);
  check_complete(lines_of(path), 3002);
}

TEST_CASE("a log that cannot be opened says path, reason and remedy", "[logging][block_log]") {
  TestDirectory directory;
  CHECK_THROWS_WITH(BlockLog(directory.path("")),
                    Contains(directory.path("")) && Contains("Is a directory") && Contains("block-log"));
}

TEST_CASE("a full disk keeps every event in its ring", "[logging][block_log]") {
  EventRing ring(10);
  push(ring, 10);
  BlockLog log("/dev/full");
  CHECK(log.drain(ring) == 0);
  CHECK(log.error() == ENOSPC);
  CHECK(ring.waiting() == 10);
  CHECK_FALSE(ring.push(event("::1", 128)));  // the worker's cue to refuse
}

TEST_CASE("a disk that fills up in the middle of a line loses and tears nothing", "[logging][block_log]") {
  TestDirectory directory;
  if (!directory.mount_tmpfs("size=32k")) return;  // needs root
  const std::string path = directory.path("blocks.log"), ballast = directory.path("ballast");
  std::ofstream(ballast) << std::string(16384, 'x');
  EventRing ring(500), other(500);
  push(ring, 200);  // some 29 kB
  BlockLog log(path);
  const size_t first = log.drain(ring);
  CHECK(first > 50);
  CHECK(first < 200);
  CHECK(log.error() == ENOSPC);
  CHECK(ring.waiting() == 200 - first);
  CHECK(std::filesystem::file_size(path) == 16384);  // not a whole number of lines
  CHECK(log.drain(ring) == 0);
  push(other, 1);

  SECTION("and goes on where it stopped, also when asked for another ring first") {
    std::filesystem::remove(ballast);
    CHECK(log.drain(other) == 1);
    CHECK(log.error() == 0);
    CHECK(log.drain(ring) == 0);
    const auto lines = lines_of(path);
    CHECK(lines.size() == 201);
    check_complete(lines, 200);
  }
  SECTION("and a new process writes the torn line again") {
    std::filesystem::remove(ballast);
    BlockLog next(path);
    CHECK(next.drain(ring) == 200 - first);
    const auto lines = lines_of(path);
    CHECK(lines.size() == 201);  // with the torn one
    check_complete(lines, 200);
  }
  SECTION("and a new file begins with a whole line") {
    std::filesystem::rename(path, ballast);
    REQUIRE(truncate(ballast.c_str(), 0) == 0);
    log.reopen();
    CHECK(log.drain(ring) == 200 - first);
    CHECK(lines_of(path).size() == 200 - first);
  }
}

TEST_CASE("reopening follows logrotate, and keeps the old file when it cannot", "[logging][block_log]") {
  TestDirectory directory;
  const std::string path = directory.path("log/blocks.log");
  EventRing ring(10);
  BlockLog log(path);
  push(ring, 1);
  log.drain(ring);
  std::filesystem::rename(path, directory.path("old"));
  log.reopen();
  push(ring, 2);
  log.drain(ring);
  CHECK(lines_of(directory.path("old")).size() == 1);
  CHECK(lines_of(path).size() == 2);

  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK_THROWS_WITH(log.reopen(), Contains("Is a directory"));
  push(ring, 1);
  CHECK(log.drain(ring) == 1);
}

TEST_CASE("the log thread writes what workers push, and the rest at its end", "[logging][block_log]") {
  TestDirectory directory;
  const std::string path = directory.path("blocks.log");
  EventRing a(10000), b(10000);
  BlockLog log(path);
  std::atomic<int> complaints{0};
  {
    LogThread thread(log, {&a, &b}, [&complaints](const std::string&) { complaints++; });
    push(a, 5000);
    CHECK(soon([&] { return thread.written() == 5000; }));
    std::filesystem::rename(path, directory.path("old"));
    thread.request_reopen();
    CHECK(soon([&] { return std::filesystem::exists(path); }));
    push(b, 7000);
  }
  CHECK(complaints == 0);
  CHECK(lines_of(directory.path("old")).size() == 5000);
  check_complete(lines_of(path), 7000);
}

TEST_CASE("the log thread complains once about a full disk and once when it is over",
          "[logging][block_log]") {
  TestDirectory directory;
  if (!directory.mount_tmpfs("size=32k")) return;  // needs root
  const std::string path = directory.path("blocks.log"), ballast = directory.path("ballast");
  std::ofstream(ballast) << std::string(32768, 'x');
  EventRing ring(10);
  BlockLog log(path);
  std::mutex mutex;
  std::vector<std::string> said;
  {
    LogThread thread(log, {&ring}, [&](const std::string& text) {
      std::lock_guard lock(mutex);
      said.push_back(text);
    });
    push(ring, 10);
    CHECK(soon([&] { return thread.write_errors() >= 3; }));
    CHECK(thread.failing());
    CHECK(ring.waiting() == 10);
    std::filesystem::remove(ballast);
    CHECK(soon([&] { return thread.written() == 10; }));
    CHECK_FALSE(thread.failing());
  }
  REQUIRE(said.size() == 2);
  CHECK_THAT(said[0], Contains(path) && Contains("No space left"));
  CHECK_THAT(said[1], Contains("can be written again"));
  check_complete(lines_of(path), 10);
}
