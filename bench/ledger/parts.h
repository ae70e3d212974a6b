/// The parts of ledger-bench, and what they share.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "day.h"

namespace culvert::bench {

/// A figure of the output.
void row(const std::string& what, double value, const std::string& unit, const std::string& note = "");
double seconds_since(std::chrono::steady_clock::time_point start);
/// Takes a file out of the page cache. Throws std::system_error.
void forget(const std::string& path);

// All make their files in `directory`, and throw std::runtime_error when something is wrong.

/// Makes and seals that many days; asks who had random ports at random times.
void ask_archive(const Load& load, const std::string& directory, unsigned days, unsigned questions);
/// A worker's ring, filled as fast as it takes events, and a recorder.
void write_events(const std::string& directory, uint64_t events);
/// Bytes of one segment with so many session events.
void session_bytes(const std::string& directory, uint64_t events);
/// A crashed run's ledger with so many blocks in use, and what a start does until packets can flow.
void restart(const std::string& directory, uint64_t blocks);

}  // namespace culvert::bench
