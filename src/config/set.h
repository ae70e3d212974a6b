/// From a record's values to the fields of a configuration.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "config/config.h"
#include "config/reader.h"

namespace culvert::config {

/// Sets `field` from `key`, whose value the table has brought into the field's range; not where it is missing
/// and has no default, or was wrong.
template <typename T>
void set(T& field, const Record& record, std::string_view key) {
  if constexpr (std::is_same_v<T, seconds>) {
    if (auto v = record.get<uint64_t>(key)) field = seconds(*v);
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    if (auto v = record.get<uint64_t>(key)) field = static_cast<T>(*v);
  } else {
    if (auto v = record.get<T>(key)) field = std::move(*v);
  }
}

}  // namespace culvert::config
