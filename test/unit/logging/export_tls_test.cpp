/// Exports over TLS (RFC 5425): whom they trust, and whom not.
#include <catch2/catch.hpp>

#include "export_certificates.h"
#include "export_collectors.h"
#include "export_entries.h"
#include "logging/export/exporter.h"
#include "test_directory.h"

using namespace culvert::logging;
using namespace culvert::logging::test;
using culvert::test::TestDirectory;

namespace {

/// An authority, a collector whose certificate it signed, and an export to there.
struct Scene {
  TestDirectory directory;
  Authority authority{directory.path(""), "ca"};
  MemoryLedger ledger;
  ExportConfig config;
  std::mutex mutex;
  std::string said;
  std::unique_ptr<StreamCollector> collector;
  std::shared_ptr<SSL_CTX> tls;

  explicit Scene(const std::string& names = "IP:127.0.0.1", const std::string& clients = "",
                 int most = TLS1_3_VERSION) {
    authority.sign("collector", names);
    tls = server_tls(authority, "collector", clients, most);
    collector = std::make_unique<StreamCollector>(StreamCollector::Manner{.tls = tls.get()});
    config.name = "siem";
    config.transport = ExportConfig::Transport::tls;
    config.address = "127.0.0.1";
    config.port = collector->port();
    config.position_file = directory.path("siem.position");
    config.ca_file = authority.file("ca.pem");
    REQUIRE(PositionFile(config.position_file).save({1, 1}).empty());
    for (uint64_t n = 1; n <= 2000; n++) ledger.append(block(n));
  }
  std::unique_ptr<Exporter> start() {
    return std::make_unique<Exporter>(config, ledger.source(), [this](const std::string& text) {
      std::lock_guard lock(mutex);
      said += text + "\n";
    });
  }
  std::string complaints() {
    std::lock_guard lock(mutex);
    return said;
  }
  /// Whether all events arrive, as a collector of RFC 5425 reads them.
  bool all_arrive() {
    const auto exporter = start();
    return wait_for([&] {
      for (const std::string& bytes : collector->received())
        if (bytes.find("ordinal=\"2000\"]") != std::string::npos && bytes.starts_with(prefix())) return true;
      return false;
    });
  }
  /// Whether the collector is refused, for this reason; and got nothing.
  bool refused(const std::string& reason) {
    const auto exporter = start();
    // A collector's alert may be lost when it closes the connection: then the next attempt tells.
    const bool failed = wait_for(
        [&] { return exporter->stats().failures >= 2 && complaints().find(reason) != std::string::npos; });
    INFO(complaints());
    CHECK(failed);
    for (const std::string& bytes : collector->received()) CHECK(bytes.empty());
    return failed;
  }
  /// MSG-LEN of the first message, a space and its beginning.
  std::string prefix() {
    const auto first = collector->received().at(0);
    return first.substr(0, first.find(' ')) + " <134>1 ";
  }
};

}  // namespace

TEST_CASE("Events arrive over TLS 1.3 and 1.2, and a restart repeats nothing", "[export][tls]") {
  const int most = GENERATE(TLS1_3_VERSION, TLS1_2_VERSION);
  Scene scene("IP:127.0.0.1", "", most);
  REQUIRE(scene.all_arrive());
  const auto found = PositionFile(scene.config.position_file).load();
  REQUIRE(std::holds_alternative<ExportPosition>(found));
  CHECK(std::get<ExportPosition>(found) == ExportPosition{2001, 2001});
  CHECK(scene.complaints().empty());
}

TEST_CASE("The certificate's name is the collector's, by address or by server-name", "[export][tls]") {
  SECTION("a name that was asked for") {
    Scene scene("DNS:siem.example");
    scene.config.server_name = "siem.example";
    CHECK(scene.all_arrive());
  }
  SECTION("another name") {
    Scene scene("DNS:siem.example");
    scene.config.server_name = "other.example";
    CHECK(scene.refused("hostname mismatch"));
  }
  SECTION("another address") {
    Scene scene("IP:127.0.0.2");
    CHECK(scene.refused("IP address mismatch"));
  }
}

TEST_CASE("A certificate of an unknown authority is refused", "[export][tls]") {
  Scene scene;
  const Authority stranger(scene.directory.path(""), "stranger");
  scene.config.ca_file = stranger.file("stranger.pem");
  CHECK(scene.refused("unable to get local issuer certificate"));
}

TEST_CASE("A collector that wants to know who sends gets our certificate", "[export][tls]") {
  Scene scene("IP:127.0.0.1", "ca");
  SECTION("which it trusts") {
    scene.authority.sign("own", "DNS:cgn1.example");
    scene.config.certificate_file = scene.authority.file("own.pem");
    scene.config.private_key_file = scene.authority.file("own.key");
    CHECK(scene.all_arrive());
  }
  SECTION("or tells that it wants one") { CHECK(scene.refused("certificate required")); }
}

TEST_CASE("Files that are missing or wrong are told with their path", "[export][tls]") {
  Scene scene;
  SECTION("authority") {
    scene.config.ca_file = scene.directory.path("none.pem");
    CHECK(scene.refused("none.pem: "));
  }
  SECTION("key") {
    scene.authority.sign("own", "DNS:cgn1.example");
    scene.config.certificate_file = scene.authority.file("own.pem");
    scene.config.private_key_file = scene.authority.file("ca.key");
    CHECK(scene.refused("ca.key: "));
  }
}

TEST_CASE("A collector that speaks no TLS, or an old one, is refused", "[export][tls]") {
  SECTION("garbage") {
    Scene scene;
    StreamCollector plain({.says = "220 mail.example ESMTP\r\n"});
    scene.config.port = plain.port();
    CHECK(scene.refused("TLS: "));
  }
  SECTION("TLS 1.1") {
    Scene scene("IP:127.0.0.1", "", TLS1_1_VERSION);
    CHECK(scene.refused("TLS: "));
  }
}
