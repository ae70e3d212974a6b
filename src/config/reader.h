/// From the tree of words to records of typed values, by the table of keys.
///
/// A Record is one mapping of the file (or of its absence): its values have the right type and lie in their
/// ranges, what was wrong was reported and is missing from it. Checks across keys (checks.h) work on records,
/// because these still know places; `build` makes the Config of them when nothing was reported.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "config/keys.h"
#include "config/report.h"
#include "config/tree.h"
#include "config/value.h"

namespace culvert::config {

/// A value and where it stands.
struct Leaf {
  Place place;
  Value value;
};

/// One mapping of the file.
class Record {
 public:
  const Section* section = nullptr;
  Place place;
  std::map<std::string_view, Place> keys;                ///< every known key that was written, right or wrong
  std::map<std::string_view, std::vector<Leaf>> leaves;  ///< by key; one unless the key is a list
  std::map<std::string_view, std::vector<Record>> sections;

  /// Whether the file has the key, even with a wrong value.
  bool wrote(std::string_view key) const { return keys.contains(key); }

  /// Where the key stands, else where the record begins.
  Place key_place(std::string_view key) const;
  /// Where the key's (first) value stands, else `key_place`.
  Place value_place(std::string_view key) const;

  /// The value of a key that is no list; of its default when the file does not have the key; nothing when it
  /// was wrong, has no default, or is of another type.
  template <typename T>
  std::optional<T> get(std::string_view key) const {
    auto value = find(key);
    if (value && std::holds_alternative<T>(*value)) return std::get<T>(*value);
    return std::nullopt;
  }

  /// The right values of a list.
  const std::vector<Leaf>& list(std::string_view key) const&;
  const std::vector<Leaf>& list(std::string_view key) const&& = delete;
  /// The right mappings of a list of sections.
  const std::vector<Record>& records(std::string_view key) const&;
  const std::vector<Record>& records(std::string_view key) const&& = delete;
  /// A section that is no list; an empty record (all defaults) when the file does not have it.
  Record child(std::string_view key) const;

 private:
  std::optional<Value> find(std::string_view key) const;
};

/// Reads the root. Reports unknown and duplicate keys, wrong types, values out of range, missing mandatory
/// keys.
Record read_root(const Node& root, Report& report);

}  // namespace culvert::config
