// The control core's loop: descriptors, timers and signals, and callbacks that change them while they run.
#include "control/event_loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

using namespace culvert::control;
using namespace std::chrono_literals;

namespace {

class Event {
 public:
  Event() : fd(eventfd(0, EFD_NONBLOCK)) {}
  ~Event() { close(fd); }
  void set() const {
    const uint64_t one = 1;
    REQUIRE(write(fd, &one, sizeof one) == sizeof one);
  }
  const int fd;
};

}  // namespace

TEST_CASE("a ready descriptor is served until it is forgotten", "[control][event_loop]") {
  EventLoop loop;
  Event event;
  int calls = 0;
  loop.watch(event.fd, EPOLLIN, [&](uint32_t events) {
    CHECK((events & EPOLLIN) != 0);
    calls++;
  });
  loop.run_once(0ms);
  CHECK(calls == 0);
  event.set();
  loop.run_once(1s);
  loop.run_once(0ms);  // level-triggered: nobody read it
  CHECK(calls == 2);
  loop.change(event.fd, 0);
  loop.run_once(0ms);
  CHECK(calls == 2);
  loop.change(event.fd, EPOLLIN);
  loop.forget(event.fd);
  loop.run_once(0ms);
  CHECK(calls == 2);
}

TEST_CASE("a callback may forget itself and others that are ready", "[control][event_loop]") {
  EventLoop loop;
  Event a, b;
  int calls = 0;
  const std::string kept(100, 'x');  // the callback's own copy lives while it runs
  for (int fd : {a.fd, b.fd}) {
    loop.watch(fd, EPOLLIN, [&, kept](uint32_t) {
      loop.forget(a.fd);
      loop.forget(b.fd);
      calls++;
      CHECK(kept == std::string(100, 'x'));
    });
  }
  a.set();
  b.set();
  loop.run_once(1s);
  loop.run_once(0ms);
  CHECK(calls == 1);
}

TEST_CASE("timers come when due, once or again and again, and not when cancelled", "[control][event_loop]") {
  EventLoop loop;
  int once = 0, often = 0, never = 0;
  loop.after(20ms, [&] { once++; });
  const auto again = loop.every(10ms, [&] { often++; });
  const auto cancelled = loop.after(15ms, [&] { never++; });
  loop.after(5ms, [&] { loop.cancel(cancelled); });
  const auto until = std::chrono::steady_clock::now() + 100ms;
  while (std::chrono::steady_clock::now() < until) loop.run_once(5ms);
  CHECK(once == 1);
  CHECK(never == 0);
  CHECK(often >= 2);  // a loaded machine misses beats, and they are not made up for
  CHECK(often <= 10);
  loop.cancel(again);
  const int before = often;
  loop.run_once(30ms);
  CHECK(often == before);
}

TEST_CASE("a timer due at once does not starve descriptors", "[control][event_loop]") {
  EventLoop loop;
  Event event;
  int calls = 0;
  loop.watch(event.fd, EPOLLIN, [&](uint32_t) { calls++; });
  loop.every(1ms, [] { std::this_thread::sleep_for(3ms); });
  event.set();
  for (int i = 0; i < 5; ++i) loop.run_once(10ms);
  CHECK(calls == 5);
}

TEST_CASE("stop ends run, from a callback and from another thread", "[control][event_loop]") {
  EventLoop loop;
  loop.after(1ms, [&] { loop.stop(); });
  loop.run();
  std::thread other([&] {
    std::this_thread::sleep_for(10ms);
    loop.stop();
  });
  loop.run();
  other.join();
  SUCCEED();
}

TEST_CASE("signals are served like events", "[control][event_loop]") {
  EventLoop loop;
  int got = 0;
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, nullptr, &before);
  loop.on_signal(SIGUSR1, [&] { got += 1; });
  loop.on_signal(SIGUSR2, [&] { got += 100; });
  REQUIRE(pthread_kill(pthread_self(), SIGUSR1) == 0);
  loop.run_once(1s);
  CHECK(got == 1);
  REQUIRE(pthread_kill(pthread_self(), SIGUSR2) == 0);
  loop.run_once(1s);
  CHECK(got == 101);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
