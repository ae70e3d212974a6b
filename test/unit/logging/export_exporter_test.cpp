/// Exporters and collectors over real sockets: what arrives, what is repeated, what is reported.
#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "export_collectors.h"
#include "export_entries.h"
#include "logging/export/exporter.h"
#include "test_directory.h"

using namespace culvert::logging;
using namespace culvert::logging::test;
using culvert::test::TestDirectory;

namespace {

/// An export's surroundings: a ledger, a place for its position, and what it complained of.
struct Scene {
  TestDirectory directory;
  MemoryLedger ledger;
  ExportConfig config;
  std::mutex mutex;
  std::vector<std::string> complaints;

  explicit Scene(ExportConfig::Transport transport, uint16_t port) {
    config.name = "siem";
    config.transport = transport;
    config.address = "127.0.0.1";
    config.port = port;
    config.position_file = directory.path("siem.position");
    config.format = ExportConfig::Format::custom;
    config.message_template = "<{ordinal}>";
  }
  std::unique_ptr<Exporter> start() {
    return std::make_unique<Exporter>(config, ledger.source(), [this](const std::string& text) {
      std::lock_guard lock(mutex);
      complaints.push_back(text);
    });
  }
  void append(uint64_t first, uint64_t last) {
    for (uint64_t n = first; n <= last; n++) ledger.append(block(n));
  }
  void position_at(uint64_t n) { REQUIRE(PositionFile(config.position_file).save({n, n}).empty()); }
  ExportPosition position() {
    const auto found = PositionFile(config.position_file).load();
    return std::holds_alternative<ExportPosition>(found) ? std::get<ExportPosition>(found) : ExportPosition{};
  }
  bool complained(const std::string& part) {
    std::lock_guard lock(mutex);
    return std::ranges::any_of(complaints,
                               [&](const std::string& c) { return c.find(part) != std::string::npos; });
  }
};

/// The ordinals in what a collector received, in their order.
std::vector<uint64_t> ordinals(const std::string& bytes) {
  std::vector<uint64_t> all;
  for (size_t at = 0; (at = bytes.find("] <", at)) != std::string::npos; at++) {
    const size_t end = bytes.find('>', at);
    if (end != std::string::npos) all.push_back(std::stoull(bytes.substr(at + 3, end - at - 3)));
  }
  return all;
}
std::vector<uint64_t> ordinals(const std::vector<std::string>& parts) {
  std::vector<uint64_t> all;
  for (const std::string& part : parts)
    for (const uint64_t n : ordinals(part)) all.push_back(n);
  return all;
}
std::vector<uint64_t> range(uint64_t first, uint64_t last) {
  std::vector<uint64_t> all;
  for (uint64_t n = first; n <= last; n++) all.push_back(n);
  return all;
}
/// Whether all from `first` to `last` are among them.
bool has_all(const std::vector<uint64_t>& found, uint64_t first, uint64_t last) {
  const std::set<uint64_t> set(found.begin(), found.end());
  return std::ranges::all_of(range(first, last), [&](uint64_t n) { return set.contains(n); });
}

using Transport = ExportConfig::Transport;

}  // namespace

TEST_CASE("Over UDP each event is a datagram, in order", "[export][exporter]") {
  UdpCollector collector;
  Scene scene(Transport::udp, collector.port());
  scene.position_at(1);
  scene.append(1, 500);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return collector.datagrams().size() == 500; }));
  scene.append(501, 510);
  REQUIRE(wait_for([&] { return collector.datagrams().size() == 510; }));
  CHECK(ordinals(collector.datagrams()) == range(1, 510));
  CHECK(exporter->stats().sent == 510);
  CHECK(exporter->stats().repeated == 0);
  CHECK(exporter->stats().failures == 0);
  CHECK(exporter->stats().position == 511);
}

TEST_CASE("Over TCP events arrive in order, and a restart goes on behind them", "[export][exporter]") {
  StreamCollector collector({});
  Scene scene(Transport::tcp, collector.port());
  scene.position_at(1);
  scene.append(1, 3000);
  auto exporter = scene.start();
  REQUIRE(wait_for([&] { return ordinals(collector.received()).size() == 3000; }));
  exporter.reset();
  CHECK(scene.position() == ExportPosition{3001, 3001});  // the collector ended its half: it has read all
  scene.append(3001, 3005);
  exporter = scene.start();
  REQUIRE(wait_for([&] { return ordinals(collector.received()).size() == 3005; }));
  CHECK(ordinals(collector.received()) == range(1, 3005));
  CHECK(collector.received().size() == 2);
  CHECK(scene.complaints.empty());
}

TEST_CASE("What a collector may not have read is sent again", "[export][exporter]") {
  StreamCollector collector({.ends = false});
  Scene scene(Transport::tcp, collector.port());
  scene.position_at(1);
  scene.append(1, 100);
  auto exporter = scene.start();
  REQUIRE(wait_for([&] { return ordinals(collector.received()).size() == 100; }));
  exporter.reset();
  CHECK(scene.position() == ExportPosition{1, 101});
}

TEST_CASE("Without an overlap only what TCP did not acknowledge is in doubt", "[export][exporter]") {
  StreamCollector collector({.ends = false});
  Scene scene(Transport::tcp, collector.port());
  scene.config.overlap = 0;
  scene.position_at(1);
  scene.append(1, 100);
  auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().confirmed == 101; }));
  exporter.reset();
  CHECK(scene.position() == ExportPosition{101, 101});
}

TEST_CASE("A collector that dies again and again loses nothing over TCP", "[export][exporter]") {
  StreamCollector collector({.close_after = 200'000});
  Scene scene(Transport::tcp, collector.port());
  scene.position_at(1);
  scene.append(1, 5000);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 3; }));
  collector.behave({});
  REQUIRE(wait_for([&] { return has_all(ordinals(collector.received()), 1, 5000); }));
  CHECK(exporter->stats().repeated > 0);
  CHECK(exporter->stats().lost == 0);
  CHECK(scene.complained("export siem: 127.0.0.1 port "));
  CHECK(scene.complained("may not have arrived and are sent again"));
}

TEST_CASE("A collector that is not there is tried again, and complained of once", "[export][exporter]") {
  uint16_t port = 0;
  close(bound_socket(SOCK_STREAM, port));
  Scene scene(Transport::tcp, port);
  scene.position_at(1);
  scene.append(1, 10);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 3; }));
  CHECK(exporter->stats().failing);
  REQUIRE(wait_for([&] { return exporter->stats().waiting == 10; }));
  CHECK(exporter->stats().position == 1);
  {
    std::lock_guard lock(scene.mutex);
    REQUIRE(scene.complaints.size() == 1);
    CHECK_THAT(scene.complaints[0], Catch::Contains("Connection refused; events wait in the ledger"));
  }
  StreamCollector collector({}, port);
  REQUIRE(wait_for([&] { return ordinals(collector.received()) == range(1, 10); }));
  REQUIRE(wait_for([&] { return !exporter->stats().failing; }));
  CHECK(exporter->stats().waiting == 0);
  CHECK(scene.complained("is reached again"));
}

TEST_CASE("Over UDP a collector that says it is not there is waited for", "[export][exporter]") {
  uint16_t port = 0;
  close(bound_socket(SOCK_DGRAM, port));
  Scene scene(Transport::udp, port);
  scene.position_at(1);
  scene.append(1, 10);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 2; }));
  scene.append(11, 3000);
  UdpCollector collector(port);
  REQUIRE(wait_for([&] { return has_all(ordinals(collector.datagrams()), 1, 3000); }));
  CHECK(scene.complained("nobody receives there (ICMP port unreachable)"));
  CHECK(scene.complained("may not have arrived and are sent again"));
}

TEST_CASE("A collector that never reads holds nobody up", "[export][exporter]") {
  StreamCollector deaf({.reads = false}), good({});
  Scene scene(Transport::tcp, deaf.port()), other(Transport::tcp, good.port());
  scene.position_at(1);
  other.position_at(1);
  scene.append(1, 20'000);  // more than sockets hold
  other.append(1, 1000);
  auto stuck = scene.start();
  auto runs = other.start();
  REQUIRE(wait_for([&] { return ordinals(good.received()).size() == 1000; }));
  stuck.reset();  // ends though it was in the midst of sending
  CHECK(scene.position().confirmed == 1);
}

TEST_CASE("A collector that talks is dropped and tried again", "[export][exporter]") {
  StreamCollector collector({.says = std::string(30'000, 'x'), .floods = true});
  Scene scene(Transport::tcp, collector.port());
  scene.position_at(1);
  scene.append(1, 100);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 2; }));
  CHECK(scene.complained("sends data itself"));
  collector.behave({.says = "some garbage is no reason"});
  REQUIRE(wait_for([&] { return has_all(ordinals(collector.received().back()), 1, 100); }));
}

TEST_CASE("A new export begins with the next event, and remembers that", "[export][exporter]") {
  UdpCollector collector;
  Scene scene(Transport::udp, collector.port());
  scene.append(1, 100);
  auto exporter = scene.start();
  REQUIRE(wait_for([&] { return scene.position() == ExportPosition{101, 101}; }));
  exporter.reset();
  scene.append(101, 103);
  exporter = scene.start();
  REQUIRE(wait_for([&] { return collector.datagrams().size() == 3; }));
  CHECK(ordinals(collector.datagrams()) == range(101, 103));
}

TEST_CASE("An export without a right position begins with the oldest event", "[export][exporter]") {
  UdpCollector collector;
  Scene scene(Transport::udp, collector.port());
  SECTION("its file is damaged") { std::ofstream(scene.config.position_file) << "?"; }
  SECTION("its file is of another ledger") { scene.position_at(1000); }
  scene.append(5, 20);  // retention took 1 to 4 long ago
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return collector.datagrams().size() == 16; }));
  CHECK(ordinals(collector.datagrams()) == range(5, 20));
  CHECK(exporter->stats().lost == 0);
  CHECK(scene.complained("the ledger is sent from its beginning on") !=
        scene.complained("this is another ledger, which is sent from its beginning on"));
}

TEST_CASE("Events that retention took before they were sent are lost, and told", "[export][exporter]") {
  uint16_t port = 0;
  close(bound_socket(SOCK_STREAM, port));
  Scene scene(Transport::tcp, port);
  scene.position_at(1);
  scene.append(1, 100);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 1; }));
  scene.ledger.retain(91);
  StreamCollector collector({}, port);
  REQUIRE(wait_for([&] { return ordinals(collector.received()) == range(91, 100); }));
  CHECK(exporter->stats().lost == 90);
  CHECK(scene.complained("events 1 to 90 are not in the ledger any more"));
  CHECK_THAT(collector.received().at(0), Catch::Contains("first-ordinal=\"1\" last-ordinal=\"90\""));
}

TEST_CASE("A gap is counted once, however often sending fails", "[export][exporter]") {
  uint16_t port = 0;
  close(bound_socket(SOCK_DGRAM, port));
  Scene scene(Transport::udp, port);
  scene.position_at(1);
  scene.append(1, 300);
  scene.ledger.retain(91);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 3; }));
  CHECK(exporter->stats().lost == 90);
  UdpCollector collector(port);
  REQUIRE(wait_for([&] { return has_all(ordinals(collector.datagrams()), 91, 300); }));
  CHECK(exporter->stats().lost == 90);
  {
    std::lock_guard lock(scene.mutex);
    CHECK(std::ranges::count_if(scene.complaints, [](const std::string& c) {
            return c.find("not in the ledger any more") != std::string::npos;
          }) == 1);
  }
  CHECK(std::ranges::any_of(collector.datagrams(), [](const std::string& d) {
    return d.find("first-ordinal=\"1\" last-ordinal=\"90\"") != std::string::npos;
  }));
}

TEST_CASE("What was sent before retention took it is not lost", "[export][exporter]") {
  StreamCollector collector({.ends = false});
  Scene scene(Transport::tcp, collector.port());
  scene.position_at(1);
  scene.append(1, 100);
  auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().position == 101; }));
  exporter.reset();
  REQUIRE(scene.position() == ExportPosition{1, 101});
  scene.ledger.retain(90);
  scene.append(101, 110);
  StreamCollector second({});
  scene.config.port = second.port();
  exporter = scene.start();
  REQUIRE(wait_for([&] { return ordinals(second.received()) == range(90, 110); }));
  CHECK(exporter->stats().lost == 0);
  CHECK(exporter->stats().repeated == 11);
}

TEST_CASE("A ledger that cannot be read for a while is tried again", "[export][exporter]") {
  UdpCollector collector;
  Scene scene(Transport::udp, collector.port());
  scene.position_at(1);
  scene.append(1, 5);
  scene.ledger.break_down(true);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 2; }));
  CHECK(scene.complained("the ledger's disk is gone"));
  scene.ledger.break_down(false);
  REQUIRE(wait_for([&] { return collector.datagrams().size() == 5; }));
  scene.ledger.break_down(true);
  REQUIRE(wait_for([&] { return exporter->stats().failing.load(); }));
  scene.ledger.break_down(false);
  scene.append(6, 8);
  REQUIRE(wait_for([&] { return has_all(ordinals(collector.datagrams()), 1, 8); }));
}

TEST_CASE("What was read when the ledger failed is read again", "[export][exporter]") {
  const auto transport = GENERATE(Transport::udp, Transport::tcp);
  UdpCollector udp;
  StreamCollector tcp({});
  Scene scene(transport, transport == Transport::udp ? udp.port() : tcp.port());
  scene.position_at(1);
  scene.append(1, 5);
  scene.ledger.break_after(3);
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return exporter->stats().failures >= 2; }));
  scene.ledger.break_down(false);
  const auto received = [&] {
    return transport == Transport::udp ? ordinals(udp.datagrams()) : ordinals(tcp.received());
  };
  REQUIRE(wait_for([&] { return exporter->stats().sent == 5; }));
  REQUIRE(wait_for([&] { return received() == range(1, 5); }));
  CHECK(exporter->stats().lost == 0);
}

namespace {

/// More events than anybody sends.
class Endless : public EntrySource {
 public:
  static constexpr uint64_t kEnd = uint64_t{1} << 40;
  bool next(Entry& e) override {
    e = block(next_++);
    return next_ < kEnd;
  }
  void seek(uint64_t ordinal) override { next_ = ordinal; }
  uint64_t end() override { return kEnd; }

 private:
  uint64_t next_ = 1;
};

}  // namespace

TEST_CASE("An exporter that is far behind ends at once", "[export][exporter]") {
  UdpCollector collector;
  Scene scene(Transport::udp, collector.port());
  scene.config.datagrams_per_second = 0;
  scene.position_at(1);
  {
    Exporter exporter(scene.config, std::make_unique<Endless>(), [](const std::string&) {});
    REQUIRE(wait_for([&] { return exporter.stats().sent > 5000; }));
  }
  CHECK(scene.position().sent < Endless::kEnd);
}

TEST_CASE("A position that cannot be saved is complained of once, and nothing stops", "[export][exporter]") {
  UdpCollector collector;
  Scene scene(Transport::udp, collector.port());
  scene.config.position_file = "/proc/none/siem.position";
  const auto exporter = scene.start();
  REQUIRE(wait_for([&] { return scene.complained("/proc/none/siem.position: "); }));
  scene.append(1, 50);
  REQUIRE(wait_for([&] { return collector.datagrams().size() == 50; }));
}
