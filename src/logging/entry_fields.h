/// The fields of an Entry by name: what a line of `culvert log show`, the structured data of a syslog message
/// and a template of the operator's own are made of. One table says which kinds of entry have which field,
/// in which order, and how its value is written.
///
/// Functions of values; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "logging/entry.h"

namespace culvert::logging {

struct EntryField {
  std::string_view name;
  uint32_t kinds = 0;      ///< bit 1 << Entry::Kind: those that have it
  bool in_line = false;    ///< it stands in the line
  bool in_data = false;    ///< it stands in structured data, where every value stands alone
  std::string_view about;  ///< for the documentation and error messages
  /// Appends the value. False, and nothing appended: this entry does not say.
  bool (*write)(std::string& out, const Entry& e) = nullptr;

  /// The same, and false for kinds that do not have it.
  bool append(std::string& out, const Entry& e) const {
    return (kinds >> static_cast<unsigned>(e.kind) & 1) != 0 && write(out, e);
  }
};

/// All of them, in the order of a line. Values are printable ASCII without quotes.
std::span<const EntryField> entry_fields();
/// nullptr: there is none of this name.
const EntryField* find_entry_field(std::string_view name);

/// block-allocated, culvertd-started, ...
std::string_view name_of(Entry::Kind kind);
/// nat44, ds-lite, nat64
std::string_view name_of(Entry::Carriage carriage);
/// tcp, udp, icmp, icmpv6; others as a number, 0: all
std::string protocol_text(uint8_t protocol);

/// 2026-11-21T01:12:07.123Z. Times behind the year 9999 are told as its end.
void append_time(std::string& out, uint64_t millis);
void append_number(std::string& out, uint64_t n);
void append_address(std::string& out, net::Ipv4Address a);

}  // namespace culvert::logging
