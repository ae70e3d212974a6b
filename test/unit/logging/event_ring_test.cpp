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
  std::snprintf(e.instance, sizeof e.instance, "%u", static_cast<unsigned>(n % 1000));
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
  EventRing ring(path, capacity);
  for (uint64_t n = 1; n <= 3; ++n) REQUIRE(ring.push(event(n)));
  return path;
}

}  // namespace

TEST_CASE("a ring gives events back in order and refuses when full", "[logging][ring]") {
  TestDirectory directory;
  for (bool file : {false, true}) {
    auto ring =
        file ? std::make_unique<EventRing>(directory.path("ring"), 4) : std::make_unique<EventRing>(4);
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

TEST_CASE("the mark of a start or end finds room in a full ring", "[logging][ring]") {
  TestDirectory directory;
  EventRing ring(directory.path("ring"), 4);
  for (uint64_t n = 1; n <= 4; ++n) CHECK(ring.push(event(n)));
  ring.mark(EventKind::stopped, 77, 3);
  REQUIRE(ring.waiting() == 5);
  CHECK(ring.peek(4)->kind == EventKind::stopped);
  CHECK(ring.peek(4)->time == 77);
  CHECK(ring.peek(4)->worker == 3);
  CHECK(ring.peek(4)->sequence == 5);
  SECTION("a second one in a row tells nothing new") {
    ring.mark(EventKind::started, 78, 3);
    CHECK(ring.waiting() == 5);
  }
  SECTION("it is no room for anything else") {
    CHECK_FALSE(ring.push(event(6)));
    ring.release(1);
    CHECK_FALSE(ring.push(event(6)));
    ring.release(1);
    CHECK(ring.push(event(6)));
    CHECK(whole(*ring.peek(3), 6));
  }
  CHECK(whole(*ring.peek(0), ring.peek(0)->sequence));
}

TEST_CASE("a mark in a full ring outlives its process", "[logging][ring]") {
  TestDirectory directory;
  {
    EventRing ring(directory.path("ring"), 2);
    CHECK(ring.push(event(1)));
    CHECK(ring.push(event(2)));
    ring.mark(EventKind::stopped, 3, 0);
  }
  EventRing ring(directory.path("ring"), 2);
  CHECK(ring.recovered() == 3);
  REQUIRE(ring.waiting() == 3);
  CHECK(whole(*ring.peek(1), 2));
  CHECK(ring.peek(2)->kind == EventKind::stopped);
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

TEST_CASE("a new process finds unread events, whatever capacity it asks for", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  EventRing ring(path, 1000);
  CHECK(ring.recovered() == 3);
  CHECK(ring.damaged() == 0);
  CHECK(ring.capacity() == 8);
  for (uint64_t n = 1; n <= 3; ++n) {
    CHECK(whole(*ring.peek(), n));
    ring.release(1);
  }
  CHECK(ring.push(event(4)));
  CHECK(ring.peek()->sequence == 4);
}

TEST_CASE("an emptied ring takes the new capacity and goes on counting", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  {
    EventRing(path, 8).release(3);
  }
  EventRing ring(path, 16);
  CHECK(ring.capacity() == 16);
  CHECK(ring.recovered() == 0);
  REQUIRE(ring.push(event(4)));
  CHECK(whole(*ring.peek(), 4));
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
      EventRing ring(path, 64);
      for (uint64_t n = 1;; ++n) {
        while (!ring.push(event(n))) ring.release(7);
        acknowledged->store(n);
      }
    }
    while (*acknowledged < 1000) std::this_thread::yield();
    usleep(static_cast<useconds_t>(137 * round));
    kill(child, SIGKILL);
    REQUIRE(waitpid(child, nullptr, 0) == child);

    EventRing ring(path, 64);
    REQUIRE(ring.recovered() == ring.waiting());
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
  EventRing ring(directory.path("ring"), 8);
  CHECK_THROWS_WITH(EventRing(directory.path("ring"), 8),
                    Contains(directory.path("ring")) && Contains("another process uses it"));
  CHECK(ring.push(event(1)));
}

TEST_CASE("a file that is not a ring is refused with path and remedy, and left as it is", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  const auto size = std::filesystem::file_size(path);
  SECTION("other contents") {
    std::ofstream(path) << std::string(size, 'x');
    CHECK_THROWS_WITH(EventRing(path, 8),
                      Contains(path) && Contains("is not an event ring") && Contains("move"));
  }
  SECTION("a few bytes") {
    std::ofstream(path) << "hello";
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("5 bytes cannot be a ring"));
    CHECK(std::filesystem::file_size(path) == 5);
  }
  SECTION("cut short") {
    std::filesystem::resize_file(path, size - 1);
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("says it holds 8 events"));
  }
  SECTION("another version") {
    const uint32_t version = 77;
    overwrite(path, 8, &version, 4);
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("version 77"));
  }
  SECTION("a capacity larger than the file") {
    const uint32_t capacity = 0xffffffff;
    overwrite(path, 16, &capacity, 4);
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("says it holds 4294967295 events"));
  }
  SECTION("more waiting than there is room for") {
    const uint64_t head = uint64_t{1} << 60;
    overwrite(path, 64, &head, 8);
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("of a capacity of 8"));
  }
  SECTION("consumed before pushed") {
    const uint64_t tail = 4;
    overwrite(path, 128, &tail, 8);
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("3 events were pushed and 4 consumed"));
  }
  SECTION("an event that its own process cannot have written") {
    const uint8_t kind = 99;
    overwrite(path, second_event(offsetof(Event, kind)), &kind, 1);
    CHECK_THROWS_WITH(EventRing(path, 8), Contains("1 of 3 waiting events are corrupt"));
  }
  SECTION("a directory") {
    CHECK_THROWS_WITH(EventRing(directory.path(""), 8), Contains("cannot be opened"));
  }
  SECTION("a symbolic link") {
    std::filesystem::create_symlink(path, directory.path("link"));
    CHECK_THROWS_WITH(EventRing(directory.path("link"), 8), Contains("cannot be opened"));
  }
}

TEST_CASE("an event torn by a crash of the machine is put on record as lost", "[logging][ring]") {
  TestDirectory directory;
  const std::string path = left_behind(directory);
  const char other_boot[] = "another boot";
  const uint64_t stale = 0;                  // the page with event 2 never reached the disk
  for (int start = 0; start < 2; ++start) {  // the second start finds what the first made of it
    if (start == 0) {
      overwrite(path, 24, other_boot, sizeof other_boot);
      overwrite(path, second_event(offsetof(Event, sequence)), &stale, 8);
    }
    EventRing ring(path, 8);
    CHECK(ring.recovered() == 3);
    CHECK(ring.damaged() == (start == 0 ? 1 : 0));
    REQUIRE(ring.waiting() == 3);
    CHECK(whole(*ring.peek(0), 1));
    CHECK(ring.peek(1)->kind == EventKind::record_lost);
    CHECK(ring.peek(1)->sequence == 2);
    CHECK(whole(*ring.peek(2), 3));
  }
}

TEST_CASE("a ring that cannot have its disk blocks is refused at opening", "[logging][ring]") {
  TestDirectory directory;
  if (!directory.mount_tmpfs("size=64k")) return;  // needs root
  CHECK_THROWS_WITH(EventRing(directory.path("ring"), 100'000),
                    Contains("are not to be had") && Contains("make room"));
  CHECK_NOTHROW(EventRing(directory.path("ring"), 100));
}

TEST_CASE("ring files of workers there are no longer are found", "[logging][ring]") {
  TestDirectory directory;
  for (const char* name :
       {"events.0.ring", "events.1.ring", "events.12.ring", "events.x.ring", "events.3.ring.old"}) {
    std::ofstream(directory.path(name)) << "";
  }
  CHECK(ring_files_from(directory.path(""), 1) ==
        std::vector<std::pair<std::string, unsigned>>{{directory.path("events.1.ring"), 1},
                                                      {directory.path("events.12.ring"), 12}});
  CHECK(ring_files_from(directory.path("nowhere"), 0).empty());
  CHECK(ring_path("/d", 3) == "/d/events.3.ring");
}
