#include "logging/ledger/sealed_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "logging/ledger/named.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/takeovers.h"

namespace culvert::logging::ledger {
namespace {

/// Picks out of pages what belongs into an answer.
class Picker {
 public:
  Picker(SealedSegment& segment, Interval when) : segment_(segment), when_(when) {}

  /// All of one port; of all of them where there is none.
  void want(std::optional<uint16_t> port) { port_ = port; }
  /// All of these subscribers.
  void want(std::unordered_set<uint64_t> subscribers) { subscribers_ = std::move(subscribers); }

  void take(size_t number, const Page& page, const Page::Address& a) {
    const SealedDirectory& directory = segment_.directory();
    // Of an address' pages only one says what holds at the beginning: that which the beginning is in.
    const bool has_beginning = !directory.continues(number) || directory.pages[number].time <= when_.from;
    page_ = &page;
    address_ = &a;
    if (contradicts(a)) {
      const SealedDirectory::Part& part = directory.pages[number].part;
      if (segment_.on_damage) segment_.on_damage({fmt::format("page {}", number), part.offset, part.bytes});
      return;
    }
    const uint64_t opened = segment_.header().opened;
    State state = state_of(opened, a.blocks);
    const std::vector<size_t> wanted = choose();
    takeovers_.clear();
    bool begun = false;
    const auto begin = [&] {
      if (has_beginning && !begun)
        for_each_carried(state, opened, [&](const Record& r) {
          if (!subscribers_ || names_them(r)) keep(carried_, r, 0);
        });
      begun = true;
    };
    for (const size_t i : wanted) {
      const Record r = page.record(i);
      if (i < a.follow) {
        apply_carried(state, r, opened);
        continue;
      }
      if (r.time >= when_.from) begin();
      if (r.time > when_.to) break;
      if (r.time >= when_.from && (!subscribers_ || is_theirs(r, state)))
        keep(records_, r, page.records[i].tie);
      state.apply(r);
    }
    begin();
  }

  /// Those of a page without addresses that name the wanted subscribers.
  void take_loose(const Page& page) {
    page_ = &page;
    address_ = nullptr;
    for (size_t i = 0; i < page.records.size(); i++) {
      const Record r = page.record(i);
      if (r.time >= when_.from && r.time <= when_.to && names_them(r)) keep(records_, r, page.records[i].tie);
    }
  }

  Answer answer() {
    if (when_.to < segment_.header().opened) return {};
    const auto earlier = [](const Kept& a, const Kept& b) {
      return std::tie(a.record.time, a.tie) < std::tie(b.record.time, b.tie);
    };
    std::ranges::stable_sort(records_, earlier);
    for (const Kept& k : carried_) answer_.carried.push_back(k.record);
    for (const Kept& k : records_) answer_.records.push_back(k.record);
    return std::move(answer_);
  }

 private:
  struct Kept {
    Record record;
    uint32_t tie;
  };

  /// The records that the answer can depend on: of blocks and mappings, not of whole addresses, so that most
  /// need not be followed.
  std::vector<size_t> choose() const {
    std::optional<uint64_t> block;
    if (port_ && address_->blocks) block = address_->blocks->block_of(address_->address, *port_);
    std::unordered_set<uint64_t> theirs;
    if (subscribers_)
      for (size_t i = address_->begin; i < address_->end; i++) {
        const PageRecord& p = page_->records[i];
        if (p.head < kReleased && subscribers_->contains(p.value)) theirs.insert(p.block);
      }
    std::vector<size_t> chosen;
    for (size_t i = address_->begin; i < address_->end; i++) {
      const PageRecord& p = page_->records[i];
      bool wanted = true;
      if (p.head >= kTyped) {
        const auto names = port_ ? named(page_->record(i)) : std::nullopt;
        wanted = !port_ || (names && names->placed && names->port == *port_);
      } else if (port_) {
        wanted = block == p.block;
      } else if (subscribers_) {
        wanted = theirs.contains(p.block);
      }
      if (wanted) chosen.push_back(i);
    }
    return chosen;
  }

  /// `state`: before the record. What ends their time is theirs, whomever it names.
  bool is_theirs(const Record& r, const State& state) {
    const bool names = names_them(r);
    if (r.kind == Record::Kind::typed) {
      const bool ends = r.type == Type::mapping_created || r.type == Type::mapping_deleted;
      const auto n = ends && !names ? named(r) : std::nullopt;
      if (!n || !n->placed) return names;
      const auto held = state.mappings().find(n->endpoint());
      return held != state.mappings().end() && subscribers_->contains(held->second.binding.subscriber);
    }
    if (r.kind == Record::Kind::released)
      if (const std::optional<bool> theirs = takeovers_.released(r.block, r.time)) return *theirs;
    const auto holder = state.held().find(r.block);
    if (holder == state.held().end()) return names;
    const bool theirs = subscribers_->contains(holder->second.subscriber);
    if (r.kind == Record::Kind::allocated) takeovers_.allocated(r.block, r.time, theirs);
    return names || theirs;
  }
  /// Whether a page before gave its address other blocks.
  bool contradicts(const Page::Address& a) const {
    const auto known = answer_.blocks.find(a.address.value());
    return known != answer_.blocks.end() && a.blocks && known->second != *a.blocks;
  }
  bool names_them(const Record& r) const {
    const auto n = named(r);
    return n && subscribers_->contains(n->subscriber);
  }

  void keep(std::vector<Kept>& list, Record r, uint32_t tie) {
    if (!r.body.empty()) r.body = answer_.bodies.emplace_back(r.body);
    list.push_back({r, tie});
    if (const auto n = named(r))
      if (const SubscriberNote* s = page_->subscriber(n->subscriber))
        answer_.subscribers.emplace(n->subscriber, *s);
    if (address_ != nullptr && address_->blocks)
      answer_.blocks.emplace(address_->address.value(), *address_->blocks);
  }

  SealedSegment& segment_;
  Interval when_;
  std::optional<uint16_t> port_;
  std::optional<std::unordered_set<uint64_t>> subscribers_;
  Takeovers<uint64_t, bool> takeovers_;  ///< whether from them
  const Page* page_ = nullptr;
  const Page::Address* address_ = nullptr;
  std::vector<Kept> carried_, records_;
  Answer answer_;
};

/// Whether prefixes of this length in a sorted stretch of the dictionary can overlap the wanted one.
/// `first`: the lowest of the stretch; `last`: the highest, or beyond it.
bool can_overlap(const net::Ipv6Prefix& wanted, const SubscriberNote& first, const SubscriberNote& last) {
  const unsigned common = std::min(first.length, wanted.length);
  return first.prefix.masked(common) <= wanted.address.masked(common) &&
         wanted.address.masked(common) <= last.prefix.masked(common);
}

/// Pages in which subscribers of a prefix are, and who these are.
struct Whereabouts {
  std::unordered_set<uint64_t> subscribers;
  std::set<uint32_t> pages;
};
Whereabouts find(SealedSegment& segment, const net::Ipv6Prefix& wanted) {
  Whereabouts result;
  const auto& chunks = segment.directory().chunks;
  for (size_t n = 0; n < chunks.size(); n++) {
    // A chunk of prefixes of one length and instance ends where the next begins.
    const SubscriberNote& first = chunks[n].first;
    if (n + 1 < chunks.size()) {
      const SubscriberNote& next = chunks[n + 1].first;
      if (first.instance == next.instance && first.length == next.length && !can_overlap(wanted, first, next))
        continue;
    }
    const auto chunk = segment.chunk(n);
    if (!chunk) continue;
    for (size_t i = 0; i < chunk->subscribers.size(); i++) {
      const SubscriberNote& s = chunk->subscribers[i];
      // Who is not known lies in ::/0, as everybody does, and is nobody's answer but to that.
      if (!can_overlap(wanted, s, s) || (s.length == 0 && wanted.length != 0)) continue;
      result.subscribers.insert(s.number);
      const auto pages = chunk->pages_of(i);
      result.pages.insert(pages.begin(), pages.end());
    }
  }
  return result;
}

}  // namespace

Answer records_of(SealedSegment& segment, net::Ipv4Address address, std::optional<uint16_t> port,
                  Interval when) {
  Picker picker(segment, when);
  picker.want(port);
  const SealedDirectory& directory = segment.directory();
  const auto [from, to] = directory.pages_of(address);
  for (size_t n = from; n < to; n++) {
    if (!directory.concerns(n, when)) continue;
    const auto page = segment.page(n);
    if (!page) continue;
    if (const Page::Address* a = page->find(address)) picker.take(n, *page, *a);
  }
  return picker.answer();
}

Answer records_of(SealedSegment& segment, const net::Ipv6Prefix& prefix, Interval when) {
  const SealedDirectory& directory = segment.directory();
  Whereabouts where = find(segment, prefix);
  Picker picker(segment, when);
  picker.want(std::move(where.subscribers));
  for (const uint32_t n : where.pages) {
    if (!directory.concerns(n, when)) continue;
    const auto page = segment.page(n);
    if (!page) continue;
    if (n < directory.first_address_page()) picker.take_loose(*page);
    for (const Page::Address& a : page->addresses) picker.take(n, *page, a);
  }
  return picker.answer();
}

}  // namespace culvert::logging::ledger
