#include "logging/radius/packed.h"

#include <zstd.h>

#include <stdexcept>

namespace culvert::logging::radius {

std::string pack(std::string_view bytes, int level) {
  std::string frame(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compress(frame.data(), frame.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(size) != 0) throw std::runtime_error(ZSTD_getErrorName(size));  // out of memory
  frame.resize(size);
  return frame;
}

std::optional<std::string> unpack(std::string_view frame, size_t size) {
  if (size > kMaxBlock) return std::nullopt;
  std::string bytes(size, '\0');
  const size_t got = ZSTD_decompress(bytes.data(), bytes.size(), frame.data(), frame.size());
  if (ZSTD_isError(got) != 0 || got != size) return std::nullopt;
  return bytes;
}

}  // namespace culvert::logging::radius
