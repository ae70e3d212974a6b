/// An Entry as one line for people, the line of `culvert log show`:
///
///     2026-11-21T02:45:07.532Z block-allocated subscriber=100.64.1.2 external=203.0.113.0 ports=1024-1535
///         instance=nat44 reason=first-packet worker=0 ordinal=1
///
/// (on one line): time by the system's clock, kind, then NAME=VALUE of each field that the entry has, as
/// entry_fields.h lists them, in quotes where there are spaces in it. Mappings and sessions have `ports` too,
/// of one port: who looks for an address and a port needs one pattern for all.
///
/// Functions of values; any thread.
#pragma once

#include <string>

#include "logging/entry.h"

namespace culvert::logging {

/// Without the newline. Safe on any entry.
std::string text_of(const Entry& e);
/// The same, appended: for who writes many.
void append_text(std::string& out, const Entry& e);

}  // namespace culvert::logging
