/// CRC32C (RFC 3720 §B.4), by the instruction that every CPU has that DPDK runs on. Of no bytes it is 0.
#pragma once

#include <nmmintrin.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace culvert::logging::ledger {

/// Of `bytes`, or of all bytes so far and these, where `so_far` is the CRC of those.
inline uint32_t crc32c(std::string_view bytes, uint32_t so_far = 0) {
  uint64_t crc = ~so_far;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<uint32_t>(crc);
  for (; left != 0; left--) narrow = _mm_crc32_u8(narrow, static_cast<uint8_t>(*at++));
  return ~narrow;
}

}  // namespace culvert::logging::ledger
