/// Entries of the ledger as lines for programs: JSON, CSV (RFC 4180). (For people: logging/entry_text.h.)
///
/// Functions of values; any thread.
#pragma once

#include <string>

#include "logging/entry.h"

namespace culvert::tools {

/// One object, without the newline. Keys are the fields' names with _ for -; numbers are numbers.
std::string entry_json(const logging::Entry& e);

/// The names of all fields, and an entry's values of them, without the newline.
std::string csv_header();
std::string entry_csv(const logging::Entry& e);

}  // namespace culvert::tools
