#include "logging/radius/index_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "logging/ledger/bytes.h"
#include "logging/ledger/crc32c.h"

namespace culvert::logging::radius {
namespace {

using ledger::ByteReader;
using ledger::ByteWriter;

/// The checksum is of what follows it.
constexpr size_t kChecked = 16;

}  // namespace

Key prefix_key(const net::Ipv6Prefix& prefix) {
  Key key{static_cast<uint8_t>(KeyKind::prefix)};
  std::copy(prefix.address.bytes.begin(), prefix.address.bytes.end(), key.begin() + 1);
  key[1 + prefix.address.bytes.size()] = prefix.length;
  return key;
}

Key text_key(KeyKind kind, std::string_view text) {
  Key key{static_cast<uint8_t>(kind)};
  const std::string_view kept = text.substr(0, key.size() - 1);
  std::copy(kept.begin(), kept.end(), key.begin() + 1);
  return key;
}

Key ordinal_key(uint64_t ordinal) {
  Key key{};
  for (size_t i = 0; i < sizeof ordinal; i++) key[i] = static_cast<uint8_t>(ordinal >> (56 - 8 * i));
  return key;
}

uint64_t ordinal_of(const Key& key) {
  uint64_t ordinal = 0;
  for (size_t i = 0; i < sizeof ordinal; i++) ordinal = ordinal << 8 | key[i];
  return ordinal;
}

const Restart* restart_after(const std::vector<Restart>& restarts, uint64_t seen_until) {
  const auto found = std::upper_bound(restarts.begin(), restarts.end(), seen_until,
                                      [](uint64_t t, const Restart& r) { return t < r.time.earliest; });
  return found == restarts.end() ? nullptr : &*found;
}

std::string encode(const IndexHeader& header) {
  std::string rest;
  ByteWriter fields(rest);
  for (const uint64_t n :
       {header.bytes, header.sessions, header.entries, header.covered.earliest, header.covered.latest})
    fields.fixed(n);
  fields.bytes(header.lengths.data(), header.lengths.size());
  for (const TablePlace& table : header.tables) {
    fields.fixed(table.directory);
    fields.fixed(table.blocks);
  }
  std::string bytes(kIndexMagic);
  ByteWriter out(bytes);
  out.fixed(kIndexVersion);
  out.fixed(static_cast<uint16_t>(kIndexHeaderBytes));
  out.fixed(ledger::crc32c(rest));
  out.bytes(rest);
  return bytes;
}

IndexHeader decode_index_header(std::string_view bytes) {
  if (!bytes.starts_with(kIndexMagic)) throw std::runtime_error("is no index of RADIUS sessions");
  ByteReader in(bytes.substr(kIndexMagic.size()));
  const auto version = in.fixed<uint16_t>();
  const auto size = in.fixed<uint16_t>();
  const auto crc = in.fixed<uint32_t>();
  if (in.good() && version != kIndexVersion)
    throw std::runtime_error(fmt::format("has version {}, this program reads {}", version, kIndexVersion));
  if (!in.good() || size != kIndexHeaderBytes || bytes.size() < size ||
      ledger::crc32c(bytes.substr(kChecked, size - kChecked)) != crc)
    throw std::runtime_error("has a damaged header");
  IndexHeader header;
  for (uint64_t* n :
       {&header.bytes, &header.sessions, &header.entries, &header.covered.earliest, &header.covered.latest})
    *n = in.fixed<uint64_t>();
  const std::string_view lengths = in.bytes(header.lengths.size());
  std::copy(lengths.begin(), lengths.end(), header.lengths.begin());
  for (TablePlace& table : header.tables) {
    table.directory = in.fixed<uint64_t>();
    table.blocks = in.fixed<uint64_t>();
  }
  return header;
}

}  // namespace culvert::logging::radius
