/// What events look like in words: the line of `culvert log show`, Junos', and templates.
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

#include "export_entries.h"
#include "logging/entry_fields.h"
#include "logging/entry_text.h"
#include "logging/export/junos_text.h"
#include "logging/export/message_template.h"

using namespace culvert::logging;
using namespace culvert::logging::test;
using Kind = Entry::Kind;

namespace {

std::string junos(const Entry& e) {
  std::string out;
  append_junos(out, e);
  return out;
}
std::string junos_short(const Entry& e) {
  std::string out;
  append_junos_short(out, e);
  return out;
}
/// What a template makes of an entry, or what is wrong with it.
std::string by_template(std::string_view text, const Entry& e) {
  auto parsed = MessageTemplate::parse(text);
  if (auto* wrong = std::get_if<std::string>(&parsed)) return "wrong: " + *wrong;
  std::string out;
  std::get<MessageTemplate>(parsed).append(out, e);
  return out;
}

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
}

}  // namespace

TEST_CASE("An entry's line has the look of the block log", "[export][text]") {
  CHECK(text_of(block(1)) ==
        "2026-11-22T02:45:07.532Z block-allocated subscriber=100.64.1.2 external=203.0.113.0 ports=1024-1535 "
        "instance=nat44 reason=first-packet worker=0 ordinal=1");
  CHECK(text_of(of_home(released(9))) ==
        "2026-11-22T02:45:07.532Z block-released subscriber=2001:db8:1:200::/56 external=203.0.113.0 "
        "ports=1024-1535 instance=homes reason=idle worker=0 ordinal=9 peak-mappings=12 "
        "since=2026-11-22T02:44:07.532Z");
  CHECK(text_of(mapping(2)) ==
        "2026-11-22T02:45:07.532Z mapping-created subscriber=2001:db8:1:200::/56 internal=192.168.1.2 "
        "internal-port=48001 external=203.0.113.0 ports=48000-48000 protocol=tcp instance=homes worker=0 "
        "ordinal=2 origin=pcp-map lifetime=3600");
  CHECK(text_of(of_phone(session(3))) ==
        "2026-11-22T02:45:07.532Z session-created subscriber=2001:db8:2::/64 internal=2001:db8:2::9 "
        "internal-port=48001 external=203.0.113.0 ports=48000-48000 destination=198.51.100.7 "
        "destination-port=443 protocol=tcp instance=phones worker=0 ordinal=3");
  CHECK(text_of(refused(4, "no-ports")) ==
        "2026-11-22T02:45:07.532Z refused subscriber=100.64.1.2 instance=nat44 reason=no-ports worker=0 "
        "ordinal=4 count=7");
}

TEST_CASE("Entries that are of no subscriber say what they have", "[export][text]") {
  Entry lost = other(Kind::record_lost);
  lost.ordinal = 5;
  lost.worker = 3;
  CHECK(text_of(lost) == "2026-11-22T02:45:07.532Z record-lost worker=3 ordinal=5");
  CHECK(text_of(other(Kind::culvertd_started, "0.1.0; the run before crashed")) ==
        "2026-11-22T02:45:07.532Z culvertd-started version=\"0.1.0; the run before crashed\"");
  CHECK(text_of(other(Kind::culvertd_stopped)) == "2026-11-22T02:45:07.532Z culvertd-stopped");
  CHECK(text_of(other(Kind::configuration, "00ff")) == "2026-11-22T02:45:07.532Z configuration sha256=00ff");
  Entry clock = other(Kind::clock);
  clock.clock_ahead = -1000;
  CHECK(text_of(clock) == "2026-11-22T02:45:06.532Z clock clock-ahead=-1000");
  Entry uncertain = other(Kind::uncertain);
  uncertain.uncertain_from = kTime - 2000;
  uncertain.uncertain_to = kTime - 1000;
  CHECK(text_of(uncertain) ==
        "2026-11-22T02:45:07.532Z uncertain from=2026-11-22T02:45:05.532Z to=2026-11-22T02:45:06.532Z");
}

TEST_CASE("Times are the system's, and a subscriber whom damage took is unknown", "[export][text]") {
  Entry e = released(1);
  e.clock_ahead = 3'600'000;
  e.subscriber_length = 0;
  CHECK_THAT(text_of(e), Catch::StartsWith("2026-11-22T03:45:07.532Z block-released subscriber=unknown "));
  CHECK_THAT(text_of(e), Catch::EndsWith(" since=2026-11-22T03:44:07.532Z"));
}

TEST_CASE("Every entry is one line of printable characters, in all words", "[export][text]") {
  rc::prop("any entry", [] {
    const Entry e = *any_entry();
    RC_ASSERT(printable(text_of(e)) && printable(junos(e)) && printable(junos_short(e)));
    for (const EntryField& field : entry_fields()) {
      std::string value;
      const bool has = field.append(value, e);
      RC_ASSERT(printable(value) && value.find('"') == std::string::npos);
      RC_ASSERT(has != value.empty());
      RC_ASSERT(by_template("<{" + std::string(field.name) + "}>", e) == "<" + (has ? value : "-") + ">");
    }
  });
}

TEST_CASE("Junos' block lines, long and shortened, are those of the carriers' presentation",
          "[export][junos]") {
  Entry e;
  e.worker = 1;
  e.instance = "dslite";
  e.carriage = Entry::Carriage::ds_lite;
  e.time = 1'379'574'490'850;  // 2013-09-19 07:08:10.850
  e.subscriber = ipv6("2a02:2149:ff01:6869:7c84:6829:ca04:f3cd");
  e.external = ipv4("194.219.240.252");
  e.first_port = 5120;
  e.last_port = 6143;
  CHECK(junos(e) ==
        "(FPC Slot 0, PIC Slot 1) 2013-09-19 07:08:10 [FWNAT]:ASP_NAT_PORT_BLOCK_ALLOC: "
        "2a02:2149:ff01:6869:7c84:6829:ca04:f3cd -> 194.219.240.252:5120-6143");
  CHECK(junos_short(e) == "07:08:10 A 194.219.240.252 5120-6143 2a02:2149:ff01:6869");

  e.kind = Kind::block_released;
  e.time = 1'379'577'059'933;
  e.since = 0x523aa078ull * 1000 + 999;
  e.first_port = 3072;
  e.last_port = 4095;
  CHECK(junos(e) ==
        "(FPC Slot 0, PIC Slot 1) 2013-09-19 07:50:59 [FWNAT]:ASP_NAT_PORT_BLOCK_RELEASE: "
        "2a02:2149:ff01:6869:7c84:6829:ca04:f3cd -> 194.219.240.252:3072-4095 0x523aa078");
  CHECK(junos_short(e) == "07:50:59 R 194.219.240.252 3072-4095 2a02:2149:ff01:6869");
}

TEST_CASE("Junos' mapping and session lines", "[export][junos]") {
  Entry e = mapping(1);
  CHECK(junos(e) ==
        "(FPC Slot 0, PIC Slot 0) 2026-11-22 02:45:07 {homes}[FWNAT]:ASP_PCP_NAT_MAP_CREATE: "
        "2001:db8:1:200::/56 192.168.1.2:48001 -> 203.0.113.0:48000");
  CHECK(junos_short(e) == "02:45:07 C 203.0.113.0 48000 2001:db8:1:200");
  e.kind = Kind::mapping_deleted;
  CHECK_THAT(junos(e), Catch::Contains("ASP_PCP_NAT_MAP_DELETE: "));
  CHECK(junos_short(e) == "02:45:07 D 203.0.113.0 48000 2001:db8:1:200");
  Entry s = session(2);
  CHECK(
      junos(s) ==
      "(FPC Slot 0, PIC Slot 0) 2026-11-22 02:45:07 {homes}[FWNAT]: ASP_SFW_CREATE_ACCEPT_FLOW: proto 6 "
      "(TCP) application: any, (null)(null)192.168.1.2:48001 -> 198.51.100.7:443, creating forward or watch "
      "flow ; source address and port translate to 203.0.113.0:48000 ;Softwire 2001:db8:1:200::/56");
  CHECK(junos_short(s) == "02:45:07 C 6 203.0.113.0 48000 2001:db8:1:200");
  s.kind = Kind::session_deleted;
  CHECK_THAT(junos(s), Catch::Contains(" ASP_SFW_DELETE_FLOW: ") && Catch::Contains(", deleting forward "));
  // What Junos has no word for is told in Culvert's.
  const Entry r = refused(3, "no-blocks");
  CHECK(junos(r) == text_of(r));
  CHECK(junos_short(r) == text_of(r));
}

TEST_CASE("A template puts fields where their names stand", "[export][template]") {
  CHECK(by_template("{time} {event} {subscriber} -> {external}:{first-port}-{last-port}", block(1)) ==
        "2026-11-22T02:45:07.532Z block-allocated 100.64.1.2 -> 203.0.113.0:1024-1535");
  CHECK(by_template("{{{ordinal}}} of {{ledger}}", block(7)) == "{7} of {ledger}");
  CHECK(by_template("{destination}", block(1)) == "-");
  CHECK(by_template("no fields", block(1)) == "no fields");
}

TEST_CASE("What is wrong with a template is said so that it can be put right", "[export][template]") {
  const auto wrong = [](std::string_view text) { return by_template(text, block(1)); };
  CHECK_THAT(wrong("{subscribr}"),
             Catch::Contains("{subscribr} is no field") && Catch::Contains("subscriber,"));
  CHECK_THAT(wrong("{}"), Catch::Contains("{} is no field"));
  CHECK_THAT(wrong("a {time"), Catch::Contains("{ at byte 3 that nothing closes"));
  CHECK_THAT(wrong("a } b"), Catch::Contains("} at byte 3 that closes nothing"));
  CHECK_THAT(wrong(""), Catch::Contains("is empty"));
  CHECK_THAT(wrong("a\nb"), Catch::Contains("control character"));
  CHECK_THAT(wrong(std::string(1025, 'x')), Catch::Contains("has 1025 bytes, 1024 at most"));
  rc::prop("any text is a template or told to be none", [](const std::string& text) {
    const auto parsed = MessageTemplate::parse(text);
    if (const auto* said = std::get_if<std::string>(&parsed)) RC_ASSERT(printable(*said));
  });
}
