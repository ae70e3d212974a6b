/// Feeds an export: an Exporter as culvertd has it, and a ledger that is made up as it is read, so that any
/// number of events comes at any rate. For test/export/run.py, and to measure.
///
///     export_feed CONFIG --count N [--rate EVENTS-A-SECOND] [--blocks] [--list FILE]
///
/// CONFIG is JSON with the keys of docs/exports.md, and `position-file`. Events have the ordinals 1 to N and
/// come at the rate, or all at once. Every 100 ms a line of JSON tells the statistics; complaints go to the
/// standard error. --list writes all events as `culvert log show` does. It ends by SIGTERM, or when its
/// standard input ended, all was sent, and the collector is reached.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "logging/entry_text.h"
#include "logging/export/exporter.h"
#include "net/mapped.h"

using namespace culvert;
using namespace culvert::logging;
using nlohmann::json;
using std::chrono::steady_clock;

namespace {

constexpr uint64_t kBegin = 1'795'315'507'532;  ///< the first event's time

struct Options {
  json config;
  uint64_t count = 0, rate = 0;
  bool blocks = false;  ///< nothing else
  std::string list;
};

/// The event of an ordinal.
Entry entry_at(uint64_t n, bool blocks) {
  Entry e;
  e.ordinal = n;
  e.time = kBegin + n;
  e.worker = static_cast<uint8_t>(n % 3);
  const uint64_t subscriber = n / 16;
  const auto at = static_cast<uint32_t>(subscriber);
  e.carriage = static_cast<Entry::Carriage>(n / 2 % 3);
  switch (e.carriage) {
    case Entry::Carriage::nat44:
      e.instance = "nat44";
      e.subscriber = net::mapped(net::Ipv4Address(0x64400000 + at % 0x400000));
      e.internal = e.subscriber;
      break;
    case Entry::Carriage::ds_lite:
      e.instance = "homes";
      e.subscriber = net::Ipv6Address::from_halves(0x20010db800000000 + (subscriber << 8), 0);
      e.subscriber_length = 56;
      e.internal = net::mapped(net::Ipv4Address(0xc0a80102));
      break;
    case Entry::Carriage::nat64:
      e.instance = "phones";
      e.subscriber = net::Ipv6Address::from_halves(0x20010db900000000 + subscriber, 0);
      e.subscriber_length = 64;
      e.internal = net::Ipv6Address::from_halves(e.subscriber.high(), 9);
      break;
  }
  e.internal_port = static_cast<uint16_t>(1 + n % 65535);
  e.external = net::Ipv4Address(0xcb007100 + at % 256);
  e.first_port = static_cast<uint16_t>(1024 + 512 * (n % 100));
  e.last_port = static_cast<uint16_t>(e.first_port + 511);
  e.reason = Reason::first_packet;
  e.protocol = n % 2 == 0 ? 6 : 17;
  switch (blocks ? n % 2 : n / 6 % 8) {
    case 0:
      break;
    case 1:
      e.kind = Entry::Kind::block_released;
      e.reason = Reason::idle;
      e.since = e.time - 60'000;
      e.peak = n % 500;
      break;
    case 2:
    case 3:
      e.kind = n / 6 % 8 == 2 ? Entry::Kind::mapping_created : Entry::Kind::mapping_deleted;
      e.origin = Entry::Origin::pcp_map;
      e.lifetime = 3600;
      e.last_port = e.first_port;
      break;
    case 4:
    case 5:
      e.kind = n / 6 % 8 == 4 ? Entry::Kind::session_created : Entry::Kind::session_deleted;
      e.last_port = e.first_port;
      if (n % 5 != 0) e.destination = net::Ipv4Address(0xc6336400 + static_cast<uint32_t>(n % 256));
      e.destination_port = 443;
      break;
    case 6:
      e.kind = Entry::Kind::refused;
      e.text = n % 2 == 0 ? "no-ports" : "no-blocks";
      e.count = n % 100 + 1;
      break;
    default:
      e = {};
      e.kind = Entry::Kind::record_lost;
      e.ordinal = n;
      e.time = kBegin + n;
  }
  return e;
}

class MadeUpLedger : public EntrySource {
 public:
  explicit MadeUpLedger(const Options& options) : options_(options), began_(steady_clock::now()) {}

  bool next(Entry& e) override {
    if (next_ >= end_ && next_ >= (end_ = end())) return false;
    e = entry_at(next_++, options_.blocks);
    return true;
  }
  void seek(uint64_t ordinal) override { next_ = std::max<uint64_t>(1, ordinal); }
  uint64_t end() override {
    if (options_.rate == 0) return options_.count + 1;
    const auto passed = std::chrono::duration<double>(steady_clock::now() - began_).count();
    const auto made = static_cast<uint64_t>(passed * static_cast<double>(options_.rate));
    return std::min(options_.count + 1, 1 + made);
  }

 private:
  const Options options_;
  const steady_clock::time_point began_;
  uint64_t next_ = 1, end_ = 0;
};

template <typename E>
E choice(const json& config, const char* key, const std::vector<std::pair<std::string, E>>& names,
         E otherwise) {
  const auto found = config.find(key);
  if (found == config.end()) return otherwise;
  for (const auto& [name, value] : names)
    if (name == found->get<std::string>()) return value;
  throw std::runtime_error(fmt::format("{}: {}", key, found->dump()));
}

ExportConfig export_config(const json& j) {
  using C = ExportConfig;
  C c;
  c.name = "feed";
  c.protocol = choice<C::Protocol>(j, "protocol",
                                   {{"syslog", C::Protocol::syslog},
                                    {"ipfix", C::Protocol::ipfix},
                                    {"netflow-v9", C::Protocol::netflow_v9}},
                                   c.protocol);
  c.transport = choice<C::Transport>(
      j, "transport", {{"udp", C::Transport::udp}, {"tcp", C::Transport::tcp}, {"tls", C::Transport::tls}},
      c.transport);
  c.format = choice<C::Format>(j, "format",
                               {{"culvert", C::Format::culvert},
                                {"junos", C::Format::junos},
                                {"junos-short", C::Format::junos_short},
                                {"template", C::Format::custom}},
                               c.format);
  const auto take = [&]<typename T>(const char* key, T& value) { value = j.value(key, value); };
  take("address", c.address);
  take("port", c.port);
  take("position-file", c.position_file);
  take("max-packet-size", c.max_packet_size);
  take("datagrams-per-second", c.datagrams_per_second);
  take("overlap", c.overlap);
  take("template", c.message_template);
  take("hostname", c.hostname);
  take("facility", c.facility);
  take("structured-data", c.structured_data);
  take("enterprise-number", c.enterprise_number);
  take("observation-domain-id", c.observation_domain_id);
  take("template-refresh-timeout", c.template_refresh_timeout);
  take("template-refresh-packet", c.template_refresh_packet);
  take("ca-file", c.ca_file);
  take("server-name", c.server_name);
  take("certificate-file", c.certificate_file);
  take("private-key-file", c.private_key_file);
  if (const auto fault = fault_of(c)) throw std::runtime_error(fault->key + " " + fault->what);
  return c;
}

Options options_of(int argc, char** argv) {
  Options o;
  if (argc < 2) throw std::runtime_error("usage: export_feed CONFIG --count N ...");
  o.config = json::parse(argv[1]);
  for (int i = 2; i < argc; i++) {
    const std::string name = argv[i];
    if (name == "--blocks") {
      o.blocks = true;
      continue;
    }
    if (++i == argc) throw std::runtime_error(name + " lacks its value");
    if (name == "--count")
      o.count = std::stoull(argv[i]);
    else if (name == "--rate")
      o.rate = std::stoull(argv[i]);
    else if (name == "--list")
      o.list = argv[i];
    else
      throw std::runtime_error("there is no option " + name);
  }
  return o;
}

void tell(const ExportStats& s, double seconds) {
  const json line = {
      {"sent", s.sent.load()},         {"repeated", s.repeated.load()}, {"lost", s.lost.load()},
      {"failures", s.failures.load()}, {"position", s.position.load()}, {"confirmed", s.confirmed.load()},
      {"waiting", s.waiting.load()},   {"failing", s.failing.load()},   {"seconds", seconds}};
  std::cout << line.dump() << std::endl;
}

int run(const Options& o) {
  if (!o.list.empty()) {
    std::ofstream out(o.list);
    for (uint64_t n = 1; n <= o.count; n++) out << text_of(entry_at(n, o.blocks)) << '\n';
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);

  const auto began = steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(steady_clock::now() - began).count(); };
  Exporter exporter(export_config(o.config), std::make_unique<MadeUpLedger>(o),
                    [](const std::string& text) { std::cerr << text << std::endl; });
  for (bool input = true;;) {
    pollfd fds[2] = {{signal_fd, POLLIN, 0}, {input ? STDIN_FILENO : -1, POLLIN, 0}};
    poll(fds, 2, 100);
    tell(exporter.stats(), seconds());
    char byte;
    if (fds[1].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0) input = false;
    if (fds[0].revents != 0 || (!input && !exporter.stats().failing && exporter.stats().position > o.count))
      return 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(options_of(argc, argv));
  } catch (const std::exception& e) {
    std::cerr << "export_feed: " << e.what() << '\n';
    return 2;
  }
}
