#include "logging/ledger/sealed_query.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "logging/ledger/sealed_carried.h"

namespace culvert::logging::ledger {
namespace {

std::optional<Binding> binding_of(const Record& r) {
  ByteReader in(r.body);
  Binding b;
  b.subscriber = in.varint();
  const std::string_view address = in.bytes(sizeof b.external);
  b.port = in.fixed<uint16_t>();
  b.protocol = in.byte();
  if (!in.good()) return std::nullopt;
  std::memcpy(&b.external, address.data(), sizeof b.external);
  return b;
}

State::Endpoint endpoint_of(const Binding& b) { return {b.external.value(), b.port, b.protocol}; }

/// Whom a record names.
std::optional<uint64_t> subscriber_of(const Record& r) {
  if (r.kind == Record::Kind::allocated) return r.subscriber;
  if (r.kind != Record::Kind::typed || !names_subscriber(r.type)) return std::nullopt;
  ByteReader in(r.body);
  const uint64_t number = in.varint();
  if (!in.good()) return std::nullopt;
  return number;
}

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
    const uint64_t opened = segment_.header().opened;
    State state = state_of(opened, a.blocks);
    const std::vector<size_t> wanted = choose();
    overtaken_.clear();
    bool begun = false;
    const auto begin = [&] {
      if (has_beginning && !begun)
        for_each_carried(state, opened, [&](const Record& r) {
          const auto who = subscriber_of(r);
          if (!subscribers_ || (who && subscribers_->contains(*who))) keep(carried_, r, 0);
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
      const auto who = subscriber_of(r);
      if (r.time >= when_.from && r.time <= when_.to && who && subscribers_->contains(*who))
        keep(records_, r, page.records[i].tie);
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
        const auto binding = port_ ? binding_of(page_->record(i)) : std::nullopt;
        wanted = !port_ || (binding && binding->port == *port_);
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
    const auto who = subscriber_of(r);
    const bool named = who && subscribers_->contains(*who);
    if (r.kind == Record::Kind::typed) {
      const bool ends = r.type == Type::mapping_created || r.type == Type::mapping_deleted;
      const auto binding = ends && !named ? binding_of(r) : std::nullopt;
      if (!binding) return named;
      const auto held = state.mappings().find(endpoint_of(*binding));
      return held != state.mappings().end() && subscribers_->contains(held->second.binding.subscriber);
    }
    // A block that is taken over is released behind that, by the former holder (docs/ledger.md).
    if (const auto former = overtaken_.find(r.block);
        r.kind == Record::Kind::released && former != overtaken_.end()) {
      const Overtaken o = former->second;
      overtaken_.erase(former);
      if (o.time == r.time) return o.theirs;
    }
    const auto holder = state.held().find(r.block);
    if (holder == state.held().end()) return named;
    const bool theirs = subscribers_->contains(holder->second.subscriber);
    if (r.kind == Record::Kind::allocated) overtaken_[r.block] = {r.time, theirs};
    return named || theirs;
  }

  void keep(std::vector<Kept>& list, Record r, uint32_t tie) {
    if (!r.body.empty()) r.body = answer_.bodies.emplace_back(r.body);
    list.push_back({r, tie});
    if (const auto who = subscriber_of(r))
      if (const SubscriberNote* s = page_->subscriber(*who)) answer_.subscribers.emplace(*who, *s);
    if (address_ != nullptr && address_->blocks)
      answer_.blocks.emplace(address_->address.value(), *address_->blocks);
  }

  SealedSegment& segment_;
  Interval when_;
  std::optional<uint16_t> port_;
  std::optional<std::unordered_set<uint64_t>> subscribers_;
  struct Overtaken {
    uint64_t time = 0;
    bool theirs = false;
  };
  std::unordered_map<uint64_t, Overtaken> overtaken_;  ///< by block
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
