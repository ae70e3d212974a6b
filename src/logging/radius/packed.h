/// Bytes in a zstd frame.
///
/// Functions of values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace culvert::logging::radius {

/// Bytes of a block, unpacked, at most: more is nobody's.
inline constexpr size_t kMaxBlock = 1u << 20;

/// `level` as zstd's: 1 fast, 3 usual.
std::string pack(std::string_view bytes, int level);
/// nullopt: these are no such frame, or they hold another number of bytes than `size`, or it is above
/// kMaxBlock.
std::optional<std::string> unpack(std::string_view frame, size_t size);

}  // namespace culvert::logging::radius
