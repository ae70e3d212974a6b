/// What `culvert log who` and `subscriber` print: tenures and sessions, as tables and as JSON, and whether
/// the record is complete.
#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>

#include "logging/query/finding.h"

namespace culvert::tools {

/// A table of tenures, one of sessions where there are any, and what casts doubt on it.
void print_finding(std::ostream& out, const logging::query::Finding& finding);
/// A line for each tenure and session, and a last one: {"end":true,"complete":...,"caveats":[...]}. `add` may
/// put more into a tenure's.
void print_json(
    std::ostream& out, const logging::query::Finding& finding,
    const std::function<void(nlohmann::ordered_json&, const logging::query::Tenure&)>& add = nullptr);

}  // namespace culvert::tools
