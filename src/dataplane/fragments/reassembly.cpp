#include "dataplane/fragments/reassembly.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/packet.h"

namespace culvert::dataplane {
namespace {

constexpr Millis kSweepRound = 250;

using Place = Reassembly::Place;

void put_place(rte_mbuf* m, const Place& place) {
  static_assert(sizeof place == sizeof m->hash.fdir);
  std::memcpy(&m->hash, &place, sizeof place);
}

const uint8_t* payload_of(rte_mbuf* m) { return bytes_of(m) + Place::of(m).headers; }

unsigned end_of(const rte_mbuf* m) {
  const Place place = Place::of(m);
  return unsigned{place.offset} + place.length;
}

}  // namespace

Place Place::of(const rte_mbuf* m) {
  Place place;
  std::memcpy(&place, &m->hash, sizeof place);
  return place;
}

Reassembly::Reassembly(uint32_t capacity, const net::HashKey& key, Counters& counters)
    : key_(key),
      capacity_(capacity),
      counters_(counters),
      datagrams_(records_for(capacity)),
      index_(records_for(capacity)),
      shares_(capacity, share_of(capacity)),
      of_owner_(capacity),
      deadlines_(records_for(capacity)) {}

Reassembly::~Reassembly() {
  for (DatagramId id = 0; id < used_; id++) {
    for (rte_mbuf *m = datagrams_[id].first, *next; m != nullptr; m = next) {
      next = std::exchange(m->next, nullptr);
      free_packet(m);
    }
  }
}

Reassembly::Whole Reassembly::add(const DatagramKey& key, uint64_t owner, const Fragment& f, Millis now,
                                  uint32_t timeout) {
  counters_.fragments_received.add();
  const auto refused = [&](DropReason why) {
    drop(f.m, why);
    return Whole{};
  };
  if (f.is_malformed()) return refused(DropReason::fragment_malformed);
  const uint64_t hash = key.hash(key_);
  DatagramId id = find(key, hash);
  if (id != kNone && datagrams_[id].deadline.passed(now)) {
    end(id);
    id = kNone;
  }
  Gap gap;
  if (id != kNone) {
    if (const auto why = find_gap(datagrams_[id], f, &gap)) {
      if (datagrams_[id].state == State::waiting && *why != DropReason::fragment_duplicate) refuse(id, *why);
      return refused(*why);
    }
  }
  make_room(owner);
  if (id != kNone && datagrams_[id].state == State::refused) return refused(DropReason::fragment_limit);
  if (id == kNone) id = begin(key, hash, owner, ShortTime(now + timeout));
  if (id == kNone) return refused(DropReason::fragment_limit);
  Datagram& d = datagrams_[id];
  insert(d, f, gap);
  if (d.length == 0 || d.bytes != d.length) return {};

  const uint8_t ecn = d.ecn;
  Whole whole{d.first, d.length, d.fragments, d.largest, (ecn & 1u << net::kCongestion) != 0};
  // RFC 3168 §5.3: congestion that one fragment met is not forgotten; where another says that its transport
  // knows no such marks, it means loss.
  if (whole.congestion && (ecn & 1u << net::kNotEct) != 0) {
    refuse(id, DropReason::ecn_congestion);
    return {};
  }
  d.first = d.last = nullptr;
  leave(id);
  forget(id);
  return whole;
}

Reassembly::DatagramId Reassembly::find(const DatagramKey& key, uint64_t hash) const {
  return index_.find(hash, [&](uint32_t i) { return datagrams_[i].key == key; });
}

std::optional<DropReason> Reassembly::find_gap(const Datagram& d, const Fragment& f, Gap* gap) {
  if (d.state == State::refused) return d.why;
  const unsigned end = f.offset + f.length;
  gap->after = d.first;
  // Mostly they come in order.
  if (end_of(d.last) <= f.offset) *gap = {d.last, nullptr};
  while (gap->after != nullptr && end_of(gap->after) <= f.offset) *gap = {gap->after, gap->after->next};
  if (rte_mbuf* after = gap->after; after != nullptr && Place::of(after).offset < end) {
    const Place there = Place::of(after);
    const bool is_last = d.length != 0 && end_of(after) == d.length;
    const bool same = there.offset == f.offset && there.length == f.length && is_last == !f.more &&
                      std::memcmp(payload_of(after), bytes_of(f.m) + f.headers, f.length) == 0;
    return same ? DropReason::fragment_duplicate : DropReason::fragment_overlap;
  }
  // Nothing lies behind the last fragment, and there is one last fragment.
  const bool beyond = f.more ? d.length != 0 && end >= d.length : d.length != 0 || gap->after != nullptr;
  if (beyond) return DropReason::fragment_overlap;
  if (d.fragments == kMostFragments) return DropReason::fragment_limit;
  return std::nullopt;
}

void Reassembly::insert(Datagram& d, const Fragment& f, const Gap& gap) {
  put_place(f.m, {static_cast<uint16_t>(f.header), static_cast<uint16_t>(f.headers),
                  static_cast<uint16_t>(f.length), static_cast<uint16_t>(f.offset)});
  f.m->next = gap.after;
  (gap.before == nullptr ? d.first : gap.before->next) = f.m;
  if (gap.after == nullptr) d.last = f.m;
  if (!f.more) d.length = f.offset + f.length;
  d.bytes += f.length;
  d.fragments++;
  d.largest = static_cast<uint16_t>(std::max<unsigned>(d.largest, f.size));
  d.ecn |= static_cast<uint8_t>(1u << f.ecn);
  shares_.add(d.owner);
  held_++;
  counters_.fragments_held.add();
}

void Reassembly::make_room(uint64_t owner) {
  const FairShares::OwnerId own = shares_.find(owner);
  if (own != FairShares::kNoOwner && shares_.count(own) == share_of(capacity_))
    refuse(of_owner_[own].oldest, DropReason::fragment_limit);
  if (held_ < capacity_) return;
  const FairShares::OwnerId hoarder = shares_.hoarder();
  const bool hoards = shares_.count(hoarder) > share_of(capacity_) / 4;
  refuse(hoards ? of_owner_[hoarder].oldest : waiting_.oldest, DropReason::fragment_limit);
}

Reassembly::DatagramId Reassembly::begin(const DatagramKey& key, uint64_t hash, uint64_t owner,
                                         ShortTime deadline) {
  // Those who wait have a fragment each, so some of so many are refused.
  if (first_free_ == kNone && used_ == datagrams_.size()) forget(refused_.oldest);
  const FairShares::OwnerId who = shares_.find_or_add(owner);
  if (who == FairShares::kNoOwner) return kNone;
  const DatagramId id = first_free_ != kNone ? first_free_ : used_;
  if (!index_.insert(hash, id)) {
    if (shares_.count(who) == 0) shares_.take(who, 0);
    return kNone;
  }
  if (id == used_)
    used_++;
  else
    first_free_ = datagrams_[id].of_all.newer;
  if (shares_.count(who) == 0) of_owner_[who] = {};
  Datagram& d = datagrams_[id];
  d = Datagram{};
  d.key = key;
  d.owner = who;
  d.deadline = deadline;
  d.state = State::waiting;
  append<&Datagram::of_owner>(of_owner_[who], id);
  append<&Datagram::of_all>(waiting_, id);
  deadlines_.lower(id, deadline);
  return id;
}

void Reassembly::drop(rte_mbuf* m, DropReason reason) {
  counters_.drop(reason);
  free_packet(m);
}

void Reassembly::refuse(DatagramId id, DropReason reason) {
  Datagram& d = datagrams_[id];
  for (rte_mbuf *m = d.first, *next; m != nullptr; m = next) {
    next = std::exchange(m->next, nullptr);
    drop(m, reason);
  }
  d.first = d.last = nullptr;
  leave(id);
  d.state = State::refused;
  d.why = reason;
  append<&Datagram::of_all>(refused_, id);
}

void Reassembly::leave(DatagramId id) {
  Datagram& d = datagrams_[id];
  held_ -= d.fragments;
  counters_.fragments_held.subtract(d.fragments);
  remove<&Datagram::of_owner>(of_owner_[d.owner], id);
  remove<&Datagram::of_all>(waiting_, id);
  shares_.take(d.owner, d.fragments);
  d.state = State::free;
}

void Reassembly::forget(DatagramId id) {
  Datagram& d = datagrams_[id];
  if (d.state == State::refused) remove<&Datagram::of_all>(refused_, id);
  index_.erase(d.key.hash(key_), id);
  d.state = State::free;
  d.of_all.newer = first_free_;
  first_free_ = id;
}

void Reassembly::end(DatagramId id) {
  if (datagrams_[id].state == State::waiting) refuse(id, DropReason::fragment_timeout);
  forget(id);
}

template <Reassembly::Links Reassembly::Datagram::* kLinks>
void Reassembly::append(List& list, DatagramId id) {
  (datagrams_[id].*kLinks) = {list.newest, kNone};
  (list.newest == kNone ? list.oldest : (datagrams_[list.newest].*kLinks).newer) = id;
  list.newest = id;
}

template <Reassembly::Links Reassembly::Datagram::* kLinks>
void Reassembly::remove(List& list, DatagramId id) {
  const Links links = datagrams_[id].*kLinks;
  (links.older == kNone ? list.oldest : (datagrams_[links.older].*kLinks).newer) = links.newer;
  (links.newer == kNone ? list.newest : (datagrams_[links.newer].*kLinks).older) = links.older;
}

bool Reassembly::sweep(Millis now) {
  const Millis elapsed = now - std::min(now, swept_);
  swept_ = now;
  if (waiting_.oldest == kNone && refused_.oldest == kNone) return false;
  return deadlines_.sweep(used_, elapsed, kSweepRound, false, now, [&](uint32_t id) {
    const Datagram& d = datagrams_[id];
    if (d.state == State::free) return Deadlines::later(now);
    if (!d.deadline.passed(now)) return d.deadline;
    end(id);
    return Deadlines::later(now);
  });
}

}  // namespace culvert::dataplane
