/// YAML in, one validated Config out, or every mistake at once.
///
/// Nothing is guessed: an unknown key, a wrong type, a value out of range and a contradiction between two
/// places are all errors, each with its place, its reason and what would be right.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace culvert::config {

/// One mistake. Lines and columns count from 1.
struct Problem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string what;  ///< the mistake, with the offending value
  std::string why;   ///< the rule it breaks, with its RFC clause if there is one
  std::string fix;   ///< what would be right

  /// `file:line:column: what; why; fix`
  std::string text() const;
};

/// In order of their place in the file; never empty.
using Problems = std::vector<Problem>;

/// Reads and checks a file. A file that cannot be read is a Problem too.
std::variant<Config, Problems> load_file(const std::string& path);

/// The same from memory; `name` stands for the file in messages. Safe on any bytes.
std::variant<Config, Problems> load_text(std::string_view yaml, const std::string& name);

/// The JSON Schema (draft 2020-12) of the configuration, generated from the same table of keys the loader
/// uses.
std::string json_schema();

/// The key reference (Markdown) that docs/configuration.md contains, from the same table.
std::string key_reference();

}  // namespace culvert::config
