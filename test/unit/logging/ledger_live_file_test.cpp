// The live segment's file: batches are in it whole, or not at all.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <exception>
#include <fstream>
#include <iterator>
#include <system_error>

#include "logging/ledger/live_file.h"
#include "test_directory.h"

using namespace culvert::logging::ledger;
using culvert::test::TestDirectory;

namespace {

const LiveHeader kHeader{.serial = 42, .opened = 1'795'305'600'000, .first_ordinal = 1};

std::string content(const std::filesystem::path& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}

size_t files_in(const TestDirectory& d) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(d.path("")), {}));
}

}  // namespace

TEST_CASE("A segment's name has its serial number and the time of its opening", "[ledger]") {
  CHECK(file_name(42, 1'795'305'600'000, ".live") == "00000042-20261122T000000Z.live");
  CHECK(file_name(123'456'789, 0, ".seg") == "123456789-19700101T000000Z.seg");
}

TEST_CASE("A live file begins with its checkpoint and grows by batches", "[ledger]") {
  const TestDirectory d;
  LiveFile file(d.path(""), kHeader, "header");
  CHECK(file.path() == d.path("00000042-20261122T000000Z.live"));
  CHECK(file.append("-one"));
  CHECK(file.append("-two"));
  CHECK(file.sync());
  CHECK(content(file.path()) == "header-one-two");
  CHECK(files_in(d) == 1);
}

TEST_CASE("What a crash left behind the last whole batch goes into a file of its own", "[ledger]") {
  const TestDirectory d;
  const auto path = LiveFile(d.path(""), kHeader, "header").path();
  std::ofstream(path, std::ios::app) << "-one-tw";
  LiveFile file(path, 10);
  CHECK(file.append("-two"));
  CHECK(content(path) == "header-one-two");
  CHECK(content(d.path("00000042-20261122T000000Z.cut")) == "-tw");
  CHECK(files_in(d) == 2);
}

TEST_CASE("What is cut off twice is kept twice", "[ledger]") {
  const TestDirectory d;
  const auto path = LiveFile(d.path(""), kHeader, "header").path();
  for (const char* rest : {"-one", "-two", "-three"}) {
    std::ofstream(path, std::ios::app) << rest;
    const LiveFile file(path, 6);
    CHECK(content(path) == "header");
  }
  CHECK(content(d.path("00000042-20261122T000000Z.cut")) == "-one");
  CHECK(content(d.path("00000042-20261122T000000Z.cut2")) == "-two");
  CHECK(content(d.path("00000042-20261122T000000Z.cut3")) == "-three");
  CHECK(files_in(d) == 4);
}

TEST_CASE("A segment with fewer bytes than were read of it is not appended to", "[ledger]") {
  const TestDirectory d;
  const auto path = LiveFile(d.path(""), kHeader, "header").path();
  CHECK_THROWS_WITH(LiveFile(path, 7), Catch::Contains(path.string()));
  CHECK(content(path) == "header");
  CHECK(files_in(d) == 1);
}

TEST_CASE("Where the directory cannot be synced, there is no file of the segment's name", "[ledger]") {
  const TestDirectory d;
  // One file can be opened, but not the directory besides.
  const int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(next >= 0);
  close(next);
  rlimit usual{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  const rlimit tight{static_cast<rlim_t>(next) + 1, usual.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  std::exception_ptr thrown;  // looked at when there are descriptors again: UBSan needs some to look
  try {
    const LiveFile file(d.path(""), kHeader, "header");
  } catch (...) {
    thrown = std::current_exception();
  }
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
  REQUIRE(thrown);
  CHECK_THROWS_WITH(std::rethrow_exception(thrown), Catch::Contains("00000042-20261122T000000Z.live") &&
                                                        Catch::Contains("Too many open files"));
  CHECK(files_in(d) == 0);
}

TEST_CASE("On a full disk no part of a batch stays, and appending goes on when there is room", "[ledger]") {
  TestDirectory d;
  if (!d.mount_tmpfs("size=64k")) return;
  LiveFile file(d.path(""), kHeader, "header");
  const std::string batch(5000, 'x');
  size_t batches = 0;
  while (file.append(batch)) batches++;
  CHECK(file.error() == ENOSPC);
  CHECK_FALSE(file.broken());
  CHECK(batches > 5);
  CHECK(content(file.path()).size() == 6 + batches * batch.size());

  CHECK_THROWS_AS(LiveFile(d.path(""), LiveHeader{.serial = 43, .opened = 0, .first_ordinal = 1}, batch),
                  std::system_error);
  CHECK(files_in(d) == 1);
  // What was left of the last page is room enough.
  CHECK(file.append("y"));
  CHECK(file.sync());
  CHECK(content(file.path()).size() == 6 + batches * batch.size() + 1);
}

TEST_CASE("A directory that is not there, or a segment that is not, is an error with its path", "[ledger]") {
  const TestDirectory d;
  CHECK_THROWS_WITH(LiveFile(d.path("none"), kHeader, "x"),
                    Catch::Contains(d.path("none")) && Catch::Contains("No such file"));
  CHECK_THROWS_WITH(LiveFile(d.path("x.live"), 0), Catch::Contains(d.path("x.live")));
}
