/// Sessions of RADIUS accounting as rows of a table and as JSON, for `culvert log radius` and `culvert log
/// who`.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "logging/radius/import.h"
#include "logging/radius/lookup.h"
#include "table.h"

namespace culvert::tools {

/// PREFIX to CERTAIN.
std::vector<Table::Column> session_columns();
std::vector<std::string> session_cells(const logging::radius::Match& match);
nlohmann::ordered_json session_json(const logging::radius::Match& match);

/// Shows on stderr how far long work is; only on a terminal.
logging::radius::Progress show_progress();
/// Takes that off the screen again.
void end_progress();
/// Says on stderr what an import's reading had to complain of, with remedies. `command`: "log radius import".
void print_complaints(const logging::radius::ImportReport& report, std::string_view command);
/// "2026-11-01 00:00:03 UTC to 2026-11-21 01:12:07 UTC", of times in s; "no time at all".
std::string covered_text(const logging::radius::Span& covered);

}  // namespace culvert::tools
