/// What one accounting record says that matters to "who was it?": a RADIUS Accounting-Request (RFC 2866) as
/// its server wrote it down, attribute by attribute.
///
/// Which time it tells of, two clocks know: the NAS' (Event-Timestamp, RFC 2869 §5.3) and the server's (its
/// arrival less Acct-Delay-Time, RFC 2866 §5.2). Neither is chosen: the time lies between the two, and
/// whoever asks sees how far they are apart. Only where they differ by more than a day is the server's taken
/// alone: such a NAS has not found its time server yet.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace culvert::logging::radius {

/// A time known to lie between these two, both included: s since the Unix epoch, UTC.
struct Span {
  uint64_t earliest = 0, latest = 0;
  bool operator==(const Span&) const = default;
};

/// Times lie below this: sums and differences of two, also in ms, don't overflow.
inline constexpr uint64_t kMaxSeconds = uint64_t{1} << 40;

/// Acct-Status-Type (RFC 2866 §5.1); others are no sessions'.
enum class Status : uint8_t { start = 1, stop = 2, interim = 3, accounting_on = 7, accounting_off = 8 };

/// Octets of an attribute's value (RFC 2865 §5): longer ones are nobody's.
inline constexpr size_t kMaxText = 253;
/// Prefixes of a record, and of a session.
inline constexpr size_t kMaxPrefixes = 64;
/// Clocks that differ by more are not both right.
inline constexpr uint64_t kMaxClockDifference = 86400;

struct Record {
  Status status{};
  /// Who sent it: NAS-IP-Address (RFC 2865 §5.4), else NAS-IPv6-Address (RFC 3162 §2.1), else NAS-Identifier
  /// (RFC 2865 §5.32), else the address that the packet came from. No NUL in it.
  std::string nas;
  std::string nas_identifier;
  /// What names the session within its NAS: FreeRADIUS' Acct-Unique-Session-Id, else Acct-Session-Id (RFC
  /// 2866 §5.5). Empty for accounting_on and accounting_off. No NUL in it.
  std::string id;
  std::string session_id;          ///< Acct-Session-Id
  std::string user_name;           ///< RFC 2865 §5.1
  std::string calling_station_id;  ///< RFC 2865 §5.31
  std::string circuit_id;          ///< Agent-Circuit-Id, RFC 4679 §3.3.1
  std::string remote_id;           ///< Agent-Remote-Id, RFC 4679 §3.3.2
  std::string nas_port_id;         ///< RFC 2869 §5.17
  Span time;
  std::optional<uint64_t> session_time;  ///< Acct-Session-Time (RFC 2866 §5.7), s
  /// Framed-IP-Address (RFC 2865 §5.8) as ::ffff:a.b.c.d/128, Framed-IPv6-Prefix (RFC 3162 §2.3),
  /// Delegated-IPv6-Prefix (RFC 4818 §3), Framed-IPv6-Address (RFC 6911 §3.1).
  std::vector<net::Ipv6Prefix> prefixes;
};

/// A value as a detail file has it.
struct AttributeValue {
  std::string_view text;  ///< without quotes, escapes undone
  bool quoted = false;
};

/// Makes a Record of attributes. What cannot be: an attribute that stands once in every packet standing there
/// twice, as where two records ran into each other; addresses that are none. Such a record says nothing.
class RecordBuilder {
 public:
  enum class Outcome : uint8_t { record, not_accounting, wrong };

  void clear();
  /// Whether an attribute of this name matters; the others need not be added.
  static bool matters(std::string_view name);
  void add(std::string_view name, const AttributeValue& value);
  /// The record is wrong, whatever its attributes say. `why` is a literal.
  void fail(const char* why);

  /// When all attributes were added.
  Outcome finish();
  const Record& record() const { return record_; }
  /// Of Outcome::wrong.
  const char* why() const { return why_; }
  /// It has an Event-Timestamp of a zone that this process does not know: the server's clock was taken.
  bool unknown_zone() const { return unknown_zone_; }
  /// The clocks differ by more than kMaxClockDifference: the server's was taken.
  bool wild_clock() const { return wild_clock_; }

 private:
  void add_text(std::string& to, const AttributeValue& value);
  void add_number(std::optional<uint64_t>& to, std::string_view text);
  void add_address(std::string_view text);
  void add_status(std::string_view text);
  void add_prefix(const net::Ipv6Address& address, unsigned length);
  void finish_time();
  void finish_names();

  Record record_;
  uint64_t seen_ = 0;  ///< attributes, a bit each
  bool accounting_ = false, other_status_ = false;
  std::optional<uint64_t> event_, arrival_, delay_;
  std::string unique_id_, nas_ip_, nas_ipv6_, source_;
  const char* why_ = nullptr;
  bool unknown_zone_ = false, wild_clock_ = false;
};

}  // namespace culvert::logging::radius
