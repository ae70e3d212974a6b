// What an operator reads on stderr, and what the journal gets.
#include "control/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace culvert::control;
using Catch::Matchers::Matches;

namespace {

/// What is written into the pipe's other end.
class Pipe {
 public:
  Pipe() { REQUIRE(pipe2(ends_, O_NONBLOCK) == 0); }
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int fd() const { return ends_[1]; }
  std::string text() const {
    char buffer[4096];
    const ssize_t n = read(ends_[0], buffer, sizeof buffer);
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : "";
  }

 private:
  int ends_[2];
};

}  // namespace

TEST_CASE("a line has time and level, unless the journal adds them", "[control][log]") {
  Pipe pipe;
  unsetenv("JOURNAL_STREAM");
  Log(Level::info, pipe.fd()).warning("{} of {}", 1, 2);
  CHECK_THAT(pipe.text(), Matches(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning 1 of 2\n)"));
  setenv("JOURNAL_STREAM", "8:1", 1);
  Log(Level::info, pipe.fd()).error("out of order");
  unsetenv("JOURNAL_STREAM");
  CHECK(pipe.text() == "<3>out of order\n");  // sd-daemon(3)
}

TEST_CASE("a text of several lines becomes lines of the same level", "[control][log]") {
  Pipe pipe;
  setenv("JOURNAL_STREAM", "8:1", 1);
  Log(Level::info, pipe.fd()).info("a\n\nb\n");
  unsetenv("JOURNAL_STREAM");
  CHECK(pipe.text() == "<6>a\n<6>\n<6>b\n");
}

TEST_CASE("only lines of the wanted levels are written", "[control][log]") {
  Pipe pipe;
  Log log(Level::warning, pipe.fd());
  log.info("no");
  log.debug("no");
  CHECK(pipe.text().empty());
  log.set_level(Level::debug);
  log.debug("yes");
  CHECK_FALSE(pipe.text().empty());
  CHECK(parse_level("warning") == Level::warning);
  CHECK_FALSE(parse_level("loud"));
}
