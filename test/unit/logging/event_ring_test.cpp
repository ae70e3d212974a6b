// The event ring: order, fullness, and what it keeps when its process is killed or its file is tampered with.
#include "logging/event_ring.h"

#include <fcntl.h>
#include <rapidcheck.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <thread>

#include "test_directory.h"

using namespace culvert::logging;
using Catch::Matchers::Contains;
using culvert::test::TestDirectory;

namespace {

/// An event whose fields all say `n`, so that a mixture of two is seen.
Event event(uint64_t n) {
  Event e;
  e.time = n;
  e.subscriber = culvert::net::Ipv6Address::from_halves(n, ~n);
  e.external = culvert::net::Ipv4Address(static_cast<uint32_t>(n));
  e.first_port = e.last_port = static_cast<uint16_t>(n);
  e.destination = culvert::net::Ipv4Address(static_cast<uint32_t>(~n));
  e.lifetime = static_cast<uint32_t>(n);
  return e;
}

bool whole(const Event& e, uint64_t n) {
  Event expected = event(n);
  expected.sequence = n;
  return std::memcmp(&e, &expected, sizeof e) == 0;
}

void overwrite(const std::string& path, long at, const void* bytes, size_t n) {
  std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
  f.seekp(at);
  f.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(n));
  REQUIRE(f.good());
}

/// Where in the file a field of the second event lies.
long second_event(size_t field) { return static_cast<long>(4096 + sizeof(Event) + field); }

/// A ring file whose process ended with events 1–3 unread.
std::string left_behind(const TestDirectory& directory, uint32_t capacity = 8) {
  const std::string path = directory.path("ring");
  EventRing ring(path, capacity, 1);
  for (uint64_t n = 1; n <= 3; ++n) REQUIRE(ring.push(event(n)));
  return path;
}

}  // namespace

TEST_CASE("a ring gives events back in order and refuses when full", "[logging][ring]") {
  TestDirectory directory;
  for (bool file : {false, true}) {
    auto ring =
        file ? std::make_unique<EventRing>(directory.path("ring"), 4, 1) : std::make_unique<EventRing>(4);
    CHECK(ring->capacity() == 4);
    CHECK(ring->peek() == nullptr);
    for (uint64_t n = 1; n <= 4; ++n) CHECK(ring->push(event(n)));
    CHECK_FALSE(ring->push(event(5)));
    CHECK(ring->waiting() == 4);
    CHECK(whole(*ring->peek(), 1));
    CHECK(whole(*ring->peek(3), 4));
    CHECK(ring->peek(4) == nullptr);
    ring->release(2);
    CHECK(ring->push(event(5)));
    CHECK(whole(*ring->peek(), 3));
    CHECK(ring->waiting() == 3);
  }
}

TEST_CASE("any order of pushes and releases behaves like a bounded queue", "[logging][ring]") {
  CHECK(rc::check("ring == deque", [] {
    EventRing ring(*rc::gen::inRange<uint32_t>(1, 9));
    std::deque<uint64_t> model;
    uint64_t pushed = 0;
    for (unsigned step : *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0u, 6u))) {
      if (step < 4) {
        const bool room = model.size() < ring.capacity();
        RC_ASSERT(ring.push(event(pushed + 1)) == room);
        if (room) model.push_back(++pushed);
      } else if (!model.empty()) {
        RC_ASSERT(whole(*ring.peek(), model.front()));
        ring.release(1);
        model.pop_front();
      }
      RC_ASSERT(ring.waiting() == model.size());
    }
  }));
}

TEST_CASE("producer and consumer in two threads lose and tear nothing", "[logging][ring]") {
  EventRing ring(16);
  constexpr uint64_t kEvents = 200'000;
  std::thread producer([&ring] {
    for (uint64_t n = 1; n <= kEvents;) {
      if (ring.push(event(n))) {
        n++;
      } else {
        std::this_thread::yield();
      }
    }
  });
  uint64_t bad = 0;
  for (uint64_t n = 1; n <= kEvents;) {
    const Event* e = ring.peek();
    if (e == nullptr) {
      std::this_thread::yield();
      continue;
    }
    bad += whole(*e, n) ? 0 : 1;
    ring.release(1);
    n++;
  }
  producer.join();
  CHECK(bad == 0);
}

TEST_CASE("a new process finds unread events", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  EventRing ring(path);
  CHECK(ring.damaged() == 0);
  CHECK(ring.capacity() == 8);
  CHECK(ring.epoch() == 1);
  REQUIRE(ring.waiting() == 3);
  for (uint64_t n = 1; n <= 3; ++n) {
    CHECK(whole(*ring.peek(), n));
    ring.release(1);
  }
}

TEST_CASE("a new process finds events of each kind", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = directory.path("ring");
  {
    EventRing ring(path, 16, 1);
    for (auto k = EventKind::block_allocated; k <= kLastEventKind;
         k = static_cast<EventKind>(static_cast<uint8_t>(k) + 1)) {
      Event e;
      e.kind = k;
      REQUIRE(ring.push(e));
    }
  }
  EventRing ring(path);
  CHECK(ring.waiting() == static_cast<uint32_t>(kLastEventKind));
  CHECK(ring.damaged() == 0);
}

TEST_CASE("a ring whose events are on record is made anew", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  CHECK_THROWS_WITH(EventRing(path, 16, 2), Contains("3 events in it are not on record"));
  EventRing(path).release(3);
  EventRing ring(path, 16, 2);
  CHECK(ring.capacity() == 16);
  CHECK(ring.epoch() == 2);
  CHECK(ring.waiting() == 0);
  REQUIRE(ring.push(event(1)));
  CHECK(whole(*ring.peek(), 1));
}

TEST_CASE("a ring whose making was cut short is an empty one", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = directory.path("ring");
  SECTION("nothing was written") { std::ofstream(path) << ""; }
  SECTION("its blocks were taken") { std::ofstream(path) << std::string(8192, '\0'); }
  CHECK(EventRing(path).waiting() == 0);
  CHECK(EventRing(path, 8, 1).capacity() == 8);
}

TEST_CASE("kill -9 at any moment leaves whole events without gaps", "[logging][ring]") {
  TestDirectory directory;
  // The child tells through shared memory how far it got for certain.
  auto* acknowledged = static_cast<std::atomic<uint64_t>*>(
      mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(acknowledged != MAP_FAILED);
  for (int round = 0; round < 20; ++round) {
    const std::string path = directory.path("ring" + std::to_string(round));
    *acknowledged = 0;
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      EventRing ring(path, 64, 1);
      for (uint64_t n = 1;; ++n) {
        while (!ring.push(event(n))) ring.release(7);
        acknowledged->store(n);
      }
    }
    while (*acknowledged < 1000) std::this_thread::yield();
    usleep(static_cast<useconds_t>(137 * round));
    kill(child, SIGKILL);
    REQUIRE(waitpid(child, nullptr, 0) == child);

    EventRing ring(path);
    uint64_t n = 0;
    for (uint32_t i = 0; i < ring.waiting(); ++i) {
      const Event& e = *ring.peek(i);
      if (i != 0) REQUIRE(e.sequence == n + 1);
      n = e.sequence;
      REQUIRE(whole(e, n));
    }
    CHECK(n >= *acknowledged);
  }
  munmap(acknowledged, sizeof(uint64_t));
}

TEST_CASE("a ring file belongs to one process at a time", "[logging][ring]") {
  TestDirectory directory;
  EventRing ring(directory.path("ring"), 8, 1);
  CHECK_THROWS_WITH(EventRing(directory.path("ring"), 8, 2),
                    Contains(directory.path("ring")) && Contains("another process uses it"));
  CHECK(ring.push(event(1)));
}

TEST_CASE("a file that is not a ring is refused with path and remedy, and left as it is", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  const auto size = std::filesystem::file_size(path);
  SECTION("other contents") {
    std::ofstream(path) << std::string(size, 'x');
    CHECK_THROWS_WITH(EventRing(path),
                      Contains(path) && Contains("is not an event ring") && Contains("move"));
  }
  SECTION("a few bytes") {
    std::ofstream(path) << "hello";
    CHECK_THROWS_WITH(EventRing(path), Contains("5 bytes cannot be a ring"));
    CHECK(std::filesystem::file_size(path) == 5);
  }
  SECTION("cut short") {
    std::filesystem::resize_file(path, size - 1);
    CHECK_THROWS_WITH(EventRing(path), Contains("says it holds 8 events"));
  }
  SECTION("another version") {
    const uint32_t version = 77;
    overwrite(path, 8, &version, 4);
    CHECK_THROWS_WITH(EventRing(path), Contains("version 77"));
  }
  SECTION("a capacity larger than the file") {
    const uint32_t capacity = 0xffffffff;
    overwrite(path, 16, &capacity, 4);
    CHECK_THROWS_WITH(EventRing(path), Contains("says it holds 4294967295 events"));
  }
  SECTION("more waiting than there is room for") {
    const uint64_t head = uint64_t{1} << 60;
    overwrite(path, 128, &head, 8);
    CHECK_THROWS_WITH(EventRing(path), Contains("of a capacity of 8"));
  }
  SECTION("consumed before pushed") {
    const uint64_t tail = 4;
    overwrite(path, 192, &tail, 8);
    CHECK_THROWS_WITH(EventRing(path), Contains("3 events were pushed and 4 consumed"));
  }
  SECTION("an event that its own process cannot have written") {
    const uint8_t kind = 99;
    overwrite(path, second_event(offsetof(Event, kind)), &kind, 1);
    CHECK_THROWS_WITH(EventRing(path), Contains("1 of 3 waiting events are corrupt"));
  }
  SECTION("a directory") { CHECK_THROWS_WITH(EventRing(directory.path("")), Contains("cannot be opened")); }
  SECTION("a symbolic link") {
    std::filesystem::create_symlink(path, directory.path("link"));
    CHECK_THROWS_WITH(EventRing(directory.path("link")), Contains("cannot be opened"));
  }
}

TEST_CASE("an event torn by a crash of the machine is put on record as lost", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  const char other_boot[] = "another boot";
  const uint64_t stale = 0;  // the page with event 2 never reached the disk
  overwrite(path, 32, other_boot, sizeof other_boot);
  overwrite(path, second_event(offsetof(Event, sequence)), &stale, 8);
  EventRing ring(path);
  CHECK(ring.damaged() == 1);
  REQUIRE(ring.waiting() == 3);
  CHECK(whole(*ring.peek(0), 1));
  CHECK(ring.peek(1)->kind == EventKind::record_lost);
  CHECK(ring.peek(1)->sequence == 2);
  CHECK(whole(*ring.peek(2), 3));
}

TEST_CASE("a ring that cannot have its disk blocks is refused at opening", "[logging][ring]") {
  TestDirectory directory;
  if (!directory.mount_tmpfs("size=64k")) return;  // needs root
  CHECK_THROWS_WITH(EventRing(directory.path("ring"), 100'000, 1),
                    Contains("are not to be had") && Contains("make room"));
  CHECK_NOTHROW(EventRing(directory.path("ring"), 100, 1));
}

TEST_CASE("ring files are found, and whose they are", "[logging][ring]") {
  TestDirectory directory;
  for (const char* name :
       {"events.0.ring", "events.1.ring", "events.12.ring", "events.x.ring", "events.3.ring.old"}) {
    std::ofstream(directory.path(name)) << "";
  }
  CHECK(ring_files(directory.path("")) ==
        std::vector<std::pair<std::string, unsigned>>{{directory.path("events.0.ring"), 0},
                                                      {directory.path("events.1.ring"), 1},
                                                      {directory.path("events.12.ring"), 12}});
  CHECK(ring_files(directory.path("nowhere")).empty());
  CHECK(ring_path("/d", 3) == "/d/events.3.ring");
}
