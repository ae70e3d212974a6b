/// `culvert plan`: what something will cost, before it is bought. So far: the logs.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "arguments.h"
#include "commands.h"
#include "logging/export/encoder.h"
#include "net/mapped.h"
#include "table.h"

namespace culvert::tools {
namespace {

using logging::Entry;
using logging::ExportConfig;

constexpr std::string_view kHelp = R"(what logging will cost: records and bytes, a day and a month, by format

  culvert plan logs [--subscribers N] [--blocks N] [--connections N] [--ipv4] [--json]

Subscribers, and the port blocks and connections of each of them in a day. Without options they are those that Forthnet
published of its DS-Lite: 32,000 subscribers, 60 blocks, 27,000 connections. A block is recorded when it is given and when
it is taken back; so is a connection, where log-sessions asks for that. A month has 30 days.

What collectors get is measured: messages are made as the exports make them. Syslog with structured data is the default
of an export, and the only one of which repeated messages can be told (docs/exports.md). The ledger's bytes are those that
ledger-bench measures: on the published load, with checkpoints and index (bench/ledger). Session records are written where
log-sessions is on.

Example: is a disk of 500 GB enough for 100,000 subscribers and a year?

  culvert plan logs --subscribers 100000 --blocks 40
)";

// What ledger-bench says, of blocks and of sessions without and with their destinations.
constexpr double kSealedBlock = 4.7, kLiveBlock = 10.6;
constexpr double kSealedSession = 8.0, kSealedDestination = 10.7, kLiveSession = 27.5;

struct Load {
  double subscribers = 0, blocks = 0, connections = 0;
  bool ipv4 = false;
};

/// One of many, a usual one.
Entry example(uint64_t n, const Load& load, bool session, bool destination) {
  Entry e;
  e.time = 1'795'300'000'000 + n * 23;
  e.ordinal = 130'000'000 + n;
  e.instance = "homes";
  e.worker = static_cast<uint8_t>(n % 4);
  e.external = net::Ipv4Address(0xcb007100 + static_cast<uint32_t>(n % 250));
  e.carriage = load.ipv4 ? Entry::Carriage::nat44 : Entry::Carriage::ds_lite;
  if (load.ipv4) {
    e.subscriber = net::mapped(net::Ipv4Address(0x64400000 + static_cast<uint32_t>(n * 37 % 0x200000)));
  } else {
    e.subscriber = net::Ipv6Prefix::parse("2001:db8:12::/48")->address;
    e.subscriber.bytes[6] = static_cast<uint8_t>(n);
    e.subscriber_length = 56;
  }
  const bool ends = n % 2 == 1;
  if (!session) {
    e.kind = ends ? Entry::Kind::block_released : Entry::Kind::block_allocated;
    e.reason = ends ? logging::Reason::idle : logging::Reason::ports_used_up;
    e.first_port = static_cast<uint16_t>(1024 + n % 120 * 512);
    e.last_port = static_cast<uint16_t>(e.first_port + 511);
    if (ends) e.since = e.time - 3'600'000;
    if (ends) e.peak = 180;
    return e;
  }
  e.kind = ends ? Entry::Kind::session_deleted : Entry::Kind::session_created;
  e.first_port = e.last_port = static_cast<uint16_t>(20'000 + n * 131 % 40'000);
  e.protocol = n % 3 == 0 ? 17 : 6;
  e.internal = load.ipv4 ? e.subscriber : net::mapped(net::Ipv4Address(0xc0a80105));
  e.internal_port = static_cast<uint16_t>(40'000 + n * 17 % 20'000);
  if (destination) {
    e.destination = net::Ipv4Address(0xc6336400 + static_cast<uint32_t>(n % 250));
    e.destination_port = 443;
  }
  return e;
}

/// Bytes of a message or record, on average, its share of headers and templates included.
double bytes_each(const ExportConfig& config, const Load& load, bool session, bool destination) {
  constexpr uint64_t kMany = 20'000;
  const auto encoder = logging::make_encoder(config, 1);
  logging::Outbox out;
  uint64_t bytes = 0;
  encoder->begin();
  for (uint64_t n = 0; n < kMany; n++) {
    encoder->set_time({1'795'300'000'000 + n * 23, static_cast<uint32_t>(n * 23)});
    encoder->add(example(n, load, session, destination), out);
    bytes += out.bytes.size();
    out.clear();
  }
  encoder->end(out);
  return static_cast<double>(bytes + out.bytes.size()) / kMany;
}

/// Of the ledger: a segment is sealed when it ends, after a day at the latest.
constexpr std::string_view kUnsealed = "ledger, until it is sealed";

struct Row {
  std::string what, format;
  double records, bytes;  ///< a day; each
  /// nullopt: nothing stays so long.
  std::optional<double> a_month() const {
    return format == kUnsealed ? std::nullopt : std::optional(30 * records * bytes);
  }
};

struct Way {
  std::string_view name;
  ExportConfig config;
};

/// How collectors can get it.
std::vector<Way> ways() {
  const auto syslog = [](ExportConfig::Format format, bool data) {
    ExportConfig c;
    c.format = format;
    c.structured_data = data;
    c.hostname = "cgn1";
    c.max_packet_size = 65'000;
    return c;
  };
  const auto flow = [](ExportConfig::Protocol protocol) {
    ExportConfig c;
    c.protocol = protocol;
    return c;
  };
  using Format = ExportConfig::Format;
  return {{"syslog", syslog(Format::culvert, true)},
          {"syslog, junos", syslog(Format::junos, true)},
          {"syslog, junos, no structured data", syslog(Format::junos, false)},
          {"syslog, junos-short, no structured data", syslog(Format::junos_short, false)},
          {"IPFIX", flow(ExportConfig::Protocol::ipfix)},
          {"NetFlow v9", flow(ExportConfig::Protocol::netflow_v9)}};
}

std::vector<Row> plan(const Load& load) {
  const double blocks = 2 * load.subscribers * load.blocks;
  const double sessions = 2 * load.subscribers * load.connections;
  std::vector<Row> rows = {{"blocks", "ledger, sealed", blocks, kSealedBlock},
                           {"blocks", std::string(kUnsealed), blocks, kLiveBlock}};
  for (const Way& w : ways())
    rows.push_back({"blocks", std::string(w.name), blocks, bytes_each(w.config, load, false, false)});
  for (const bool destination : {false, true}) {
    const std::string what = destination ? "sessions with destinations" : "sessions";
    rows.push_back({what, "ledger, sealed", sessions, destination ? kSealedDestination : kSealedSession});
    rows.push_back({what, std::string(kUnsealed), sessions, kLiveSession});
    for (const Way& w : ways())
      rows.push_back({what, std::string(w.name), sessions, bytes_each(w.config, load, true, destination)});
  }
  return rows;
}

void print(const std::vector<Row>& rows, const Load& load) {
  std::cout << fmt::format(
      "{:.0f} subscribers, each with {:g} blocks and {:g} connections a day:\n{:.0f} block records and "
      "{:.0f} session records a day, {:.1f} and {:.1f} a second\n\n",
      load.subscribers, load.blocks, load.connections, 2 * load.subscribers * load.blocks,
      2 * load.subscribers * load.connections, load.subscribers * load.blocks / 43'200,
      load.subscribers * load.connections / 43'200);
  Table table(std::cout, {{"WHAT"}, {"FORMAT"}, {"BYTES EACH", true}, {"A DAY", true}, {"A MONTH", true}});
  for (const Row& r : rows)
    table.add({r.what, r.format, fmt::format("{:.1f}", r.bytes), bytes_text(r.records * r.bytes),
               r.a_month() ? bytes_text(*r.a_month()) : ""});
  table.finish("");
}

int run(const po::variables_map& given) {
  const std::string what = given.contains("what") ? given["what"].as<std::string>() : "";
  if (what != "logs")
    throw UsageError(what.empty() ? "what is to be planned? logs" : what + ": only logs can be planned");
  const Load load{given["subscribers"].as<double>(), given["blocks"].as<double>(),
                  given["connections"].as<double>(), given.contains("ipv4")};
  for (const double n : {load.subscribers, load.blocks, load.connections})
    if (!(n >= 0 && n <= 1e12)) throw UsageError("a number from 0 to 1e12 is needed");
  const std::vector<Row> rows = plan(load);
  if (!given.contains("json")) {
    print(rows, load);
    return 0;
  }
  for (const Row& r : rows)
    std::cout << nlohmann::ordered_json{{"what", r.what},
                                        {"format", r.format},
                                        {"records_a_day", r.records},
                                        {"bytes_each", r.bytes},
                                        {"bytes_a_day", r.records * r.bytes},
                                        {"bytes_a_month",
                                         r.a_month() ? nlohmann::json(*r.a_month()) : nullptr}}
                     .dump()
              << '\n';
  return 0;
}

}  // namespace

int run_plan(int argc, char** argv) {
  CommandLine line{"plan", kHelp};
  line.words = {"what"};
  line.options.add_options()  //
      ("subscribers", po::value<double>()->value_name("N")->default_value(32'000, "32000"), "subscribers")(
          "blocks", po::value<double>()->value_name("N")->default_value(60, "60"),
          "port blocks that each of them takes in a day")(
          "connections", po::value<double>()->value_name("N")->default_value(27'000, "27000"),
          "connections that each of them makes in a day")(
          "ipv4", "subscribers are IPv4 addresses (NAT44), not IPv6 prefixes")(
          "json", "print JSON, one object a line");
  return run_command(line, argc, argv, run);
}

}  // namespace culvert::tools
