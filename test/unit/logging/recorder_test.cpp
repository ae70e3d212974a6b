// From the rings of several workers into the ledger, over full disks, crashes and changed configurations.
#include "logging/recorder.h"

#include <fcntl.h>
#include <rapidcheck.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <fstream>
#include <thread>

#include "ledger_writing.h"
#include "test_directory.h"

using namespace culvert::logging;
using namespace culvert::logging::ledger;
using namespace culvert::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Commit = Ledger::Commit;
using Kind = Entry::Kind;

namespace {

std::unique_ptr<Ledger> begun(const TestDirectory& directory) {
  auto ledger = std::make_unique<Ledger>(directory.path("l"), kBegin,
                                         Ledger::Options{.tell = [](const std::string& t) { WARN(t); }});
  ledger->define(homes(), kBegin);
  REQUIRE(ledger->commit(kBegin) == Commit::done);
  return ledger;
}

/// Waits, at most 20 s, until it is so.
template <typename Condition>
bool comes(Condition condition) {
  for (int i = 0; i < 2000 && !condition(); i++) std::this_thread::sleep_for(10ms);
  return condition();
}

struct Running {
  std::atomic<uint64_t> now{kBegin};
  std::atomic<int64_t> ahead{0};
  std::mutex mutex;
  std::vector<std::string> complaints;
  std::optional<Recorder> recorder;

  Running(std::unique_ptr<Ledger> ledger, std::vector<EventRing*> rings,
          std::function<uint64_t()> moves = {}) {
    recorder.emplace(std::move(ledger), Recorder::Setup{.rings = std::move(rings),
                                                        .moves = std::move(moves),
                                                        .clock = [this] { return now.load(); },
                                                        .clock_ahead = [this] { return ahead.load(); },
                                                        .complain =
                                                            [this](const std::string& text) {
                                                              const std::lock_guard lock(mutex);
                                                              complaints.push_back(text);
                                                            },
                                                        .sync_every = 10ms,
                                                        .patience = 1s});
  }
  std::vector<std::string> said() {
    const std::lock_guard lock(mutex);
    return complaints;
  }
};

}  // namespace

TEST_CASE("several rings come out in the order of their times", "[logging][recorder]") {
  CHECK(rc::check("merged == sorted", [] {
    const auto workers = *rc::gen::inRange<size_t>(1, 5);
    std::deque<EventRing> rings;
    std::vector<EventMerge::Input> inputs;
    std::vector<std::tuple<uint64_t, uint8_t, uint64_t>> expected;
    for (size_t w = 0; w < workers; w++) {
      EventRing& ring = rings.emplace_back(64u);
      inputs.push_back({&ring, static_cast<uint8_t>(w)});
      uint64_t time = 100;
      const auto n = *rc::gen::inRange(0u, 40u);
      for (uint64_t i = 1; i <= n; i++) {
        Event e;
        e.time = time += *rc::gen::inRange(0u, 4u);
        RC_ASSERT(ring.push(e));
        expected.emplace_back(time, static_cast<uint8_t>(w), i);
      }
    }
    std::ranges::sort(expected);
    EventMerge merge(inputs);
    // Some of it, forgotten, and then all.
    merge.gather();
    const auto some = *rc::gen::inRange<size_t>(0, expected.size() + 1);
    for (size_t i = 0; i < some; i++) merge.next();
    merge.forget();
    merge.gather();
    std::vector<std::tuple<uint64_t, uint8_t, uint64_t>> got;
    while (const Event* e = merge.next()) {
      got.emplace_back(e->time, merge.input().worker, e->sequence);
      if (*rc::gen::inRange(0, 5) == 0) merge.release();
    }
    merge.release();
    RC_ASSERT(got == expected);
    for (const EventRing& ring : rings) RC_ASSERT(ring.waiting() == 0u);
  }));
}

TEST_CASE("a block that moves from worker to worker has its events in their order", "[logging][recorder]") {
  constexpr uint64_t kEvents = 200'000;
  EventRing first(4096u), second(4096u);
  std::atomic<uint64_t> moves{0};
  EventMerge merge({{&first, 0}, {&second, 1}}, [&] { return moves.load(); });
  std::jthread workers([&] {
    for (uint64_t n = 1; n <= kEvents; n++) {
      if (n % 4 == 0) moves++;
      Event e;
      e.time = n;
      EventRing& ring = n / 4 % 2 == 0 ? first : second;
      while (!ring.push(e)) std::this_thread::yield();
    }
  });
  uint64_t seen = 0, wrong = 0;
  while (seen < kEvents) {
    merge.gather();
    while (const Event* e = merge.next()) wrong += e->time == ++seen ? 0 : 1;
    merge.release();
  }
  CHECK(wrong == 0);
}

TEST_CASE("what workers push is on record, and the end of the run", "[logging][recorder]") {
  TestDirectory directory;
  EventRing a(5000), b(5000);
  {
    Running run(begun(directory), {&a, &b});
    for (uint64_t n = 1; n <= 1000; n++) {
      const auto block = static_cast<uint16_t>(n % 30);
      REQUIRE(a.push(n % 60 < 30 ? allocated(kBegin + n, 0, 1, block) : released(kBegin + n, 0, 1, block)));
      REQUIRE(b.push(n % 60 < 30 ? allocated(kBegin + n, 0, 2, static_cast<uint16_t>(30 + block))
                                 : released(kBegin + n, 0, 2, static_cast<uint16_t>(30 + block))));
    }
    CHECK(comes([&] { return a.waiting() == 0 && b.waiting() == 0; }));
    CHECK(run.recorder->stats().events == 2000);
    REQUIRE(a.push(allocated(kBegin + 1001, 0, 1, 50)));  // what comes last goes along
    CHECK(run.said().empty());
  }
  const Told is(directory.path("l"));
  CHECK(is.ordinals().size() == 2001);
  CHECK(is.entries.back().kind == Kind::culvertd_stopped);
  CHECK(is.damaged == 0);
  for (size_t i = 1; i < is.entries.size(); i++) REQUIRE(is.entries[i - 1].time <= is.entries[i].time);
}

TEST_CASE("a recorder with nothing to write says where the ledger ends", "[logging][recorder]") {
  TestDirectory directory;
  EventRing ring(10);
  {
    Running run(begun(directory), {&ring});
    REQUIRE(ring.push(allocated(kBegin + 1, 0, 1, 1)));
  }
  Running run(begun(directory), {&ring});
  CHECK(run.recorder->stats().end == 2);
}

TEST_CASE("a step of the system's clock is put on record", "[logging][recorder]") {
  TestDirectory directory;
  EventRing ring(8);
  {
    Running run(begun(directory), {&ring});
    run.now = kBegin + 10;
    run.ahead = -3'600'000;
    CHECK(comes([&] { return Told(directory.path("l")).count(Kind::clock) == 1; }));
    REQUIRE(ring.push(allocated(kBegin + 20, 0, 1, 0)));
    CHECK(comes([&] { return ring.waiting() == 0; }));
  }
  const Told is(directory.path("l"));
  const auto e = std::ranges::find(is.entries, Kind::block_allocated, &Entry::kind);
  REQUIRE(e != is.entries.end());
  CHECK(e->time == kBegin + 20);
  CHECK(e->system_time() == kBegin + 20 - 3'600'000);
}

TEST_CASE("midnight begins a segment without events, too", "[logging][recorder]") {
  TestDirectory directory;
  EventRing ring(8);
  Running run(begun(directory), {&ring});
  run.now = kBegin + 86'400'000;
  CHECK(comes([&] { return list_segments(directory.path("l")).size() == 2; }));
}

TEST_CASE("an event keeps its time, whatever is put in at a later one before it is written",
          "[logging][recorder]") {
  TestDirectory directory;
  EventRing ring(64);
  std::vector<uint64_t> times;
  {
    Running run(begun(directory), {&ring});
    uint64_t n = 0;
    for (uint64_t day = 1; day <= 10; day++) {
      const uint64_t midnight = (kBegin / 86'400'000 + day) * 86'400'000;
      const auto happens = [&](uint64_t time) {
        times.push_back(time);
        n++;
        REQUIRE(ring.push(n % 2 == 1 ? allocated(time, n, 1, 0) : released(time, n, 1, 0)));
      };
      happens(midnight - 40);
      run.now = midnight + 40;  // the next segment
      REQUIRE(comes([&] { return ring.waiting() == 0; }));
      happens(midnight + 50);
      run.ahead = static_cast<int64_t>(1000 * day);  // the system's clock is set
      run.now = midnight + 90;
      REQUIRE(comes([&] { return ring.waiting() == 0; }));
      happens(midnight + 100);
      run.now = midnight + 150;
      CHECK(run.recorder->note(Type::sealed, {.serial = 1}).empty());
    }
  }
  std::vector<uint64_t> told;
  const Told is(directory.path("l"));
  for (const Entry& e : is.entries)
    if (e.ordinal) told.push_back(e.time);
  CHECK(told == times);
}

TEST_CASE("definitions are on the disk when define() returns", "[logging][recorder]") {
  TestDirectory directory;
  EventRing ring(8);
  Running run(begun(directory), {&ring});
  Definitions more = homes();
  more.configuration.sha256[0] = 77;
  CHECK(run.recorder->define(more).empty());
  CHECK(Told(directory.path("l")).entries.back().text.starts_with("4d00"));
  REQUIRE(ring.push(allocated(kBegin, 0, 1, 0)));
  CHECK(run.recorder->define(homes(1024)).empty());
  CHECK(list_segments(directory.path("l")).size() == 2);
  CHECK(Told(directory.path("l")).held.empty());
}

TEST_CASE("a disk that hangs keeps nobody waiting, and what came too late is undone", "[logging][recorder]") {
  TestDirectory directory;
  EventRing ring(8);
  std::mutex disk;  // asked at each commit, as the disk is
  Running run(begun(directory), {&ring}, [&] {
    const std::lock_guard answers(disk);
    return uint64_t{0};
  });
  Definitions more = homes(), other = homes();
  more.configuration.sha256[0] = 77;
  other.configuration.sha256[0] = 78;
  const std::string too_late = "ledger: its disk has not answered for 1 s; nothing was changed";
  disk.lock();
  CHECK(run.recorder->define(more) == too_late);   // the recorder hangs in it
  CHECK(run.recorder->define(other) == too_late);  // and does not come to this
  disk.unlock();
  std::vector<std::string> configurations;
  CHECK(comes([&] {
    configurations.clear();
    const Told is(directory.path("l"));
    for (const Entry& e : is.entries)
      if (e.kind == Kind::configuration) configurations.push_back(e.text.substr(0, 4));
    return configurations.size() > 2;
  }));
  CHECK(configurations == std::vector<std::string>{"0000", "4d00", "0000"});
  CHECK(run.recorder->define(other).empty());
  CHECK(Told(directory.path("l")).entries.back().text.starts_with("4e00"));
}

TEST_CASE("a full disk is told once, events wait in their ring, and then all is written",
          "[logging][recorder]") {
  TestDirectory directory;
  if (!directory.mount_tmpfs("size=64k")) return;  // needs root
  EventRing ring(50'000);
  const int filler = ::open(directory.path("filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  uint64_t n = 0;
  {
    Running run(begun(directory), {&ring});
    while (write(filler, page.data(), page.size()) > 0) continue;
    const auto push = [&] {
      for (uint16_t b = 0; b < 60; b++) REQUIRE(ring.push(allocated(kBegin, ++n, 1, b)));
      for (uint16_t b = 0; b < 60; b++) REQUIRE(ring.push(released(kBegin, ++n, 1, b)));
    };
    for (int i = 0; i < 100; i++) push();
    CHECK(comes([&] { return run.recorder->stats().failing.load(); }));
    push();
    std::this_thread::sleep_for(300ms);
    CHECK(ring.waiting() > 0);
    CHECK(run.said().size() == 1);
    Definitions more = homes();
    more.configuration.sha256[0] = 1;
    CHECK_THAT(run.recorder->define(more), Contains("No space left") && Contains("nothing was changed"));
    REQUIRE(ftruncate(filler, 0) == 0);
    CHECK(comes([&] { return ring.waiting() == 0; }));
    CHECK_FALSE(run.recorder->stats().failing);
    CHECK(run.said().size() == 2);
    CHECK(run.recorder->define(more).empty());
  }
  close(filler);
  const Told is(directory.path("l"));
  CHECK(is.ordinals().size() == n);
  CHECK(is.faults.empty());
  CHECK(is.damaged == 0);
}

TEST_CASE("kill -9 at any moment: each event is on record once", "[logging][recorder]") {
  TestDirectory directory;
  uint64_t pushed = 0;
  for (uint64_t round = 1; round <= 12; round++) {
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // Exits by the parent's kill only; what it pushed for certain it tells through the pipe.
      close(pipes[0]);
      auto ledger = std::make_unique<Ledger>(directory.path("l"), kBegin,
                                             Ledger::Options{.tell = [](const std::string&) {}});
      recover_rings(directory.path("rings"), *ledger, kBegin);
      ledger->define(homes(), kBegin);
      while (ledger->next_segment(kBegin) != Commit::done) continue;
      EventRing a(ring_path(directory.path("rings"), 0), 4096, round);
      EventRing b(ring_path(directory.path("rings"), 1), 4096, round);
      const Recorder recorder(std::move(ledger), {.rings = {&a, &b},
                                                  .clock = [] { return kBegin; },
                                                  .clock_ahead = [] { return int64_t{0}; },
                                                  .complain = [](const std::string&) {},
                                                  .sync_every = 1ms});
      for (;;) {
        for (EventRing* ring : {&a, &b}) {
          Event e = allocated(kBegin, 0, 1, 0);
          e.kind = EventKind::session_created;
          while (!ring->push(e)) std::this_thread::yield();
          if (write(pipes[1], "x", 1) != 1) _exit(1);
        }
      }
    }
    close(pipes[1]);
    std::string told(65536, '\0');
    uint64_t here = 0;
    // The pipe holds 64 KiB: the child runs on while the moment of its death passes.
    while (here < 300 * round) here += static_cast<uint64_t>(read(pipes[0], told.data(), 64));
    usleep(static_cast<useconds_t>(997 * round % 7001));
    kill(child, SIGKILL);
    REQUIRE(waitpid(child, nullptr, 0) == child);
    for (ssize_t n; (n = read(pipes[0], told.data(), told.size())) > 0;) here += static_cast<uint64_t>(n);
    close(pipes[0]);
    pushed += here;

    Ledger ledger(directory.path("l"), kBegin, Ledger::Options{.tell = [](const std::string&) {}});
    recover_rings(directory.path("rings"), ledger, kBegin);
    CHECK(ring_files(directory.path("rings")).empty());
    // One push more than told may have been done.
    const uint64_t on_record = ledger.next_ordinal() - 1;
    REQUIRE(on_record >= pushed);
    REQUIRE(on_record <= pushed + 1);
    pushed = on_record;
  }
  const Told is(directory.path("l"));
  CHECK(is.damaged == 0);
  CHECK(is.faults.empty());
  const std::vector<uint64_t> ordinals = is.ordinals();
  for (size_t i = 0; i < ordinals.size(); i++) REQUIRE(ordinals[i] == i + 1);
}
