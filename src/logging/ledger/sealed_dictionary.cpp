#include "logging/ledger/sealed_dictionary.h"

#include <utility>

#include "logging/ledger/sealed_format.h"

namespace culvert::logging::ledger {

std::string encode(const DictionaryChunk& chunk, ColumnPacker& packer) {
  std::string bytes;
  ByteWriter(bytes).varint(chunk.subscribers.size());
  const auto put = [&](auto&& number) { packer.column(bytes, chunk.subscribers, number); };
  uint64_t last_high = 0;
  uint32_t last_end = 0;
  put([](const SubscriberNote& s) { return s.instance; });
  put([](const SubscriberNote& s) { return s.length; });
  put([&](const SubscriberNote& s) { return s.prefix.high() - std::exchange(last_high, s.prefix.high()); });
  put([](const SubscriberNote& s) { return s.prefix.low(); });
  packer.column(bytes, chunk.ends, [&](uint32_t end) { return end - std::exchange(last_end, end); });
  std::vector<uint64_t> pages;
  for (size_t i = 0; i < chunk.subscribers.size(); i++) {
    uint32_t before = 0;
    for (const uint32_t page : chunk.pages_of(i)) pages.push_back(page - std::exchange(before, page));
  }
  packer.column(bytes, pages);
  return bytes;
}

std::optional<DictionaryChunk> decode_chunk(std::string_view bytes, uint64_t first_number, size_t page_count,
                                            ColumnUnpacker& unpacker) {
  ByteReader in(bytes);
  const uint64_t n = in.varint();
  if (n > kChunkSubscribers) return std::nullopt;
  const auto column = [&] { return unpacker.column(in, n); };
  const auto instance = column(), length = column(), high = column(), low = column(), counts = column();
  if (!in.good()) return std::nullopt;
  DictionaryChunk chunk;
  uint64_t total = 0, last = 0;
  for (size_t i = 0; i < n; i++) {
    last += high[i];
    const auto prefix = net::Ipv6Address::from_halves(last, low[i]);
    if (length[i] > 128 || prefix != prefix.masked(static_cast<unsigned>(length[i])) ||
        counts[i] > kMaxChunkPages - total)
      return std::nullopt;
    total += counts[i];
    chunk.subscribers.push_back({first_number + i, instance[i], prefix, static_cast<uint8_t>(length[i])});
    chunk.ends.push_back(static_cast<uint32_t>(total));
  }
  const auto pages = unpacker.column(in, total);
  if (!in.good() || !in.done()) return std::nullopt;
  for (size_t i = 0, k = 0; i < n; i++) {
    uint64_t page = 0;
    for (const size_t begin = k; k < chunk.ends[i]; k++) {
      if (pages[k] >= page_count || (k != begin && pages[k] == 0)) return std::nullopt;
      page += pages[k];
      if (page >= page_count) return std::nullopt;
      chunk.pages.push_back(static_cast<uint32_t>(page));
    }
  }
  return chunk;
}

}  // namespace culvert::logging::ledger
