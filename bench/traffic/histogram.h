/// Durations in ticks, counted in buckets that are at most 1/32 of their value wide. Constant memory, no
/// allocation.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace culvert::bench {

class Histogram {
 public:
  void add(uint32_t value) {
    buckets_[bucket(value)]++;
    count_++;
    sum_ += value;
    if (value < min_) min_ = value;
    if (value > max_) max_ = value;
  }

  uint64_t count() const { return count_; }
  uint32_t min() const { return count_ == 0 ? 0 : min_; }
  uint32_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }
  /// The smallest bucket's upper end that `part` (0–1) of all values do not exceed; never beyond the largest
  /// value.
  uint32_t quantile(double part) const;

 private:
  static constexpr unsigned kFine = 5;  ///< bits of a value that are told apart behind its first
  static constexpr unsigned bucket(uint32_t value) {
    if (value < 2u << kFine) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kFine - 1;
    return (shift << kFine) + (value >> shift);
  }
  static constexpr uint32_t last_of(unsigned bucket);

  std::array<uint64_t, (32 - kFine + 1) << kFine> buckets_{};
  uint64_t count_ = 0, sum_ = 0;
  uint32_t min_ = std::numeric_limits<uint32_t>::max(), max_ = 0;
};

}  // namespace culvert::bench
