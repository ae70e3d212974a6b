/// What the memory system of this machine allows: packets a second of one core when every packet needs two
/// random cache lines, a table bucket and then a 64-byte record, and its own header, in bursts of 32 with
/// prefetching. No parsing, no real hashing, no packet I/O: a ceiling to compare the worker with, in the same
/// run on the same core.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/huge_array.h"

namespace culvert::bench {

class MemoryLimit {
 public:
  /// A table of `records` 64-byte records and a bucket line for every eight.
  explicit MemoryLimit(size_t records);
  /// Packets a second over `bursts` bursts.
  double run(size_t bursts);

 private:
  struct alignas(64) Line {
    uint64_t word[8];
  };
  struct alignas(64) Packet {
    uint8_t byte[128];
  };
  size_t records_, buckets_;
  dataplane::HugeArray<Line> record_, bucket_;
  dataplane::HugeArray<Packet> packet_;
  uint64_t random_ = 88172645463325252u;
  volatile uint64_t sink_ = 0;
};

}  // namespace culvert::bench
