#include "logging/entry_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>

#include "net/mapped.h"

namespace culvert::logging {
namespace {

using Kind = Entry::Kind;

constexpr uint32_t bit(Kind k) { return uint32_t{1} << static_cast<unsigned>(k); }
constexpr uint32_t kBlocks = bit(Kind::block_allocated) | bit(Kind::block_released);
constexpr uint32_t kMappings = bit(Kind::mapping_created) | bit(Kind::mapping_deleted);
constexpr uint32_t kSessions = bit(Kind::session_created) | bit(Kind::session_deleted);
constexpr uint32_t kBindings = kMappings | kSessions;
constexpr uint32_t kPorts = kBlocks | kBindings;
constexpr uint32_t kSubscribers = kPorts | bit(Kind::refused);
constexpr uint32_t kWorkers = kPorts | bit(Kind::refused) | bit(Kind::record_lost);
constexpr uint32_t kAll = ~uint32_t{0};

bool text(std::string& out, std::string_view t) {
  out += t;
  return true;
}
bool number(std::string& out, uint64_t n) {
  append_number(out, n);
  return true;
}
bool time(std::string& out, uint64_t millis) {
  append_time(out, millis);
  return true;
}
bool address(std::string& out, const net::Ipv6Address& a) {
  if (const auto ipv4 = net::mapped_ipv4(a))
    append_address(out, *ipv4);
  else
    out += a.text();
  return true;
}
constexpr size_t kMostText = 128;  ///< bytes: a message must fit a datagram

/// A name that somebody chose: whatever it is, it breaks no line.
bool word(std::string& out, std::string_view t) {
  for (const char c : t.substr(0, kMostText)) out += c > ' ' && c < 0x7f && c != '"' ? c : '?';
  return !t.empty();
}
/// The same, with spaces in it.
bool words(std::string& out, std::string_view t) {
  for (const char c : t.substr(0, kMostText)) out += c >= ' ' && c < 0x7f && c != '"' ? c : '?';
  return !t.empty();
}

bool subscriber(std::string& out, const Entry& e) {
  if (e.subscriber_length == 0) return text(out, "unknown");  // damage took his record
  const bool whole = e.subscriber_length == 128;
  return whole ? address(out, e.subscriber)
               : text(out, net::subscriber_text(e.subscriber, e.subscriber_length));
}
bool reason(std::string& out, const Entry& e) {
  if (e.kind != Kind::refused) return e.reason != Reason::none && text(out, name_of(e.reason));
  return word(out, e.text);
}
bool ports(std::string& out, const Entry& e) {
  append_number(out, e.first_port);
  out += '-';
  return number(out, e.last_port);
}
bool origin(std::string& out, const Entry& e) {
  constexpr std::string_view kNames[] = {"dynamic", "static", "pcp-map", "pcp-peer"};
  const auto n = static_cast<size_t>(e.origin);
  return text(out, n < std::size(kNames) ? kNames[n] : "unknown");
}
/// A time of the event clock, by the clock of the entry.
uint64_t by_system_clock(const Entry& e, uint64_t t) { return t + static_cast<uint64_t>(e.clock_ahead); }

using Out = std::string&;
using In = const Entry&;

constexpr EntryField kFields[] = {
    {"time", kAll, false, false, "UTC, milliseconds", [](Out o, In e) { return time(o, e.system_time()); }},
    {"event", kAll, false, true, "block-allocated, ...",
     [](Out o, In e) { return text(o, name_of(e.kind)); }},
    {"subscriber", kSubscribers, true, true, "address, or prefix with its length", subscriber},
    {"internal", kBindings, true, true, "his address behind the NAT",
     [](Out o, In e) { return e.internal && address(o, *e.internal); }},
    {"internal-port", kBindings, true, true, "",
     [](Out o, In e) { return e.internal && number(o, e.internal_port); }},
    {"external", kPorts, true, true, "public address",
     [](Out o, In e) { return append_address(o, e.external), true; }},
    {"ports", kPorts, true, false, "first and last public port, like 1024-1535", ports},
    {"first-port", kPorts, false, true, "", [](Out o, In e) { return number(o, e.first_port); }},
    {"last-port", kPorts, false, true, "", [](Out o, In e) { return number(o, e.last_port); }},
    {"destination", kSessions, true, true, "where destinations are logged",
     [](Out o, In e) { return e.destination && (append_address(o, *e.destination), true); }},
    {"destination-port", kSessions, true, true, "",
     [](Out o, In e) { return e.destination && number(o, e.destination_port); }},
    {"protocol", kBindings, true, true, "tcp, udp, icmp, a number, or all",
     [](Out o, In e) { return text(o, protocol_text(e.protocol)); }},
    {"instance", kSubscribers, true, true, "", [](Out o, In e) { return word(o, e.instance); }},
    {"carriage", kSubscribers, false, true, "nat44, ds-lite or nat64",
     [](Out o, In e) { return text(o, name_of(e.carriage)); }},
    {"reason", kSubscribers, true, true, "why", reason},
    {"worker", kWorkers, true, true, "", [](Out o, In e) { return number(o, e.worker); }},
    {"ordinal", kAll, true, true, "the event's number in the ledger, without gaps",
     [](Out o, In e) { return e.ordinal && number(o, *e.ordinal); }},
    {"peak-mappings", bit(Kind::block_released), true, true, "most mappings at once",
     [](Out o, In e) { return number(o, e.peak); }},
    {"since", bit(Kind::block_released), true, true, "when it was allocated",
     [](Out o, In e) { return e.since && time(o, by_system_clock(e, *e.since)); }},
    {"origin", kMappings, true, true, "static, pcp-map or pcp-peer", origin},
    {"lifetime", bit(Kind::mapping_created), true, true, "seconds; 0: for ever",
     [](Out o, In e) { return number(o, e.lifetime); }},
    {"count", bit(Kind::refused), true, true, "how often since the last such entry",
     [](Out o, In e) { return number(o, e.count); }},
    {"version", bit(Kind::culvertd_started), true, true, "of culvertd, and how the run before ended",
     [](Out o, In e) { return words(o, e.text); }},
    {"sha256", bit(Kind::configuration), true, true, "of the configuration file",
     [](Out o, In e) { return word(o, e.text); }},
    {"clock-ahead", bit(Kind::clock), true, true, "ms that the system's clock is ahead of the event clock",
     [](Out o, In e) { return text(o, std::to_string(e.clock_ahead)); }},
    {"from", bit(Kind::uncertain), true, true, "blocks given from then on may not be on record",
     [](Out o, In e) { return time(o, by_system_clock(e, e.uncertain_from)); }},
    {"to", bit(Kind::uncertain), true, true, "up to then",
     [](Out o, In e) { return time(o, by_system_clock(e, e.uncertain_to)); }},
};

}  // namespace

std::span<const EntryField> entry_fields() { return kFields; }

const EntryField* find_entry_field(std::string_view name) {
  const auto* found = std::ranges::find(kFields, name, &EntryField::name);
  return found == std::end(kFields) ? nullptr : found;
}

std::string_view name_of(Entry::Kind kind) {
  switch (kind) {
    case Kind::block_allocated:
      return "block-allocated";
    case Kind::block_released:
      return "block-released";
    case Kind::mapping_created:
      return "mapping-created";
    case Kind::mapping_deleted:
      return "mapping-deleted";
    case Kind::session_created:
      return "session-created";
    case Kind::session_deleted:
      return "session-deleted";
    case Kind::refused:
      return "refused";
    case Kind::record_lost:
      return "record-lost";
    case Kind::culvertd_started:
      return "culvertd-started";
    case Kind::culvertd_stopped:
      return "culvertd-stopped";
    case Kind::configuration:
      return "configuration";
    case Kind::clock:
      return "clock";
    case Kind::uncertain:
      return "uncertain";
  }
  return "unknown";
}

std::string_view name_of(Entry::Carriage carriage) {
  switch (carriage) {
    case Entry::Carriage::nat44:
      return "nat44";
    case Entry::Carriage::ds_lite:
      return "ds-lite";
    case Entry::Carriage::nat64:
      return "nat64";
  }
  return "unknown";
}

std::string protocol_text(uint8_t protocol) {
  switch (protocol) {
    case 0:
      return "all";
    case 1:
      return "icmp";
    case 6:
      return "tcp";
    case 17:
      return "udp";
    case 58:
      return "icmpv6";
    default:
      return std::to_string(protocol);
  }
}

void append_time(std::string& out, uint64_t millis) {
  using namespace std::chrono;
  constexpr uint64_t kYear9999 = 253'402'300'799'999;  // later is no time but a broken entry
  const sys_time<milliseconds> t{milliseconds{std::min(millis, kYear9999)}};
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const hh_mm_ss clock{t - day};
  // By hand: every message has two of them.
  char text[] = "0000-00-00T00:00:00.000Z";
  const auto put = [&text](size_t end, size_t digits, uint64_t n) {
    for (; digits-- != 0; n /= 10) text[--end] = static_cast<char>('0' + n % 10);
  };
  put(4, 4, static_cast<uint64_t>(int{date.year()}));
  put(7, 2, unsigned{date.month()});
  put(10, 2, unsigned{date.day()});
  put(13, 2, static_cast<uint64_t>(clock.hours().count()));
  put(16, 2, static_cast<uint64_t>(clock.minutes().count()));
  put(19, 2, static_cast<uint64_t>(clock.seconds().count()));
  put(23, 3, static_cast<uint64_t>(clock.subseconds().count()));
  out.append(text, sizeof text - 1);
}

void append_number(std::string& out, uint64_t n) {
  const fmt::format_int digits(n);
  out.append(digits.data(), digits.size());
}

void append_address(std::string& out, net::Ipv4Address a) {
  for (const int shift : {24, 16, 8, 0}) {
    append_number(out, a.value() >> shift & 0xff);
    if (shift != 0) out += '.';
  }
}

}  // namespace culvert::logging
