#include "logging/radius/record.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "logging/radius/times.h"
#include "net/mapped.h"

namespace culvert::logging::radius {
namespace {

enum class Attribute : uint8_t {
  status,
  session_id,
  unique_id,
  session_time,
  delay,
  event_timestamp,
  timestamp,
  user_name,
  calling_station_id,
  nas_ip,
  nas_ipv6,
  nas_identifier,
  nas_port_id,
  source,
  prefix,
  circuit_id,
  remote_id,
  cisco_pair,
};
/// These may stand in a record more than once, or in more than one spelling.
constexpr bool is_repeatable(Attribute a) { return a >= Attribute::prefix; }

struct Name {
  std::string_view text;
  Attribute attribute;
};
/// As FreeRADIUS' dictionaries spell them.
constexpr Name kNames[] = {
    {"Acct-Status-Type", Attribute::status},
    {"Acct-Session-Id", Attribute::session_id},
    {"Acct-Unique-Session-Id", Attribute::unique_id},
    {"Acct-Session-Time", Attribute::session_time},
    {"Acct-Delay-Time", Attribute::delay},
    {"Event-Timestamp", Attribute::event_timestamp},
    {"Timestamp", Attribute::timestamp},
    {"User-Name", Attribute::user_name},
    {"Calling-Station-Id", Attribute::calling_station_id},
    {"NAS-IP-Address", Attribute::nas_ip},
    {"NAS-IPv6-Address", Attribute::nas_ipv6},
    {"NAS-Identifier", Attribute::nas_identifier},
    {"NAS-Port-Id", Attribute::nas_port_id},
    {"Packet-Src-IP-Address", Attribute::source},
    {"Packet-Src-IPv6-Address", Attribute::source},
    {"Client-IP-Address", Attribute::source},
    {"Framed-IP-Address", Attribute::prefix},
    {"Framed-IPv6-Prefix", Attribute::prefix},
    {"Delegated-IPv6-Prefix", Attribute::prefix},
    {"Framed-IPv6-Address", Attribute::prefix},
    {"ADSL-Agent-Circuit-Id", Attribute::circuit_id},  // RFC 4679
    {"ADSL-Agent-Remote-Id", Attribute::remote_id},
    {"Agent-Circuit-Id", Attribute::circuit_id},  // Ericsson (Redback)
    {"Agent-Remote-Id", Attribute::remote_id},
    {"DHCP-Agent-Circuit-Id", Attribute::circuit_id},  // RFC 3046, where DHCP is accounted
    {"DHCP-Agent-Remote-Id", Attribute::remote_id},
    {"Cisco-AVPair", Attribute::cisco_pair},
};
constexpr std::string_view kCiscoCircuit = "circuit-id-tag=", kCiscoRemote = "remote-id-tag=";

const Name* find_name(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return n.text == name; });
  return found == std::end(kNames) ? nullptr : found;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Octets stand as 0x6f6c74.
bool from_hex(std::string_view digits, std::string& out) {
  if (digits.size() % 2 != 0) return false;
  out.clear();
  for (size_t i = 0; i < digits.size(); i += 2) {
    const int high = hex_digit(digits[i]), low = hex_digit(digits[i + 1]);
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n >= kMaxSeconds) return std::nullopt;
  return n;
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

}  // namespace

void RecordBuilder::clear() {
  record_.prefixes.clear();
  for (std::string* text :
       {&record_.nas, &record_.nas_identifier, &record_.id, &record_.session_id, &record_.user_name,
        &record_.calling_station_id, &record_.circuit_id, &record_.remote_id, &record_.nas_port_id,
        &unique_id_, &nas_ip_, &nas_ipv6_, &source_})
    text->clear();
  record_.session_time.reset();
  event_.reset();
  arrival_.reset();
  delay_.reset();
  seen_ = 0;
  accounting_ = other_status_ = unknown_zone_ = wild_clock_ = false;
  why_ = nullptr;
}

bool RecordBuilder::matters(std::string_view name) { return find_name(name) != nullptr; }

void RecordBuilder::fail(const char* why) {
  if (why_ == nullptr) why_ = why;
}

void RecordBuilder::add_text(std::string& to, const AttributeValue& value) {
  const bool octets = !value.quoted && value.text.starts_with("0x");
  if (!octets)
    to = value.text;
  else if (!from_hex(value.text.substr(2), to))
    fail("octets that are not pairs of hexadecimal digits");
  if (to.size() > kMaxText) fail("a value longer than RADIUS has them");
}

void RecordBuilder::add_number(std::optional<uint64_t>& to, std::string_view text) {
  to = parse_number(text);
  if (!to) fail("a number that is none");
}

void RecordBuilder::add_prefix(const net::Ipv6Address& address, unsigned length) {
  if (length == 0) return;  // that would be everybody
  const net::Ipv6Prefix prefix{address.masked(length), static_cast<uint8_t>(length)};
  if (std::find(record_.prefixes.begin(), record_.prefixes.end(), prefix) != record_.prefixes.end()) return;
  if (record_.prefixes.size() == kMaxPrefixes) return fail("more prefixes than a session may have");
  record_.prefixes.push_back(prefix);
}

void RecordBuilder::add_address(std::string_view text) {
  if (const auto v4 = net::Ipv4Address::parse(text)) {
    // "Let the NAS choose", "let the user choose", and the address that is none (RFC 2865 §5.8).
    if (v4->value() != 0 && v4->value() < 0xfffffffe) add_prefix(net::mapped(*v4), 128);
    return;
  }
  const size_t slash = std::min(text.find('/'), text.size());
  const auto address = net::Ipv6Address::parse(text.substr(0, slash));
  const auto length =
      slash == text.size() ? std::optional<uint64_t>(128) : parse_number(text.substr(slash + 1));
  if (!address || !length || *length > 128) return fail("an address that is none");
  if (*address != net::Ipv6Address{}) add_prefix(*address, static_cast<unsigned>(*length));
}

void RecordBuilder::add_status(std::string_view text) {
  struct {
    std::string_view name, number;
    Status status;
  } static constexpr kStatuses[] = {{"Start", "1", Status::start},
                                    {"Stop", "2", Status::stop},
                                    {"Interim-Update", "3", Status::interim},
                                    {"Alive", "3", Status::interim},
                                    {"Accounting-On", "7", Status::accounting_on},
                                    {"Accounting-Off", "8", Status::accounting_off}};
  accounting_ = true;
  for (const auto& s : kStatuses) {
    if (text != s.name && text != s.number) continue;
    record_.status = s.status;
    return;
  }
  other_status_ = true;
}

void RecordBuilder::add(std::string_view name, const AttributeValue& value) {
  const Name* known = find_name(name);
  if (known == nullptr) return;
  const auto bit = uint64_t{1} << static_cast<unsigned>(known->attribute);
  if (!is_repeatable(known->attribute) && (seen_ & bit) != 0)
    return fail("an attribute that every packet has once stands there twice: two records in one");
  seen_ |= bit;
  switch (known->attribute) {
    case Attribute::status:
      return add_status(value.text);
    case Attribute::session_id:
      return add_text(record_.session_id, value);
    case Attribute::unique_id:
      return add_text(unique_id_, value);
    case Attribute::session_time:
      return add_number(record_.session_time, value.text);
    case Attribute::delay:
      return add_number(delay_, value.text);
    case Attribute::event_timestamp:
      event_ = parse_event_timestamp(value.text);
      unknown_zone_ = !event_;
      return;
    case Attribute::timestamp:
      return add_number(arrival_, value.text);
    case Attribute::user_name:
      return add_text(record_.user_name, value);
    case Attribute::calling_station_id:
      return add_text(record_.calling_station_id, value);
    case Attribute::nas_ip:
      return add_text(nas_ip_, value);
    case Attribute::nas_ipv6:
      return add_text(nas_ipv6_, value);
    case Attribute::nas_identifier:
      return add_text(record_.nas_identifier, value);
    case Attribute::nas_port_id:
      return add_text(record_.nas_port_id, value);
    case Attribute::source:
      return add_text(source_, value);
    case Attribute::prefix:
      return add_address(value.text);
    case Attribute::circuit_id:
      return add_text(record_.circuit_id, value);
    case Attribute::remote_id:
      return add_text(record_.remote_id, value);
    case Attribute::cisco_pair:
      if (value.text.starts_with(kCiscoCircuit))
        add_text(record_.circuit_id, {value.text.substr(kCiscoCircuit.size()), true});
      else if (value.text.starts_with(kCiscoRemote))
        add_text(record_.remote_id, {value.text.substr(kCiscoRemote.size()), true});
      return;
  }
}

void RecordBuilder::finish_time() {
  // The server writes it behind all attributes.
  if (!arrival_) return fail("no Timestamp: the record's end is missing");
  const uint64_t sent = *arrival_ - std::min(*arrival_, delay_.value_or(0));
  const uint64_t told = event_.value_or(sent);
  const auto [earliest, latest] = std::minmax(sent, told);
  wild_clock_ = latest - earliest > kMaxClockDifference;
  record_.time = wild_clock_ ? Span{sent, sent} : Span{earliest, latest};
}

void RecordBuilder::finish_names() {
  record_.nas = !nas_ip_.empty()                  ? nas_ip_
                : !nas_ipv6_.empty()              ? nas_ipv6_
                : !record_.nas_identifier.empty() ? record_.nas_identifier
                                                  : source_;
  if (record_.nas.empty()) return fail("no NAS: neither its address nor NAS-Identifier");
  const bool session = record_.status != Status::accounting_on && record_.status != Status::accounting_off;
  if (session) record_.id = unique_id_.empty() ? record_.session_id : unique_id_;
  if (session && record_.id.empty()) return fail("no Acct-Session-Id");
  if (has_nul(record_.nas) || has_nul(record_.id)) fail("a NAS or an Acct-Session-Id with a NUL in it");
}

RecordBuilder::Outcome RecordBuilder::finish() {
  if (why_ != nullptr) return Outcome::wrong;
  if (!accounting_ || other_status_) return Outcome::not_accounting;
  finish_time();
  finish_names();
  return why_ == nullptr ? Outcome::record : Outcome::wrong;
}

}  // namespace culvert::logging::radius
