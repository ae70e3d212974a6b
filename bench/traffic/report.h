/// What a run of culvert-traffic says: a table for people, JSON for machines.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "traffic.h"

namespace culvert::bench {

/// One phase as it is reported.
struct Trial {
  double rate = 0;  ///< asked for, packets a second in each direction
  bool passed = false;
  Outcome outcome;
};

/// All of a run.
struct Results {
  Options options;
  double ticks_per_second = 0;
  std::vector<Trial> setup;  ///< sweeps of the preliminary phase, the first and what had to be repeated
  uint32_t mappings = 0;     ///< made
  std::vector<Trial> trials;
  double best = 0;    ///< of a search: the highest rate that passed
  std::string limit;  ///< what a search ended by: "loss", "generator", "most"
  Passed passed;
};

/// Stamp units as microseconds.
double microseconds(double stamp_units, double ticks_per_second);
/// "1234567" packets a second as "1.23 M".
std::string rate_text(double rate);
/// One line on a trial, for progress.
std::string line_of(const Trial& trial);
/// The table. Of a search: of the best trial.
std::string table_of(const Results& results);
/// Everything. Throws std::runtime_error when the file cannot be written.
void write_json(const Results& results, const std::string& file);

}  // namespace culvert::bench
