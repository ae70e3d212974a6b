#include "histogram.h"

#include <algorithm>
#include <cmath>

namespace culvert::bench {

constexpr uint32_t Histogram::last_of(unsigned bucket) {
  if (bucket < 2u << kFine) return bucket;
  const unsigned shift = (bucket >> kFine) - 1;
  const uint64_t first = uint64_t{bucket - (shift << kFine)} << shift;
  return static_cast<uint32_t>(first + (uint64_t{1} << shift) - 1);
}

uint32_t Histogram::quantile(double part) const {
  const auto rank =
      std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(part * static_cast<double>(count_))));
  uint64_t seen = 0;
  for (unsigned b = 0; b < buckets_.size(); ++b) {
    seen += buckets_[b];
    if (seen >= rank) return std::min(last_of(b), max_);
  }
  return max_;
}

}  // namespace culvert::bench
