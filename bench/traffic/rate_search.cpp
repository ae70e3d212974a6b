#include "rate_search.h"

#include <algorithm>

namespace culvert::bench {
namespace {

constexpr double kLeast = 1;  ///< packets a second; below this nothing passes

}  // namespace

RateSearch::RateSearch(double first, double most, double resolution)
    : first_(std::min(first, most)), most_(most), resolution_(resolution) {}

std::optional<double> RateSearch::next() const {
  if (high_ == 0) {
    if (low_ == 0) return first_;
    if (low_ >= most_) return std::nullopt;
    return std::min(2 * low_, most_);
  }
  if (high_ - low_ <= resolution_ * high_ || high_ <= kLeast) return std::nullopt;
  return (low_ + high_) / 2;
}

void RateSearch::tell(bool passed) {
  const auto rate = next();
  if (rate) (passed ? low_ : high_) = *rate;
}

}  // namespace culvert::bench
