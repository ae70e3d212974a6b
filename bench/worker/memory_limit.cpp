#include "memory_limit.h"

#include <immintrin.h>

#include <chrono>
#include <cstring>

#include "net/hash.h"

namespace culvert::bench {
namespace {

constexpr size_t kPackets = 2048;
constexpr unsigned kAtOnce = 32;
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;

}  // namespace

MemoryLimit::MemoryLimit(size_t records)
    : records_(records), buckets_(records / 8 + 1), record_(records_), bucket_(buckets_), packet_(kPackets) {
  for (size_t i = 0; i < records_; i++) record_[i].word[0] = i;
  for (size_t i = 0; i < buckets_; i++) bucket_[i].word[0] = i;
  for (Packet& p : packet_) p.byte[0] = 1;
}

double MemoryLimit::run(size_t bursts) {
  uint64_t x = random_, sink = 0;
  Line *const record = record_.begin(), *const bucket = bucket_.begin();
  const auto start = std::chrono::steady_clock::now();
  for (size_t b = 0; b < bursts; b++) {
    Packet* burst = packet_.begin() + (b * kAtOnce) % kPackets;
    uint64_t h[kAtOnce];
    for (unsigned i = 0; i < kAtOnce; i++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      std::memcpy(burst[i].byte + 26, &x, sizeof x);
    }
    for (unsigned i = 0; i < kAtOnce; i++) {
      uint64_t key;
      std::memcpy(&key, burst[i].byte + 26, sizeof key);
      h[i] = _mm_crc32_u64(0x9e37, key) * kGolden;
      __builtin_prefetch(&bucket[net::pick(h[i], buckets_)]);
    }
    for (unsigned i = 0; i < kAtOnce; i++) {
      h[i] = (h[i] + bucket[net::pick(h[i], buckets_)].word[1]) * kGolden;
      __builtin_prefetch(&record[net::pick(h[i], records_)], 1);
    }
    for (unsigned i = 0; i < kAtOnce; i++) {
      Line& r = record[net::pick(h[i], records_)];
      r.word[3] = b;
      const uint64_t rewritten = r.word[0] + r.word[1];
      uint64_t word;
      std::memcpy(burst[i].byte + 26, &rewritten, sizeof rewritten);
      std::memcpy(&word, burst[i].byte + 34, sizeof word);
      word ^= r.word[2];
      std::memcpy(burst[i].byte + 34, &word, sizeof word);
      sink += r.word[4];
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  random_ = x;
  sink_ = sink;
  return static_cast<double>(bursts * kAtOnce) / took.count();
}

}  // namespace culvert::bench
