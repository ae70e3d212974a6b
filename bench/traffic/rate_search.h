/// The highest rate at which a trial passes, as RFC 2544 §26.1 looks for it: from a first guess the rate is
/// doubled until a trial fails or the most that was asked for passes, and then the interval between the two
/// is halved until it is small enough.
#pragma once

#include <optional>

namespace culvert::bench {

class RateSearch {
 public:
  /// Rates are packets a second. `resolution`: the interval's width at the end, as a part of its upper end.
  RateSearch(double first, double most, double resolution);

  /// The rate to try next; none when the search is over.
  std::optional<double> next() const;
  /// How the trial at next() went.
  void tell(bool passed);
  /// The highest rate that passed; 0 when none did.
  double best() const { return low_; }
  /// Whether even the most that was asked for passed.
  bool reached_most() const { return low_ >= most_; }

 private:
  double first_, most_, resolution_;
  double low_ = 0, high_ = 0;  ///< passed; failed, 0: nothing failed yet
};

}  // namespace culvert::bench
