#include "logging/ledger/sealed_format.h"

#include <fmt/format.h>

#include "logging/ledger/bytes.h"
#include "logging/ledger/crc32c.h"

namespace culvert::logging::ledger {
namespace {

constexpr size_t kChecked = 16;  ///< where the bytes begin that the header's checksum is of

}  // namespace

std::string encode(const SealedHeader& header) {
  std::string tail;
  ByteWriter numbers(tail);
  numbers.fixed(header.serial);
  numbers.fixed(header.opened);
  numbers.fixed(header.ended);
  numbers.fixed(header.first_ordinal);
  numbers.fixed(header.events);
  numbers.fixed(static_cast<uint64_t>(header.clock_ahead_min));
  numbers.fixed(static_cast<uint64_t>(header.clock_ahead_max));
  numbers.fixed(header.lost);
  numbers.bytes(header.predecessor.data(), header.predecessor.size());
  std::string bytes(kSealedMagic);
  ByteWriter out(bytes);
  out.fixed(kVersion);
  out.fixed(static_cast<uint16_t>(kSealedHeaderBytes));
  out.fixed(crc32c(tail));
  out.bytes(tail);
  return bytes;
}

std::optional<SealedHeader> decode_header(std::string_view bytes, std::string& fault) {
  ByteReader in(bytes);
  if (in.bytes(kSealedMagic.size()) != kSealedMagic) {
    fault = "is not a sealed segment of a ledger";
    return std::nullopt;
  }
  const auto version = in.fixed<uint16_t>();
  const auto size = in.fixed<uint16_t>();
  const auto crc = in.fixed<uint32_t>();
  SealedHeader h;
  h.serial = in.fixed<uint64_t>();
  h.opened = in.fixed<uint64_t>();
  h.ended = in.fixed<uint64_t>();
  h.first_ordinal = in.fixed<uint64_t>();
  h.events = in.fixed<uint64_t>();
  h.clock_ahead_min = static_cast<int64_t>(in.fixed<uint64_t>());
  h.clock_ahead_max = static_cast<int64_t>(in.fixed<uint64_t>());
  h.lost = in.fixed<uint64_t>();
  const std::string_view predecessor = in.bytes(h.predecessor.size());
  if (in.good() && version != kVersion) {
    fault = fmt::format("has version {}, this program reads {}", version, kVersion);
    return std::nullopt;
  }
  if (!in.good() || size != kSealedHeaderBytes || crc32c(bytes.substr(kChecked, size - kChecked)) != crc ||
      h.ended >= kMaxTime || h.opened > h.ended || h.first_ordinal >= kMaxTime || h.lost > h.events ||
      h.events >= uint64_t{1} << 32) {
    fault = "has a damaged header";
    return std::nullopt;
  }
  std::memcpy(h.predecessor.data(), predecessor.data(), h.predecessor.size());
  return h;
}

std::string encode_hashed(const SealedFooter& footer) {
  std::string bytes;
  ByteWriter out(bytes);
  out.fixed(footer.directory);
  out.fixed(footer.directory_bytes);
  out.fixed(footer.directory_crc);
  out.fixed(crc32c(bytes));
  out.fixed(uint32_t{0});
  return bytes;
}

std::optional<SealedFooter> decode_footer(std::string_view bytes) {
  SealedFooter f;
  ByteReader in(bytes);
  f.directory = in.fixed<uint64_t>();
  f.directory_bytes = in.fixed<uint32_t>();
  f.directory_crc = in.fixed<uint32_t>();
  const auto crc = in.fixed<uint32_t>();
  in.fixed<uint32_t>();
  const std::string_view sha256 = in.bytes(f.sha256.size());
  if (in.bytes(kTailMagic.size()) != kTailMagic || !in.done() || crc32c(bytes.substr(0, 16)) != crc)
    return std::nullopt;
  std::memcpy(f.sha256.data(), sha256.data(), f.sha256.size());
  return f;
}

}  // namespace culvert::logging::ledger
