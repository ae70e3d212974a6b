/// What the subcommands of `culvert log` have in common: which ledger, and times as people type them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "arguments.h"
#include "logging/ledger/sealed_format.h"
#include "typed_time.h"

namespace culvert::tools {

/// --ledger and --json.
void add_ledger_options(po::options_description& options);
/// --tz.
void add_zone_option(po::options_description& options);

/// --ledger, or $CULVERT_LEDGER, or /var/lib/culvert/ledger.
std::filesystem::path ledger_directory(const po::variables_map& given);

/// Milliseconds since 1970-01-01 UTC, now.
uint64_t system_now();

/// A time option's value in --tz; two where the time was twice. Throws UsageError.
std::vector<TypedTime> time_option(const po::variables_map& given, const char* name);
/// --at of --tz, with --within on both sides: one interval, or two where the time was twice; then it says so
/// on stderr. Throws UsageError.
std::vector<logging::ledger::Interval> window_at(const po::variables_map& given);
/// --from and --to of --tz; without one of them, all times up to the other. Throws UsageError.
logging::ledger::Interval window_between(const po::variables_map& given);

/// "2026-11-21T01:12:10.000Z to 2026-11-21T01:13:10.999Z"
std::string interval_text(const logging::ledger::Interval& i);

}  // namespace culvert::tools
