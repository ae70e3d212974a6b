/// The small parts of an export: configuration, pace, position, what is unconfirmed.
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "logging/export/config.h"
#include "logging/export/pace.h"
#include "logging/export/position_file.h"
#include "logging/export/unconfirmed.h"
#include "test_directory.h"

using namespace culvert::logging;
using culvert::test::TestDirectory;

namespace {

ExportConfig good() {
  ExportConfig c;
  c.name = "siem";
  c.address = "192.0.2.5";
  c.port = 514;
  return c;
}
/// Which key a configuration fails by; empty: none.
std::string key_at_fault(const std::function<void(ExportConfig&)>& change) {
  ExportConfig c = good();
  change(c);
  const auto fault = fault_of(c);
  if (fault) CHECK_FALSE(fault->what.empty());
  return fault ? fault->key : "";
}

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("What is wrong with an export is said by its key", "[export][config]") {
  using C = ExportConfig;
  CHECK(key_at_fault([](C&) {}).empty());
  CHECK(key_at_fault([](C& c) { c.address = "siem.example.net"; }) == "collector");
  CHECK(key_at_fault([](C& c) { c.address = "2001:db8::5"; }).empty());
  CHECK(key_at_fault([](C& c) { c.port = 0; }) == "collector");
  CHECK(key_at_fault([](C& c) { c.max_packet_size = 1023; }) == "max-packet-size");
  CHECK(key_at_fault([](C& c) { c.max_packet_size = 65'001; }) == "max-packet-size");
  CHECK(key_at_fault([](C& c) { c.overlap = (64u << 20) + 1; }) == "overlap");
  CHECK(key_at_fault([](C& c) { c.template_refresh_packet = 0; }) == "template-refresh-packet");
  CHECK(key_at_fault([](C& c) { c.template_refresh_timeout = 0; }) == "template-refresh-timeout");
  CHECK(key_at_fault([](C& c) { c.facility = 24; }) == "facility");
  CHECK(key_at_fault([](C& c) { c.hostname = "a b"; }) == "hostname");
  CHECK(key_at_fault([](C& c) { c.hostname = std::string(129, 'h'); }) == "hostname");
  CHECK(key_at_fault([](C& c) { c.message_template = "{time}"; }) == "template");
  CHECK(key_at_fault([](C& c) { c.format = C::Format::custom; }) == "template");
  CHECK(key_at_fault([](C& c) {
          c.format = C::Format::custom;
          c.message_template = "{time}";
        }).empty());
  CHECK(key_at_fault([](C& c) { c.transport = C::Transport::tls; }) == "ca-file");
  CHECK(key_at_fault([](C& c) { c.ca_file = "ca.pem"; }) == "tls");
  const auto tls = [](C& c) {
    c.transport = C::Transport::tls;
    c.ca_file = "ca.pem";
  };
  CHECK(key_at_fault(tls).empty());
  CHECK(key_at_fault([&](C& c) { tls(c), c.certificate_file = "own.pem"; }) == "private-key-file");
  CHECK(key_at_fault([&](C& c) { tls(c), c.private_key_file = "own.key"; }) == "certificate-file");
}

TEST_CASE("The pace is kept in any second, and bursts are small", "[export][pace]") {
  rc::prop("any rate, any turns", [] {
    const auto rate = *rc::gen::inRange<uint32_t>(1, 1'000'000);
    Pace pace(rate);
    uint64_t now = 1'000'000, sent = 0;
    const uint64_t begin = now;
    for (const uint32_t step :
         *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 50'000))) {
      now += step;
      const size_t n = pace.take(*rc::gen::inRange<size_t>(0, 2000), now);
      RC_ASSERT(n <= std::max(1.0, rate / 100.0));
      sent += n;
    }
    RC_ASSERT(static_cast<double>(sent) <=
              static_cast<double>(now - begin) * rate / 1e6 + std::max(1.0, rate / 100.0));
  });
  Pace pace(20'000);
  uint64_t sent = 0;
  for (uint64_t now = 5'000'000; now < 6'000'000; now += 1000) sent += pace.take(64, now);
  CHECK(sent >= 19'900);  // and what may be sent is sent
  CHECK(Pace(0).take(1'000'000, 0) == 1'000'000);
  Pace slow(1);  // less than one in a burst's time
  sent = 0;
  for (uint64_t now = 0; now < 10'000'000; now += 10'000) sent += slow.take(1, now);
  CHECK((sent >= 9 && sent <= 11));
}

TEST_CASE("What is unconfirmed begins with the first batch that no mark covers", "[export][unconfirmed]") {
  rc::prop("any marks", [](const std::vector<uint8_t>& sizes, uint16_t arrived) {
    Unconfirmed u;
    uint64_t first = 10, mark = 0, expected = 0;
    for (const uint8_t size : sizes) {
      mark += size;
      u.sent(first, mark);
      if (expected == 0 && mark > arrived) expected = first;
      first += size % 7;
    }
    u.arrived(arrived);
    RC_ASSERT(u.safe(first) == (expected == 0 ? first : expected));
    u.clear();
    RC_ASSERT(u.safe(first) == first);
  });
}

TEST_CASE("A position is read as it was saved", "[export][position]") {
  TestDirectory directory;
  const PositionFile file(directory.path("deep/siem.position"));
  CHECK(std::holds_alternative<PositionFile::None>(file.load()));
  for (const ExportPosition& p :
       {ExportPosition{0, 0}, ExportPosition{4711, 4802}, ExportPosition{1, ~0ull}}) {
    REQUIRE(file.save(p).empty());
    const auto loaded = file.load();
    REQUIRE(std::holds_alternative<ExportPosition>(loaded));
    CHECK(std::get<ExportPosition>(loaded) == p);
  }
  REQUIRE(file.save({4711, 4802}).empty());
  CHECK(content(directory.path("deep/siem.position")) == "culvert-export 1\nconfirmed 4711\nsent 4802\n");
}

TEST_CASE("A file that is no position is told, with its path", "[export][position]") {
  TestDirectory directory;
  const std::string path = directory.path("p");
  const PositionFile file(path);
  const std::string good = "culvert-export 1\nconfirmed 4711\nsent 4802\n";
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() - 1), good + "x",
        std::string("culvert-export 2\nconfirmed 1\nsent 1\n"),
        std::string("culvert-export 1\nconfirmed 5\nsent 4\n"),
        std::string("culvert-export 1\nconfirmed \nsent 4\n"),
        std::string("culvert-export 1\nconfirmed 99999999999999999999\nsent 4\n"), std::string(1000, '\0')}) {
    std::ofstream(path, std::ios::trunc) << bad;
    const auto loaded = file.load();
    REQUIRE(std::holds_alternative<PositionFile::Unreadable>(loaded));
    CHECK_THAT(std::get<PositionFile::Unreadable>(loaded).why, Catch::Contains(path));
  }
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK(std::holds_alternative<PositionFile::Unreadable>(file.load()));
  CHECK_THAT(file.save({1, 2}), Catch::Contains(path));
}
