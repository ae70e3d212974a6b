/// A YAML document as a tree in which every key and value knows its place.
///
/// yaml-cpp scans and parses; we take its events instead of its node graph, because the graph loses the
/// places of keys, and because events let us stop early: a document is bounded in bytes, depth and number of
/// values, and has no anchors or aliases (an alias is how a small file becomes an endless one). Duplicate
/// keys are kept, so that the reader can point at both.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.h"

namespace culvert::config {

struct Entry;

/// One value: a scalar, a list of values, or a mapping of keys to values.
struct Node {
  enum class Kind : uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  bool quoted = false;  ///< a scalar in quotes: text, never a number
  Place place;
  std::string text;            ///< scalar
  std::vector<Node> items;     ///< list
  std::vector<Entry> entries;  ///< map, in the order of the file, duplicates included
};

/// A key and its value.
struct Entry {
  std::string key;
  Place place;  ///< of the key
  Node value;
};

struct TreeLimits {
  static constexpr size_t bytes = 4 * 1024 * 1024;
  static constexpr size_t depth = 16;  ///< the configuration itself needs 5
  static constexpr size_t values = 500'000;
};

/// The document, or nothing after reporting why. Mistakes which leave a tree (a list as a key) are reported
/// too. Never throws, whatever the bytes are.
std::optional<Node> parse_tree(std::string_view yaml, Report& report);

}  // namespace culvert::config
