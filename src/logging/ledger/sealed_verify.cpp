#include "logging/ledger/sealed_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "logging/ledger/named.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/sealed_reader.h"

namespace culvert::logging::ledger {
namespace {

class Verifier {
 public:
  Verifier(SealedSegment& segment, const std::function<void(const std::string&)>& tell)
      : segment_(segment), tell_(tell), on_damage_(std::move(segment.on_damage)) {
    segment_.on_damage = [this](const SealedDamage& d) {
      find(fmt::format("{} (bytes {} to {}) is damaged", d.what, d.offset, d.offset + d.bytes - 1));
    };
  }
  ~Verifier() { segment_.on_damage = std::move(on_damage_); }
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  bool found_nothing() const { return !found_; }

  void chain(const Digest& predecessor) {
    if (segment_.header().predecessor != predecessor)
      find("does not follow the segment before: that has another hash");
  }

  void hash() {
    constexpr size_t kAtOnce = 1u << 20;
    const uint64_t end = segment_.size() - kFooterBytes + kHashedFooterBytes;
    Sha256 sha256;
    for (uint64_t at = 0; at < end; at += kAtOnce)
      sha256.add(segment_.read(at, std::min<uint64_t>(kAtOnce, end - at)));
    if (sha256.digest() != segment_.sha256()) find("is not what was sealed: its hash is another");
  }

  /// True: all parts could be read.
  bool parts() {
    dictionary();
    const SealedDirectory& directory = segment_.directory();
    bool whole = !found_;
    for (size_t n = 0; n < directory.pages.size(); n++) {
      const auto page = segment_.page(n);
      whole = whole && page.has_value();
      if (page) {
        names(n, *page);
        follow(n, *page);
      } else {
        state_.reset();
      }
    }
    if (!whole) return false;
    std::ranges::sort(named_);
    if (named_ != listed_) find("the dictionary does not say in which pages its subscribers are");
    return true;
  }

  /// The records in the ledger's order.
  void order() {
    const SealedHeader& header = segment_.header();
    State state(header.opened);
    state.on_fault = [this](const Record& r, const std::string& what) {
      find(fmt::format("at {}: {}", r.time, what));
    };
    SealedReader reader(segment_);
    uint64_t events = 0, lost = 0, last = header.opened, same_time = 0;
    std::optional<std::pair<int64_t, int64_t>> clock;
    while (reader.next()) {
      const Record& r = reader.record();
      if (r.time < last) find(fmt::format("a record of {} follows one of {}", r.time, last));
      if (r.time != last) same_time = 0;
      last = r.time;
      if (reader.tie() != same_time)
        find(fmt::format("at {}: {} events came before a record, not {}", r.time, reader.tie(), same_time));
      if (r.event()) same_time++, events++;
      state.apply(r);
      if (r.kind != Record::Kind::typed) continue;
      if (const auto n = decode<DamageNote>(r.body); r.type == DamageNote::kType && n) lost += n->events;
      if (r.type == Type::clock) {
        const int64_t ahead = state.clock_ahead();
        clock = clock ? std::pair(std::min(clock->first, ahead), std::max(clock->second, ahead))
                      : std::pair(ahead, ahead);
      }
    }
    state.finish();
    if (events + lost != header.events || lost != header.lost)
      find(fmt::format("has {} events and lost {}; its header says {} in all, {} of them lost", events, lost,
                       header.events, header.lost));
    if (clock.value_or(std::pair<int64_t, int64_t>(0, 0)) !=
        std::pair(header.clock_ahead_min, header.clock_ahead_max))
      find("the header says something else of the clocks than the records do");
    // The last record may have been a subscriber's definition.
    if (last > header.ended) find(fmt::format("ends at {}; its header says {}", last, header.ended));
  }

 private:
  void find(const std::string& what) {
    found_ = true;
    tell_(what);
  }

  void dictionary() {
    const SealedDirectory& directory = segment_.directory();
    for (size_t n = 0; n < directory.chunks.size(); n++) {
      const auto chunk = segment_.chunk(n);
      if (!chunk) return;
      for (size_t i = 0; i < chunk->subscribers.size(); i++) {
        const SubscriberNote& s = chunk->subscribers[i];
        if (!subscribers_.empty() && dictionary_key(subscribers_.back()) >= dictionary_key(s))
          find(fmt::format("subscriber {} of the dictionary is out of order", s.number));
        subscribers_.push_back(s);
        for (const uint32_t page : chunk->pages_of(i)) listed_.emplace_back(s.number, page);
      }
    }
  }

  /// The page's subscribers are those of the dictionary.
  void names(size_t n, const Page& page) {
    for (const SubscriberNote& s : page.subscribers) {
      if (s.number >= subscribers_.size() || subscribers_[s.number] != s)
        find(fmt::format("page {} has another subscriber {} than the dictionary", n, s.number));
      named_.emplace_back(s.number, n);
    }
    for (size_t i = 0; i < page.records.size(); i++) {
      const Record r = page.record(i);
      const auto names = r.kind == Record::Kind::typed ? named(r) : std::nullopt;
      if (names && page.subscriber(names->subscriber) == nullptr)
        find(fmt::format("page {} names subscriber {}, and does not say who that is", n, names->subscriber));
    }
  }

  /// Each page of an address carries what the one before ended with. (How an address begins, the ledger's
  /// order tells.)
  void follow(size_t n, const Page& page) {
    const SealedDirectory& directory = segment_.directory();
    const bool continues = directory.continues(n);
    if (!continues && !directory.continues(n + 1)) return;
    const Page::Address& a = page.addresses.front();
    const uint64_t opened = segment_.header().opened;
    if (continues && state_ && a.blocks != blocks_) {
      find(fmt::format("page {} has other blocks than the one before, of the same address", n));
      state_.reset();
    }
    if (continues && state_) {
      size_t i = a.begin;
      bool same = true;
      for_each_carried(*state_, opened, [&](const Record& r) {
        same = same && i < a.follow && page.record(i) == r;
        i++;
      });
      if (!same || i != a.follow) find(fmt::format("page {} does not go on where the one before ends", n));
    }
    if (!continues || !state_) {
      state_ = state_of(opened, a.blocks);
      blocks_ = a.blocks;
      for (size_t i = a.begin; i < a.follow; i++) apply_carried(*state_, page.record(i), opened);
    }
    for (size_t i = a.follow; i < a.end; i++) state_->apply(page.record(i));
  }

  SealedSegment& segment_;
  const std::function<void(const std::string&)>& tell_;
  std::function<void(const SealedDamage&)> on_damage_;  ///< the segment's own
  bool found_ = false;
  std::vector<SubscriberNote> subscribers_;
  std::vector<std::pair<uint64_t, uint64_t>> named_, listed_;  ///< subscriber, page
  std::optional<State> state_;          ///< of an address of several pages, at the end of the page before
  std::optional<AddressRange> blocks_;  ///< its
};

}  // namespace

bool verify(SealedSegment& segment, const std::optional<Digest>& predecessor,
            const std::function<void(const std::string&)>& tell) {
  Verifier verifier(segment, tell);
  if (predecessor) verifier.chain(*predecessor);
  verifier.hash();
  if (verifier.parts()) verifier.order();
  return verifier.found_nothing();
}

}  // namespace culvert::logging::ledger
