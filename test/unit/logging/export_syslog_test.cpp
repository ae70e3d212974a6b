/// Syslog messages (RFC 5424) and their framing.
#include <rapidcheck/catch.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>
#include <optional>

#include "export_entries.h"
#include "logging/entry_text.h"
#include "logging/export/syslog_encoder.h"

using namespace culvert::logging;
using namespace culvert::logging::test;

namespace {

ExportConfig config(ExportConfig::Transport transport = ExportConfig::Transport::udp) {
  ExportConfig c;
  c.transport = transport;
  c.hostname = "cgn1";
  return c;
}

/// The messages in an outbox.
std::vector<std::string> messages(const Outbox& out) {
  std::vector<std::string> all;
  size_t begin = 0;
  for (const size_t end : out.ends) {
    all.push_back(out.bytes.substr(begin, end - begin));
    begin = end;
  }
  return all;
}
std::string encode(const ExportConfig& c, const Entry& e) {
  SyslogEncoder encoder(c, 4711);
  Outbox out;
  encoder.add(e, out);
  return messages(out).at(0);
}

struct Parsed {
  std::string header;
  std::map<std::string, std::map<std::string, std::string>> data;
  std::string text;
};
/// A message as RFC 5424's grammar has it; nullopt: it is none. Written from the grammar, not the encoder.
std::optional<Parsed> parse(std::string_view m) {
  Parsed parsed;
  size_t at = 0;
  for (int words = 0; words < 6; at++) {
    if (at >= m.size()) return std::nullopt;
    if (m[at] == ' ') words++;
  }
  parsed.header = m.substr(0, at - 1);
  if (at < m.size() && m[at] == '-') {
    at++;
  } else {
    while (at < m.size() && m[at] == '[') {
      const size_t id_end = m.find_first_of(" ]", at);
      if (id_end == std::string_view::npos) return std::nullopt;
      auto& element = parsed.data[std::string(m.substr(at + 1, id_end - at - 1))];
      at = id_end;
      while (at < m.size() && m[at] == ' ') {
        const size_t equals = m.find("=\"", at);
        if (equals == std::string_view::npos) return std::nullopt;
        std::string& value = element[std::string(m.substr(at + 1, equals - at - 1))];
        for (at = equals + 2; at < m.size() && m[at] != '"'; at++) {
          if (m[at] == ']') return std::nullopt;
          if (m[at] == '\\') at++;
          if (at < m.size()) value += m[at];
        }
        at++;
      }
      if (at >= m.size() || m[at] != ']') return std::nullopt;
      at++;
    }
    if (parsed.data.empty()) return std::nullopt;
  }
  if (at < m.size() && m[at] != ' ') return std::nullopt;
  parsed.text = m.substr(std::min(m.size(), at + 1));
  return parsed;
}

}  // namespace

TEST_CASE("A syslog message is RFC 5424's, with the event's time and fields", "[export][syslog]") {
  CHECK(
      encode(config(), block(1)) ==
      "<134>1 2026-11-22T02:45:07.532Z cgn1 culvert 4711 block-allocated [meta sequenceId=\"1\"]"
      "[culvert@32473 event=\"block-allocated\" subscriber=\"100.64.1.2\" external=\"203.0.113.0\" "
      "first-port=\"1024\" last-port=\"1535\" instance=\"nat44\" carriage=\"nat44\" reason=\"first-packet\" "
      "worker=\"0\" ordinal=\"1\"] " +
          text_of(block(1)));
}

TEST_CASE("Facility, element name and structured data are settings", "[export][syslog]") {
  ExportConfig c = config();
  c.facility = 4;
  c.enterprise_number = 99;
  CHECK_THAT(encode(c, block(1)), Catch::StartsWith("<38>1 ") && Catch::Contains("[culvert@99 event="));
  CHECK_THAT(encode(c, refused(1, "no-ports")), Catch::StartsWith("<36>1 "));
  CHECK_THAT(encode(c, other(Entry::Kind::record_lost)), Catch::StartsWith("<35>1 "));
  CHECK_THAT(encode(c, other(Entry::Kind::clock)), Catch::StartsWith("<37>1 "));
  c.structured_data = false;
  CHECK(encode(c, block(1)) ==
        "<38>1 2026-11-22T02:45:07.532Z cgn1 culvert 4711 block-allocated - " + text_of(block(1)));
  c.hostname.clear();
  char own[256] = {};
  REQUIRE(gethostname(own, sizeof own - 1) == 0);
  CHECK_THAT(encode(c, block(1)), Catch::Contains(std::string(" ") + own + " culvert 4711 "));
}

TEST_CASE("The text has the format that was asked for", "[export][syslog]") {
  ExportConfig c = config();
  c.format = ExportConfig::Format::junos;
  CHECK_THAT(encode(c, block(1)), Catch::EndsWith("] (FPC Slot 0, PIC Slot 0) 2026-11-22 02:45:07 "
                                                  "[FWNAT]:ASP_NAT_PORT_BLOCK_ALLOC: 100.64.1.2 -> "
                                                  "203.0.113.0:1024-1535"));
  c.format = ExportConfig::Format::junos_short;
  CHECK_THAT(encode(c, block(1)), Catch::EndsWith("] 02:45:07 A 203.0.113.0 1024-1535 100.64.1.2"));
  c.format = ExportConfig::Format::custom;
  c.message_template = "{subscriber} {ports}";
  CHECK_THAT(encode(c, block(1)), Catch::EndsWith("] 100.64.1.2 1024-1535"));
}

TEST_CASE("sequenceId numbers messages from 1 to 2147483647 and again (RFC 5424 7.3.1)", "[export][syslog]") {
  SyslogEncoder encoder(config(), 1);
  Outbox out;
  encoder.add(block(5), out);
  encoder.begin();  // a new connection is no new start
  encoder.add(block(5), out);
  encoder.add_gap(6, 8, out);
  const auto all = messages(out);
  REQUIRE(all.size() == 3);
  for (size_t i = 0; i < 3; i++)
    CHECK(parse(all[i])->data.at("meta").at("sequenceId") == std::to_string(i + 1));
}

TEST_CASE("A gap is a message of its own", "[export][syslog]") {
  SyslogEncoder encoder(config(), 4711);
  Outbox out;
  encoder.set_time({.unix_ms = kTime});
  encoder.add_gap(6, 8, out);
  CHECK(messages(out).at(0) ==
        "<131>1 2026-11-22T02:45:07.532Z cgn1 culvert 4711 export-gap [meta sequenceId=\"1\"][culvert@32473 "
        "event=\"export-gap\" first-ordinal=\"6\" last-ordinal=\"8\"] 2026-11-22T02:45:07.532Z export-gap "
        "first-ordinal=6 last-ordinal=8");
}

TEST_CASE("Over TCP and TLS octets are counted (RFC 6587 3.4.1, RFC 5425 4.3)", "[export][syslog]") {
  SyslogEncoder datagrams(config(), 1), tcp(config(ExportConfig::Transport::tcp), 1),
      tls(config(ExportConfig::Transport::tls), 1);
  Outbox a, b, c;
  for (const uint64_t ordinal : {1, 2, 3}) {
    datagrams.add(block(ordinal), a);
    tcp.add(block(ordinal), b);
    tls.add(block(ordinal), c);
  }
  std::string framed;
  for (const std::string& m : messages(a)) framed += std::to_string(m.size()) + " " + m;
  CHECK(b.bytes == framed);
  CHECK(c.bytes == framed);
}

TEST_CASE("Any entry is a message of RFC 5424's grammar that fits a datagram", "[export][syslog]") {
  rc::prop("any entry, any format", [] {
    ExportConfig c = config();
    c.max_packet_size = *rc::gen::inRange(1024, 1500);
    c.hostname = std::string(*rc::gen::inRange<size_t>(1, 129), 'h');
    c.format = static_cast<ExportConfig::Format>(*rc::gen::inRange(0, 3));
    const Entry e = *any_entry();
    const std::string m = encode(c, e);
    RC_ASSERT(m.size() <= c.max_packet_size);
    const auto parsed = parse(m);
    RC_ASSERT(parsed.has_value());
    const auto& data = parsed->data.at("culvert@32473");
    for (const EntryField& field : entry_fields()) {
      std::string value;
      const bool has = field.in_data && field.append(value, e);
      RC_ASSERT(data.contains(std::string(field.name)) == has);
      if (has) RC_ASSERT(data.at(std::string(field.name)) == value);
    }
    c.transport = ExportConfig::Transport::tcp;
    RC_ASSERT(parse(encode(c, e).substr(encode(c, e).find(' ') + 1))->text.starts_with(parsed->text));
  });
}
