// From detail files to an index: what is new is read, once, whatever happens to the files.
#include <sys/file.h>
#include <unistd.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "logging/radius/import.h"
#include "logging/radius/lookup.h"
#include "logging/radius/packed.h"
#include "net/mapped.h"
#include "radius_details.h"
#include "test_directory.h"

using namespace culvert::logging::radius;
using namespace culvert::test;

namespace {

constexpr uint64_t kNoon = 1'795'348'800;

std::string record(const std::string& status, const std::string& id, uint64_t time) {
  return detail_record({{"Acct-Status-Type", status},
                        {"Acct-Session-Id", '"' + id + '"'},
                        {"User-Name", "\"user\""},
                        {"NAS-IP-Address", "192.0.2.1"},
                        {"Framed-IP-Address", "100.64.0.1"},
                        {"Event-Timestamp", event_timestamp(time)}},
                       time);
}
/// `n` Starts, so that a file is longer than what it is known by.
std::string records(const std::string& id, unsigned n, uint64_t time = kNoon) {
  std::string all;
  for (unsigned i = 0; i < n; i++) all += record("Start", id + std::to_string(i), time + i);
  return all;
}

struct Desk {
  TestDirectory directory;
  std::string index = directory.path("radius.index");

  std::string path(const std::string& name) const { return directory.path(name); }
  ImportReport import(const std::vector<std::string>& names, BuildOptions options = {}) const {
    std::vector<std::filesystem::path> paths;
    for (const auto& name : names) paths.emplace_back(path(name));
    return import_files(index, paths, std::move(options));
  }
  size_t sessions() const { return Index(File::open(index)).header().sessions; }
};

std::string gzip(const std::string& content) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("culvert-gzip-" + std::to_string(getpid()));
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
  const std::string packed = read_file(path);
  std::filesystem::remove(path);
  return packed;
}

}  // namespace

TEST_CASE("What came to a file since the last import is read, the rest is not", "[radius]") {
  const Desk p;
  for (const unsigned n : {1u, 50u}) {  // shorter and longer than what a file is known by
    const std::string name = "detail" + std::to_string(n);
    const size_t before = n == 1 ? 0 : p.sessions();
    write_file(p.path(name), records(name + "a", n));
    CHECK(p.import({name}).tally.records == n);
    CHECK(p.import({name}).unchanged == 1);
    append_file(p.path(name), records(name + "b", 2) + record("Start", name + "c", kNoon).substr(0, 100));
    const ImportReport more = p.import({name});
    CHECK(more.tally.records == 2);
    CHECK(more.unfinished == 1);
    CHECK(more.sessions == before + n + 2);
    append_file(p.path(name), record("Start", name + "c", kNoon).substr(100));
    CHECK(p.import({name}).tally.records == 1);
    CHECK(p.sessions() == before + n + 3);
    std::filesystem::remove(p.path(name));
  }
}

TEST_CASE("A file that was renamed, copied, compressed or begun anew is known again", "[radius]") {
  const Desk p;
  const std::string first = records("a", 50), more = records("b", 50);
  write_file(p.path("detail"), first);
  CHECK(p.import({"detail"}).tally.records == 50);

  SECTION("renamed, with more in it, and another of its name") {
    std::filesystem::rename(p.path("detail"), p.path("detail.1"));
    append_file(p.path("detail.1"), more);
    write_file(p.path("detail"), records("c", 3));
    CHECK(p.import({"detail", "detail.1"}).tally.records == 53);
    CHECK(p.import({"detail", "detail.1"}).unchanged == 2);
  }
  SECTION("copied, then made empty") {
    std::filesystem::copy_file(p.path("detail"), p.path("detail.1"));
    write_file(p.path("detail"), "");
    const ImportReport r = p.import({"detail", "detail.1"});
    CHECK(r.tally.records == 0);
    CHECK(r.failed.empty());
  }
  SECTION("compressed") {
    write_file(p.path("detail.gz"), gzip(first + more));
    CHECK(p.import({"detail.gz"}).tally.records == 50);
    CHECK(p.import({"detail.gz"}).unchanged == 1);
    write_file(p.path("detail.zst"), pack(first + more, 3));
    CHECK(p.import({"detail.zst"}).tally.records == 0);
    p.import({"detail.zst", "detail.gz"});
    CHECK(p.import({"detail.zst", "detail.gz"}).unchanged == 2);
  }
  SECTION("begins alike, and goes on otherwise") {
    const size_t half = first.size() / 2;
    write_file(p.path("other"), first.substr(0, half) + "x" + first.substr(half));
    CHECK(p.import({"other"}).tally.records > 40);
    write_file(p.path("other"), first.substr(0, first.size() - 300) + more);
    CHECK(p.import({"other"}).tally.records > 90);
  }
}

TEST_CASE("Compressed files are read whole: members, frames, and none that is cut off", "[radius]") {
  const Desk p;
  // More than a piece, so that unpacking goes on with more than one.
  const std::string a = records("a", 3000), b = records("b", 3);
  write_file(p.path("a.gz"), gzip(a) + gzip(b));
  write_file(p.path("a.zst"), pack(a, 1) + pack(b, 1));
  CHECK(p.import({"a.gz"}).tally.records == 3003);
  std::filesystem::remove(p.index);
  CHECK(p.import({"a.zst"}).tally.records == 3003);
  CHECK(p.sessions() == 3003);

  const std::string packed = gzip(b), frame = pack(b, 1);
  write_file(p.path("cut.gz"), packed.substr(0, packed.size() - 1));
  write_file(p.path("cut.zst"), frame.substr(0, frame.size() - 1));
  write_file(p.path("bad.gz"), packed + "xx");
  write_file(p.path("a.xz"), std::string("\xfd\x37zXZ\0", 6));
  const ImportReport r = p.import({"cut.gz", "cut.zst", "bad.gz", "a.xz", "none"});
  REQUIRE(r.failed.size() == 5);
  CHECK(r.failed[0].find("a.xz: is compressed by xz: unpack it first") != std::string::npos);
  CHECK(r.failed[1].find("bad.gz: is damaged") != std::string::npos);
  CHECK(r.failed[2].find("cut.gz: is cut off") != std::string::npos);
  CHECK(r.failed[3].find("cut.zst: is cut off") != std::string::npos);
  CHECK(r.failed[4].find("none: cannot be opened: No such file") != std::string::npos);
}

TEST_CASE("A directory means all files in it and below", "[radius]") {
  const Desk p;
  std::filesystem::create_directories(p.path("radacct/192.0.2.1"));
  write_file(p.path("radacct/192.0.2.1/detail-20261122"), records("a", 2));
  write_file(p.path("radacct/detail"), records("b", 3));
  write_file(p.path("radacct/.hidden"), records("c", 3));
  std::filesystem::create_symlink(p.path("radacct"), p.path("radacct/loop"));
  const ImportReport r = p.import({"radacct", "radacct/detail"});
  CHECK(r.tally.records == 5);
  CHECK(r.files == 2);
  // Also the index itself may lie there.
  CHECK(import_files(p.path("radacct/index"), {p.path("radacct")}, {}).tally.records == 5);
  CHECK(import_files(p.path("radacct/index"), {p.path("radacct")}, {}).failed.empty());
}

TEST_CASE("Imports in any order and any number make the same sessions", "[radius]") {
  const std::vector<std::string> parts = {
      record("Start", "a", kNoon), record("Interim-Update", "a", kNoon + 600),
      record("Stop", "a", kNoon + 900), record("Start", "b", kNoon + 1000)};
  std::vector<size_t> order = {0, 1, 2, 3};
  do {
    const Desk p;
    for (const size_t i : order) {
      write_file(p.path("detail"), parts[i]);
      p.import({"detail"});
    }
    const Index index(File::open(p.index));
    REQUIRE(index.header().sessions == 2);
    CHECK(index.header().covered == Span{kNoon, kNoon + 1000});
    CHECK(index.session(0).begin == Begin::start);
    CHECK(index.session(0).ended == Span{kNoon + 900, kNoon + 900});
    CHECK(index.session(1).end == End::unknown);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("Sessions are forgotten when they are told to have ended, or were silent", "[radius]") {
  const Desk p;
  write_file(p.path("detail"),
             record("Start", "stopped", kNoon) + record("Stop", "stopped", kNoon + 100) +
                 record("Start", "restarted", kNoon) + record("Start", "given again", kNoon) +
                 record("Start", "given again", kNoon + 200) + record("Start", "silent", kNoon + 200) +
                 detail_record({{"Acct-Status-Type", "Accounting-On"}, {"NAS-IP-Address", "192.0.2.1"}},
                               kNoon + 150) +
                 record("Start", "stopped later", kNoon) + record("Stop", "stopped later", kNoon + 300));
  CHECK(p.import({"detail"}).sessions == 6);
  const auto ids = [&] {
    std::string all;
    const Index index(File::open(p.index));
    Index::Sessions stream(index);
    for (Session s; stream.next(s);) all += s.id + ", ";
    return all;
  };
  BuildOptions options;
  options.forget_before = kNoon + 151;
  CHECK(p.import({"detail"}, options).forgotten == 2);
  CHECK(ids() == "given again, given again, silent, stopped later, ");
  options.forget_before = kNoon + 201;
  p.import({"detail"}, options);
  // The restart is forgotten, too; what it ended before that was forgotten with it.
  CHECK(ids() == "given again, silent, stopped later, ");
  CHECK(Index(File::open(p.index)).nases().front().restarts.empty());
  CHECK(Index(File::open(p.index)).header().covered.earliest == kNoon + 201);
  options.forget_silent_before = kNoon + 201;
  CHECK(p.import({"detail"}, options).forgotten == 2);
  CHECK(ids() == "stopped later, ");
  // A file that is forgotten, too, is read again if it is still there: nobody is found in it.
  options.forget_before = options.forget_silent_before = kNoon + 1000;
  CHECK(p.import({}, options).sessions == 0);
  CHECK(p.import({"detail"}, options).sessions == 0);
}

TEST_CASE("One import at a time, and a damaged index is left alone", "[radius]") {
  const Desk p;
  write_file(p.path("detail"), records("a", 1));
  p.import({"detail"});
  {
    const File lock = File::open(p.index + ".lock");
    REQUIRE(flock(lock.descriptor(), LOCK_EX | LOCK_NB) == 0);
    CHECK_THROWS_WITH(p.import({"detail"}), Catch::Contains("another import is at work"));
  }
  write_file(p.index, "x" + read_file(p.index).substr(1));
  CHECK_THROWS_WITH(p.import({"detail"}), Catch::Contains("is no index"));
  CHECK(read_file(p.index).starts_with('x'));
}

TEST_CASE("On a full disk the index stays as it is", "[radius]") {
  TestDirectory d;
  if (!d.mount_tmpfs("size=256k")) return;
  write_file(d.path("detail"), records("a", 1));
  import_files(d.path("index"), {d.path("detail")}, {});
  const std::string before = read_file(d.path("index"));
  write_file(d.path("detail"), records("b", 300));
  write_file(d.path("fill"), std::string(170'000, 'x'));
  std::string fill;
  for (std::ofstream f(d.path("fill2")); f.write("xxxx", 4) && f.flush();) continue;
  BuildOptions options;
  CHECK_THROWS_WITH(import_files(d.path("index"), {d.path("detail")}, options),
                    Catch::Contains("No space left"));
  CHECK(read_file(d.path("index")) == before);
  CHECK_FALSE(std::filesystem::exists(d.path("index.new")));
}

TEST_CASE("Detail files can be asked at once, an index or not", "[radius]") {
  const Desk p;
  write_file(p.path("detail"), records("a", 3) + "garbage\n\n");
  ImportReport report;
  const Index direct = open_sessions({p.path("detail")}, nullptr, report);
  CHECK(direct.header().sessions == 3);
  CHECK(report.first_wrong.empty());
  CHECK(report.tally.not_accounting == 1);
  p.import({"detail"});
  CHECK(open_sessions({p.index}, nullptr, report).header().sessions == 3);
  CHECK(open_sessions({p.path("none")}, nullptr, report).header().sessions == 0);
  CHECK(report.failed.size() == 1);
}

TEST_CASE("What was wrong is told with its place", "[radius]") {
  const Desk p;
  write_file(p.path("detail"), records("a", 1) + "x\n\tUser-Name = \"\n\n" +
                                   detail_record({{"Acct-Status-Type", "Start"},
                                                  {"Acct-Session-Id", "\"1\""},
                                                  {"NAS-Identifier", "\"n\""},
                                                  {"Event-Timestamp", "\"Nov 22 2026 12:00:00 XYZ\""}},
                                                 kNoon));
  const ImportReport r = p.import({"detail"});
  CHECK(r.tally.wrong == 1);
  CHECK(r.first_wrong == p.path("detail") + ":10: a value whose quotes do not match");
  CHECK(r.tally.unknown_zone == 1);
  CHECK(r.first_unknown_zone == p.path("detail") + ":13");
}
