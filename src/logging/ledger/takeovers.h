/// Blocks that are allocated while somebody holds them: his release may follow behind that, of the same time
/// (docs/ledger.md), and is then his and not the new holder's.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace culvert::logging::ledger {

/// `Block`: what names one. `Former`: what is to be known of the former holder when his release comes.
/// Times never go back.
template <typename Block, typename Former>
class Takeovers {
 public:
  /// A block that was held is allocated.
  void allocated(const Block& block, uint64_t time, Former former) {
    if (time != time_) former_.clear();
    time_ = time;
    former_.emplace(block, std::move(former));
  }
  /// The former holder, where this release is his; the earliest first, of several.
  std::optional<Former> released(const Block& block, uint64_t time) {
    if (former_.empty() || time != time_) return std::nullopt;
    const auto found = former_.lower_bound(block);
    if (found == former_.end() || found->first != block) return std::nullopt;
    std::optional<Former> former = std::move(found->second);
    former_.erase(found);
    return former;
  }
  /// Gives those to `judge` whose release did not come before `now`.
  template <typename Judge>
  void unreleased(uint64_t now, Judge&& judge) {
    if (former_.empty() || now == time_) return;
    for (const auto& [block, former] : former_) judge(former);
    former_.clear();
  }
  void clear() { former_.clear(); }

 private:
  uint64_t time_ = 0;  ///< of all of them
  std::multimap<Block, Former> former_;
};

}  // namespace culvert::logging::ledger
