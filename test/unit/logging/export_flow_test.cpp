/// IPFIX (RFC 7011, NAT events of RFC 8158) and NetFlow v9 (RFC 3954), read back by a reader of its own.
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

#include "dataplane/drop_reason.h"
#include "export_entries.h"
#include "export_flow_reader.h"
#include "logging/export/flow_encoder.h"

using namespace culvert::logging;
using namespace culvert::logging::test;
using culvert::dataplane::DropReason;
using Kind = Entry::Kind;

namespace {

using Message = FlowReader::Message;

ExportConfig config(ExportConfig::Protocol protocol = ExportConfig::Protocol::ipfix,
                    ExportConfig::Transport transport = ExportConfig::Transport::udp) {
  ExportConfig c;
  c.protocol = protocol;
  c.transport = transport;
  c.observation_domain_id = 77;
  return c;
}
constexpr ExportConfig::Protocol kBoth[] = {ExportConfig::Protocol::ipfix,
                                            ExportConfig::Protocol::netflow_v9};

/// Reads each message of an outbox for itself, as datagrams come.
std::vector<Message> read(FlowReader& reader, const Outbox& out) {
  std::vector<Message> all;
  size_t begin = 0;
  for (const size_t end : out.ends) {
    std::string_view bytes(out.bytes.data() + begin, end - begin);
    all.push_back(reader.read(bytes));
    if (!bytes.empty()) throw std::runtime_error("bytes behind the message");
    begin = end;
  }
  return all;
}
/// The one record that an entry makes.
FlowReader::Record record_of(const Entry& e, ExportConfig::Protocol p = ExportConfig::Protocol::ipfix) {
  FlowEncoder encoder(config(p));
  Outbox out;
  encoder.add(e, out);
  encoder.end(out);
  FlowReader reader;
  std::vector<FlowReader::Record> records;
  for (const Message& m : read(reader, out))
    records.insert(records.end(), m.records.begin(), m.records.end());
  return records.size() == 1 ? records[0] : FlowReader::Record();
}
uint64_t value(const FlowReader::Record& r, uint16_t element) { return FlowReader::number(r.at(element)); }
std::string bytes_of(const culvert::net::Ipv6Address& a) {
  return {reinterpret_cast<const char*>(a.bytes.data()), a.bytes.size()};
}

}  // namespace

TEST_CASE("A block is a port block event (RFC 8158), in both protocols", "[export][flow]") {
  for (const auto protocol : kBoth) {
    const auto r = record_of(block(7), protocol);
    CHECK(value(r, 323) == kTime);
    CHECK(value(r, 148) == 7);
    CHECK(value(r, 230) == 16);
    CHECK(value(r, 8) == 0x64400102);
    CHECK(value(r, 9) == 32);
    CHECK(value(r, 225) == 0xcb007100);
    CHECK(value(r, 361) == 1024);
    CHECK(value(r, 362) == 1535);
    CHECK(value(r, 363) == 1);
    CHECK(value(r, 364) == 512);
    const auto home = record_of(of_home(released(8)), protocol);
    CHECK(value(home, 230) == 17);
    CHECK(home.at(27) == bytes_of(ipv6("2001:db8:1:200::")));
    CHECK(value(home, 29) == 56);
    CHECK_FALSE(home.contains(8));
    // The same instance is the same number, another another.
    CHECK(value(home, 463) == value(record_of(of_home(block(1)), protocol), 463));
    CHECK(value(home, 463) != value(r, 463));
  }
}

TEST_CASE("Explicit mappings are BIB events", "[export][flow]") {
  const auto ds_lite = record_of(mapping(1));
  CHECK(value(ds_lite, 230) == 8);
  CHECK(ds_lite.at(27) == bytes_of(ipv6("2001:db8:1:200::")));
  CHECK(value(ds_lite, 8) == 0xc0a80102);
  CHECK(value(ds_lite, 7) == 48001);
  CHECK(value(ds_lite, 4) == 6);
  CHECK(value(ds_lite, 225) == 0xcb007100);
  CHECK(value(ds_lite, 227) == 48000);
  const auto nat64 = record_of(of_phone(mapping(1)));
  CHECK(value(nat64, 230) == 10);
  CHECK(nat64.at(27) == bytes_of(ipv6("2001:db8:2::9")));
  CHECK_FALSE(nat64.contains(8));
  Entry e = mapping(1);
  e.carriage = Entry::Carriage::nat44;
  e.kind = Kind::mapping_deleted;
  const auto nat44 = record_of(e);
  CHECK(value(nat44, 230) == 9);
  CHECK(value(nat44, 8) == 0xc0a80102);
  CHECK_FALSE(nat44.contains(27));
}

TEST_CASE("Sessions have their destination, where it is logged", "[export][flow]") {
  const auto ds_lite = record_of(session(1));
  CHECK(value(ds_lite, 230) == 4);
  CHECK(value(ds_lite, 12) == 0xc6336407);
  CHECK(value(ds_lite, 11) == 443);
  Entry e = of_phone(session(1));
  e.kind = Kind::session_deleted;
  const auto nat64 = record_of(e);
  CHECK(value(nat64, 230) == 7);
  CHECK(value(nat64, 226) == 0xc6336407);  // behind the NAT: before it it was IPv6
  CHECK(value(nat64, 228) == 443);
  e.destination.reset();
  const auto without = record_of(e);
  CHECK(value(without, 230) == 11);  // an entry of the BIB
  CHECK_FALSE((without.contains(226) || without.contains(12)));
}

TEST_CASE("Refusals are quota events, or an exhausted pool", "[export][flow]") {
  const auto r = [](DropReason reason) { return record_of(refused(1, std::string(name_of(reason)))); };
  CHECK(value(r(DropReason::session_table_full), 466) == 1);
  CHECK(value(r(DropReason::mapping_table_full), 466) == 2);
  CHECK(value(r(DropReason::instance_mappings), 466) == 2);
  for (const DropReason mine :
       {DropReason::no_ports, DropReason::subscriber_ports, DropReason::subscriber_mappings,
        DropReason::subscriber_sessions, DropReason::subscriber_rate})
    CHECK(value(r(mine), 466) == 3);
  CHECK(value(r(DropReason::subscriber_table_full), 466) == 4);
  CHECK(value(r(DropReason::no_ports), 230) == 13);
  CHECK(value(r(DropReason::no_ports), 133) == 7);
  CHECK(value(r(DropReason::no_ports), 8) == 0x64400102);
  CHECK(value(r(DropReason::no_blocks), 230) == 3);
  CHECK(value(r(DropReason::no_blocks), 133) == 7);
  CHECK_FALSE(r(DropReason::no_blocks).contains(466));
  CHECK(r(DropReason::log_full).empty());  // that is no event of RFC 8158
  CHECK(record_of(other(Kind::culvertd_started, "1")).empty());
}

TEST_CASE("Headers say version, time, domain", "[export][flow]") {
  for (const auto protocol : kBoth) {
    FlowEncoder encoder(config(protocol));
    Outbox out;
    encoder.set_time({.unix_ms = kTime, .uptime_ms = 123'456});
    encoder.add(block(1), out);
    encoder.end(out);
    FlowReader reader;
    const Message m = read(reader, out).at(0);
    CHECK(m.version == (protocol == ExportConfig::Protocol::ipfix ? 10 : 9));
    CHECK(m.seconds == kTime / 1000);
    CHECK(m.domain == 77);
    CHECK(m.sequence == 0);
    if (protocol == ExportConfig::Protocol::netflow_v9) CHECK(m.uptime == 123'456);
  }
}

TEST_CASE("IPFIX counts data records, NetFlow v9 counts packets", "[export][flow]") {
  for (const auto protocol : kBoth) {
    FlowEncoder encoder(config(protocol));
    FlowReader reader;
    uint32_t expected = 0;
    for (unsigned round = 0; round < 50; round++) {
      Outbox out;
      for (unsigned i = 0; i <= round; i++) encoder.add(i % 3 == 0 ? of_home(block(i)) : block(i), out);
      encoder.end(out);
      for (const Message& m : read(reader, out)) {
        CHECK(m.sequence == expected);
        expected += protocol == ExportConfig::Protocol::ipfix
                        ? static_cast<uint32_t>(m.records.size() + m.options.size())
                        : 1;
      }
    }
  }
}

TEST_CASE("A connection over TCP begins anew, a collector by UDP does not", "[export][flow]") {
  const auto after_begin = [](ExportConfig::Protocol protocol, ExportConfig::Transport transport) {
    FlowEncoder encoder(config(protocol, transport));
    Outbox out;
    encoder.add(block(1), out);
    encoder.end(out);
    encoder.add(block(2), out);  // is in the message being made when the connection breaks
    out.clear();
    encoder.begin();
    encoder.add(block(3), out);
    encoder.end(out);
    FlowReader reader;
    const Message m = read(reader, out).at(0);
    CHECK(m.templates >= 12);
    REQUIRE(m.records.size() == 1);
    CHECK(value(m.records[0], 148) == 3);
    return m.sequence;
  };
  using P = ExportConfig::Protocol;
  using T = ExportConfig::Transport;
  CHECK(after_begin(P::ipfix, T::tcp) == 0);  // RFC 7011 3.1: of this transport session
  CHECK(after_begin(P::ipfix, T::udp) == 1);
  CHECK(after_begin(P::netflow_v9, T::tcp) == 1);
  CHECK(after_begin(P::netflow_v9, T::udp) == 1);
}

TEST_CASE("Over UDP templates are sent again by time and by count, over TCP once", "[export][flow]") {
  for (const auto protocol : kBoth) {
    for (const auto transport : {ExportConfig::Transport::udp, ExportConfig::Transport::tcp}) {
      ExportConfig c = config(protocol, transport);
      c.template_refresh_timeout = 60;
      c.template_refresh_packet = 5;
      FlowEncoder encoder(c);
      FlowReader reader;
      const auto templates_at = [&](uint64_t ms) {
        Outbox out;
        encoder.set_time({.unix_ms = kTime + ms});
        encoder.add(block(1), out);
        encoder.end(out);
        unsigned n = 0;
        for (const Message& m : read(reader, out)) n += m.templates;
        return n != 0;
      };
      const bool again = transport == ExportConfig::Transport::udp;
      CHECK(templates_at(0));
      for (int i = 0; i < 4; i++) CHECK_FALSE(templates_at(0));
      CHECK(templates_at(0) == again);  // five messages later
      CHECK_FALSE(templates_at(59'999));
      CHECK(templates_at(60'000) == again);
      CHECK_FALSE(templates_at(60'001));
    }
  }
}

TEST_CASE("IPFIX tells how many events the collector never gets (RFC 7011 4.3)", "[export][flow]") {
  FlowEncoder encoder(config());
  FlowReader reader;
  Outbox out;
  encoder.add(block(1), out);
  encoder.add_gap(2, 9, out);
  encoder.add_gap(5, 10, out);  // the first time it could not be sent
  encoder.end(out);
  encoder.begin();
  encoder.add(block(11), out);
  encoder.end(out);
  const auto messages = read(reader, out);
  REQUIRE(messages.at(0).options.size() == 2);
  CHECK(value(messages[0].options[0], 166) == 8);
  CHECK(value(messages[0].options[1], 166) == 9);
  CHECK(value(messages[0].options[1], 144) == 77);
  CHECK(messages[0].sequence + 3 == messages.at(1).sequence);  // these are data records, too
  REQUIRE(messages[1].options.size() == 1);                    // and whoever is new hears of it
  CHECK(value(messages[1].options[0], 166) == 9);
}

TEST_CASE("Datagrams are filled to the brim, and no further", "[export][flow]") {
  for (uint32_t size = 1024; size < 1124; size++) {
    ExportConfig c = config();
    c.max_packet_size = size;
    FlowEncoder encoder(c);
    Outbox out;
    for (uint64_t n = 0; n < 300; n++) encoder.add(n / 3 % 2 == 0 ? block(n) : of_home(block(n)), out);
    size_t begin = 0;
    for (const size_t end : out.ends) {
      CHECK(end - begin <= size);
      if (begin != 0) CHECK(end - begin > size - 64);
      begin = end;
    }
  }
}

TEST_CASE("Any entries, in any grouping, are read back whole and fit their datagrams", "[export][flow]") {
  rc::prop("any entries", [] {
    ExportConfig c = config(kBoth[*rc::gen::inRange(0, 2)]);
    c.max_packet_size = *rc::gen::inRange<uint32_t>(1024, 1500);
    c.template_refresh_packet = *rc::gen::inRange<uint32_t>(1, 9);
    const bool stream = *rc::gen::arbitrary<bool>();
    if (stream) c.transport = ExportConfig::Transport::tcp;
    const auto entries = *rc::gen::container<std::vector<Entry>>(any_entry());
    FlowEncoder encoder(c);
    Outbox out;
    std::vector<uint64_t> expected;
    for (const Entry& e : entries) {
      encoder.add(e, out);
      if (template_of(e) != nullptr) expected.push_back(e.ordinal.value_or(0));
      if (*rc::gen::inRange(0, 5) == 0) encoder.end(out);
    }
    encoder.end(out);
    FlowReader reader;
    std::vector<Message> all;
    if (stream) {  // where only the messages themselves say where they end
      std::string_view bytes = out.bytes;
      while (!bytes.empty()) all.push_back(reader.read(bytes));
      RC_ASSERT(all.size() == out.ends.size());
    } else {
      all = read(reader, out);
    }
    size_t begin = 0;
    for (const size_t end : out.ends) {
      RC_ASSERT(stream || end - begin <= c.max_packet_size);
      begin = end;
    }
    std::vector<uint64_t> got;
    for (const Message& m : all)
      for (const auto& r : m.records) got.push_back(value(r, 148));
    RC_ASSERT(got == expected);
  });
}
