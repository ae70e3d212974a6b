#include "logging/ledger/sealed_directory.h"

#include <algorithm>

#include "logging/ledger/sealed_format.h"

namespace culvert::logging::ledger {
namespace {

using Column = std::vector<uint64_t>;

/// Fills in where the parts are, each behind the one before. False: one cannot be there.
template <typename Elements>
bool place(Elements& elements, const Column& bytes, const Column& crc, uint64_t& offset, uint64_t end) {
  for (size_t i = 0; i < elements.size(); i++) {
    if (bytes[i] == 0 || bytes[i] > kMaxPartBytes || bytes[i] > end - offset || crc[i] > UINT32_MAX)
      return false;
    elements[i].part = {offset, static_cast<uint32_t>(bytes[i]), static_cast<uint32_t>(crc[i])};
    offset += bytes[i];
  }
  return true;
}

/// Addresses ascend; pages of the same one are its own, and their times ascend.
bool in_order(const SealedDirectory& d) {
  for (size_t i = d.first_address_page(); i < d.pages.size(); i++) {
    const SealedDirectory::Page& page = d.pages[i];
    if (page.first > page.last) return false;
    if (i == d.first_address_page()) continue;
    const SealedDirectory::Page& before = d.pages[i - 1];
    if (before.last > page.first) return false;
    if (d.continues(i) &&
        (before.first != before.last || page.first != page.last || before.time >= page.time))
      return false;
  }
  return true;
}

}  // namespace

std::pair<size_t, size_t> SealedDirectory::pages_of(net::Ipv4Address a) const {
  const auto begin = pages.begin() + static_cast<ptrdiff_t>(first_address_page());
  const auto from = std::partition_point(begin, pages.end(), [&](const Page& p) { return p.last < a; });
  const auto to = std::partition_point(from, pages.end(), [&](const Page& p) { return p.first <= a; });
  return {from - pages.begin(), to - pages.begin()};
}

std::string encode(const SealedDirectory& d, uint64_t opened, ColumnPacker& packer) {
  std::string bytes;
  ByteWriter out(bytes);
  out.varint(d.note_pages);
  out.varint(d.loose_pages);
  out.varint(d.pages.size() - d.first_address_page());
  const auto pages = [&](auto&& number) { packer.column(bytes, d.pages, number); };
  using Page = SealedDirectory::Page;
  pages([](const Page& p) { return p.part.bytes; });
  pages([](const Page& p) { return p.part.crc; });
  pages([](const Page& p) { return p.first.value(); });
  pages([](const Page& p) { return p.last.value() - p.first.value(); });
  pages([&](const Page& p) { return p.time - opened; });
  pages([](const Page& p) { return p.records; });
  out.varint(d.chunks.size());
  const auto chunks = [&](auto&& number) { packer.column(bytes, d.chunks, number); };
  using Chunk = SealedDirectory::Chunk;
  chunks([](const Chunk& c) { return c.part.bytes; });
  chunks([](const Chunk& c) { return c.part.crc; });
  chunks([](const Chunk& c) { return c.subscribers; });
  chunks([](const Chunk& c) { return c.first.instance; });
  chunks([](const Chunk& c) { return c.first.length; });
  chunks([](const Chunk& c) { return c.first.prefix.high(); });
  chunks([](const Chunk& c) { return c.first.prefix.low(); });
  return bytes;
}

std::optional<SealedDirectory> decode_directory(std::string_view bytes, uint64_t opened, uint64_t end,
                                                ColumnUnpacker& unpacker) {
  SealedDirectory d;
  ByteReader in(bytes);
  // No part is empty, so there are no more of them than bytes that they can have.
  const uint64_t most = std::min<uint64_t>(kMaxParts, end - kSealedHeaderBytes);
  const uint64_t notes = in.varint(), loose = in.varint(), with_addresses = in.varint();
  if (notes > most || loose > most || with_addresses > most || notes + loose + with_addresses > most)
    return std::nullopt;
  d.note_pages = notes;
  d.loose_pages = loose;
  d.pages.resize(notes + loose + with_addresses);
  const auto page_column = [&] { return unpacker.column(in, d.pages.size()); };
  const Column page_bytes = page_column(), page_crc = page_column(), first = page_column(),
               span = page_column(), time = page_column(), records = page_column();
  const uint64_t chunks = in.varint();
  if (!in.good() || chunks > most) return std::nullopt;
  d.chunks.resize(chunks);
  const auto chunk_column = [&] { return unpacker.column(in, d.chunks.size()); };
  const Column chunk_bytes = chunk_column(), chunk_crc = chunk_column(), subscribers = chunk_column(),
               instance = chunk_column(), length = chunk_column(), high = chunk_column(),
               low = chunk_column();
  if (!in.good() || !in.done()) return std::nullopt;

  for (size_t i = 0; i < d.pages.size(); i++) {
    if (first[i] > UINT32_MAX || span[i] > UINT32_MAX - first[i] || time[i] >= kMaxTime ||
        records[i] > kMaxPageRecords)
      return std::nullopt;
    d.pages[i].first = net::Ipv4Address(static_cast<uint32_t>(first[i]));
    d.pages[i].last = net::Ipv4Address(static_cast<uint32_t>(first[i] + span[i]));
    d.pages[i].time = opened + time[i];
    d.pages[i].records = static_cast<uint32_t>(records[i]);
  }
  for (size_t i = 0; i < d.chunks.size(); i++) {
    if (subscribers[i] == 0 || subscribers[i] > kChunkSubscribers || length[i] > 128) return std::nullopt;
    d.chunks[i].subscribers = static_cast<uint32_t>(subscribers[i]);
    d.chunks[i].first = {.number = d.subscribers,
                         .instance = instance[i],
                         .prefix = net::Ipv6Address::from_halves(high[i], low[i]),
                         .length = static_cast<uint8_t>(length[i])};
    d.subscribers += subscribers[i];
  }
  uint64_t offset = kSealedHeaderBytes;
  const bool placed = place(d.pages, page_bytes, page_crc, offset, end) &&
                      place(d.chunks, chunk_bytes, chunk_crc, offset, end) && offset == end;
  if (!placed || !in_order(d)) return std::nullopt;
  return d;
}

}  // namespace culvert::logging::ledger
