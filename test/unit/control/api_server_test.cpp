/// The control socket against clients that do not behave: nobody else notices.

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "api_box.h"

using namespace culvert;
using namespace std::chrono_literals;
using config::Carriage;
using test::Box;

TEST_CASE("nonsense is answered with an error, and the next client is served", "[control][api]") {
  Box box;
  box.start();
  CHECK(Box::parse(box.exchange("hello\n")).last.value("usage", false));
  CHECK(Box::parse(box.exchange(std::string(10, '\0') + "\n")).last.value("usage", false));
  CHECK(Box::parse(box.exchange("{\"command\":\"status\"}\ntrailing bytes are not read\n")).rows.size() == 1);
  CHECK_THAT(box.exchange(std::string(20'000, 'x')), Catch::Matchers::Contains("longer than 4096"));
  CHECK(box.ask({{"command", "status"}}).rows.size() == 1);
}

TEST_CASE("a request may come in pieces; half a request gets no answer", "[control][api]") {
  Box box;
  box.start();
  const int fd = box.connect();
  for (const char c : std::string("{\"command\":\"status\"}\n")) {
    REQUIRE(send(fd, &c, 1, MSG_NOSIGNAL) == 1);
    box.loop.run_once(1ms);
  }
  CHECK(box.turn_until(std::async(std::launch::async, [fd] { return Box::read_all(fd); })).find("version") !=
        std::string::npos);
  const int half = box.connect();
  REQUIRE(send(half, "{\"com", 5, MSG_NOSIGNAL) == 5);
  shutdown(half, SHUT_WR);
  CHECK(box.turn_until(std::async(std::launch::async, [half] { return Box::read_all(half); })).empty());
}

TEST_CASE("who does not read pauses his own listing only, and gets all of it later", "[control][api]") {
  Box box(2);
  box.fill(Carriage::nat44, 4000, 10);
  box.start();
  const int slow = box.connect();
  const std::string request = "{\"command\":\"mappings\"}\n";
  REQUIRE(send(slow, request.data(), request.size(), MSG_NOSIGNAL) > 0);
  box.turn(300ms);
  CHECK(box.ask({{"command", "status"}}).rows.size() == 1);
  CHECK(box.ask({{"command", "mappings"}, {"limit", 3}}).rows.size() == 3);
  const auto all =
      Box::parse(box.turn_until(std::async(std::launch::async, [slow] { return Box::read_all(slow); })));
  CHECK(all.rows.size() == 40'000);
  CHECK(all.last.value("end", false));
}

TEST_CASE("clients that go away in the middle leave nothing behind", "[control][api]") {
  Box box(2);
  box.fill(Carriage::nat44, 2000, 10);
  box.start();
  for (int i = 0; i < 200; i++) {
    const int fd = box.connect();
    const std::string request = i % 2 == 0 ? "{\"command\":\"mappings\"}\n" : "{\"command\":\"pools\"}\n";
    REQUIRE(send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0);
    for (int turns = 0; turns < i % 5; turns++) box.loop.run_once(1ms);
    close(fd);
  }
  CHECK(box.ask({{"command", "mappings"}}).rows.size() == 20'000);
}

namespace {

/// A server alone, with limits small enough for a test.
struct Server {
  explicit Server(Box& box, const control::ApiServer::Limits& limits)
      : errands(box.loop), census(box.engine(), errands), context{{}, errands, census, 0, {}, {}} {
    context.source.engine = &box.engine();
    context.source.now = [&box] { return box.now.load(); };
    context.source.box = [] { return control::BoxStatus(); };
    server = std::make_unique<control::ApiServer>(box.loop, box.socket_path(), context, limits);
  }
  control::Errands errands;
  control::PoolCensus census;
  control::ApiContext context;
  std::unique_ptr<control::ApiServer> server;
};

}  // namespace

TEST_CASE("clients are limited in number and in time", "[control][api]") {
  Box box;
  box.fill(Carriage::nat44, 3000, 10);
  Server small(box, {4, 100ms, 200ms});
  std::vector<int> idle;
  for (int i = 0; i < 4; i++) idle.push_back(box.connect());
  box.turn(20ms);
  CHECK(small.server->clients() == 4);
  CHECK_THAT(box.exchange("{\"command\":\"status\"}\n"), Catch::Matchers::Contains("4 clients"));
  box.turn(1200ms);  // idle ones are looked for once a second
  CHECK(small.server->clients() == 0);
  CHECK(box.ask({{"command", "status"}}).rows.size() == 1);
  for (const int fd : idle) close(fd);

  // Neither may a client sit on an answer for ever.
  const int fd = box.connect();
  const std::string request = "{\"command\":\"mappings\"}\n";
  REQUIRE(send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0);
  const auto end = std::chrono::steady_clock::now() + 2500ms;
  while (std::chrono::steady_clock::now() < end) {
    box.loop.run_once(1ms);
    box.engine().worker(0).poll(box.now);
  }
  CHECK(small.server->clients() == 0);
  close(fd);
}

TEST_CASE("the socket is the group's, a stale one is replaced, another's is not", "[control][api]") {
  Box box;
  {
    const Server first(box, {});
    struct stat st{};
    REQUIRE(stat(box.socket_path().c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0660);
    CHECK_THROWS_WITH(Server(box, {}), Catch::Matchers::Contains("another culvertd serves it"));
    CHECK(stat(box.socket_path().c_str(), &st) == 0);
  }
  struct stat st{};
  CHECK(stat(box.socket_path().c_str(), &st) != 0);

  // What a killed process leaves: a socket nobody listens on.
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  std::strncpy(a.sun_path, box.socket_path().c_str(), sizeof a.sun_path - 1);
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(bind(stale, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  close(stale);
  CHECK_NOTHROW(Server(box, {}));

  close(creat(box.socket_path().c_str(), 0600));
  CHECK_THROWS_WITH(Server(box, {}), Catch::Matchers::Contains("no socket"));
  CHECK(stat(box.socket_path().c_str(), &st) == 0);
}
