#include "logging/query/tenure_book.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/mapped.h"

namespace culvert::logging::query {

using ledger::Binding;
using ledger::Record;
using ledger::Type;

namespace {

/// As far as known: damage may have taken who somebody was, or the names of instances.
bool same_subscriber(const Subscriber& a, const Subscriber& b) {
  if (a.length == 0 || b.length == 0) return true;
  const bool nameless = a.instance.empty() || b.instance.empty();
  return a.prefix == b.prefix && a.length == b.length && (nameless || a.instance == b.instance);
}

bool same_holder(const Tenure& a, const Tenure& b) {
  return same_subscriber(a.subscriber, b.subscriber) && a.origin == b.origin && a.internal == b.internal &&
         a.internal_port == b.internal_port;
}

/// Whether what is held later is what was held before.
bool continues(const Tenure& before, const Tenure& after) {
  return before.since.event == after.since.event && same_holder(before, after);
}

std::optional<net::Ipv6Address> host(const std::string& bytes) {
  net::Ipv6Address a;
  net::Ipv4Address ipv4;
  if (bytes.size() == sizeof ipv4) {
    std::memcpy(&ipv4, bytes.data(), sizeof ipv4);
    return net::mapped(ipv4);
  }
  if (bytes.size() != a.bytes.size()) return std::nullopt;
  std::memcpy(a.bytes.data(), bytes.data(), bytes.size());
  return a;
}

Holding holding_of(const Binding& b) {
  return {.external = b.external,
          .first_port = b.port,
          .last_port = b.port,
          .mapping = true,
          .protocol = b.protocol};
}

}  // namespace

void TenureBook::use(const ledger::Answer& part) {
  part_ = &part;
  blocks_.clear();
  for (const auto& [address, blocks] : part.blocks) blocks_.emplace(blocks.first_block, blocks);
}

/// nullopt: he is not asked for.
std::optional<Subscriber> TenureBook::who(uint64_t number) const {
  Subscriber s;
  const auto found = part_->subscribers.find(number);
  if (found != part_->subscribers.end()) {
    s.prefix = found->second.prefix;
    s.length = found->second.length;
    const auto instance = facts_->instances.find(found->second.instance);
    if (instance != facts_->instances.end()) {
      s.instance = instance->second.name;
      s.carriage = static_cast<Entry::Carriage>(instance->second.carriage);
    }
  }
  if (only_ && (found == part_->subscribers.end() || !concerns(*only_, s.prefix, s.length)))
    return std::nullopt;
  return s;
}

std::optional<Holding> TenureBook::block(uint64_t number) const {
  const auto after = blocks_.upper_bound(number);
  if (after == blocks_.begin()) return std::nullopt;
  const ledger::AddressRange& range = std::prev(after)->second;
  if (!range.has(number)) return std::nullopt;
  Holding h{.external = range.address_of(number), .first_port = range.first_port_of(number)};
  h.last_port = static_cast<uint16_t>(h.first_port + range.set_size - 1);
  return wanted(h) ? std::optional(h) : std::nullopt;
}

std::optional<Tenure> TenureBook::mapping(const Binding& b, uint64_t since) const {
  std::optional<Subscriber> subscriber = who(b.subscriber);
  if (!subscriber || !wanted(holding_of(b))) return std::nullopt;
  Tenure o;
  o.subscriber = std::move(*subscriber);
  o.holding = holding_of(b);
  o.origin = static_cast<Entry::Origin>(b.origin);
  o.internal = host(b.internal);
  o.internal_port = b.internal_port;
  o.since.event = since;
  return o;
}

std::optional<Tenure> TenureBook::carried(const Record& r, std::map<Key, uint64_t>& resting) const {
  if (r.kind == Record::Kind::typed) {
    const auto n = ledger::decode<ledger::MappingHeld>(r.body);
    return n ? mapping(n->binding, moved(facts_->opened, n->since)) : std::nullopt;
  }
  const std::optional<Holding> holding = block(r.block);
  if (!holding) return std::nullopt;
  if (r.kind == Record::Kind::released) {
    resting[holding->key()] = r.time;
    return std::nullopt;
  }
  std::optional<Subscriber> subscriber = who(r.subscriber);
  if (!subscriber) return std::nullopt;
  Tenure o;
  o.subscriber = std::move(*subscriber);
  o.holding = *holding;
  o.since.event = r.time;
  o.begun = static_cast<Reason>(r.reason);
  return o;
}

void TenureBook::begin(const SegmentFacts& facts, const ledger::Answer& part, uint64_t from, uint64_t seen,
                       std::vector<uint64_t> gaps) {
  facts_ = &facts;
  gaps_ = std::move(gaps);
  use(part);
  begun_ = from;
  const bool whole = gaps_.empty() || gaps_.front() > from;
  takeovers_.clear();
  std::map<Key, Tenure> now;
  std::map<Key, uint64_t> resting;
  for (const Record& r : part.carried)
    if (auto o = carried(r, resting)) now.insert_or_assign(o->holding.key(), std::move(*o));
  for (auto& [key, old] : open_) {
    const auto found = now.find(key);
    if (found == now.end()) {
      const auto rest = resting.find(key);
      const bool rests = rest != resting.end() && rest->second >= seen;
      if (!rests && !whole) {
        unsure_.try_emplace(key, seen);
        now.emplace(key, std::move(old));
        continue;
      }
      lose(std::move(old), seen, rests ? rest->second : from);
      continue;
    }
    Tenure& goes_on = found->second;
    if (!continues(old, goes_on)) {
      const uint64_t until = std::max(seen, goes_on.since.event);
      lose(std::move(old), seen, until);
      continue;
    }
    if (old.subscriber.length == 0 || old.subscriber.instance.empty()) old.subscriber = goes_on.subscriber;
    goes_on = std::move(old);
    unsure_.erase(key);
  }
  open_ = std::move(now);
  for (const Record& r : part.records) take(r);
}

bool TenureBook::goes_on(const SegmentFacts& facts, const ledger::Answer& part, uint64_t time) {
  facts_ = &facts;
  use(part);
  std::map<Key, uint64_t> resting;
  size_t open = 0, same = 0;
  for (const auto& [key, o] : open_) open += o.since.event <= time ? 1 : 0;
  for (const Record& r : part.carried) {
    const auto o = carried(r, resting);
    const auto old = o ? open_.find(o->holding.key()) : open_.end();
    if (old == open_.end() || old->second.since.event > time) continue;
    same += continues(old->second, *o) ? 1 : 0;
  }
  return same == open;
}

void TenureBook::add(const ledger::Answer& part, std::vector<uint64_t> gaps) {
  gaps_ = std::move(gaps);
  use(part);
  for (const Record& r : part.records) take(r);
}

/// When something was missed of what happened since; nullopt: nothing.
std::optional<uint64_t> TenureBook::gap_since(uint64_t time) const {
  const auto gap = std::ranges::lower_bound(gaps_, time);
  return gap == gaps_.end() ? std::nullopt : std::optional(*gap);
}

void TenureBook::end(Tenure t, uint64_t time, Reason reason, uint64_t peak) {
  // Another one's end, if his is missing.
  const auto gap = gap_since(t.since.event);
  if (unsure_.contains(t.holding.key()) || (gap && *gap <= time))
    return lose(std::move(t), gap.value_or(time), time);
  t.end = Tenure::End::ended;
  t.until.event = t.seen.event = time;
  t.ended = reason;
  t.peak = peak;
  ended_.push_back(std::move(t));
}

void TenureBook::lose(Tenure t, uint64_t seen, uint64_t until) {
  if (const auto unsure = unsure_.find(t.holding.key()); unsure != unsure_.end()) {
    seen = std::min(seen, unsure->second);
    unsure_.erase(unsure);
  }
  t.end = Tenure::End::lost;
  t.seen.event = std::max(seen, t.since.event);
  t.until.event = std::max(until, t.seen.event);
  ended_.push_back(std::move(t));
}

void TenureBook::take(const Record& r) {
  switch (r.kind) {
    case Record::Kind::allocated:
      return allocated(r);
    case Record::Kind::released:
      return released(r);
    case Record::Kind::typed:
      break;
  }
  switch (r.type) {
    case Type::mapping_created:
      return mapping_created(r);
    case Type::mapping_deleted:
      return mapping_deleted(r);
    case Type::session_created:
    case Type::session_deleted:
      return session(r);
    default:
      return;
  }
}

void TenureBook::allocated(const Record& r) {
  const std::optional<Holding> holding = block(r.block);
  if (!holding) return;
  const Key key = holding->key();
  if (const auto former = open_.find(key); former != open_.end()) {
    takeovers_.allocated(key, r.time, ended_.size());
    end(std::move(former->second), r.time, Reason::none, 0);
    open_.erase(former);
  }
  std::optional<Subscriber> subscriber = who(r.subscriber);
  if (!subscriber) return;
  Tenure o;
  o.subscriber = std::move(*subscriber);
  o.holding = *holding;
  o.since.event = r.time;
  o.begun = static_cast<Reason>(r.reason);
  open_.emplace(key, std::move(o));
}

void TenureBook::released(const Record& r) {
  const std::optional<Holding> holding = block(r.block);
  if (!holding) return;
  const Key key = holding->key();
  const auto reason = static_cast<Reason>(r.reason);
  if (const auto former = takeovers_.released(key, r.time)) {
    ended_[*former].ended = reason;
    ended_[*former].peak = r.peak;
    return;
  }
  const auto found = open_.find(key);
  if (found != open_.end()) {
    end(std::move(found->second), r.time, reason, r.peak);
    open_.erase(found);
    return;
  }
  if (only_) return;
  Tenure o;
  o.holding = *holding;
  end_unseen(std::move(o), r.time, reason, r.peak);
}

/// Since when something can be held at `time` whose beginning damage took.
uint64_t TenureBook::unseen_beginning(uint64_t time) const {
  return !gaps_.empty() && gaps_.front() <= time ? std::max(begun_, gaps_.front()) : begun_;
}

void TenureBook::end_unseen(Tenure t, uint64_t time, Reason reason, uint64_t peak) {
  t.since.event = unseen_beginning(time);
  t.since_known = false;
  t.end = Tenure::End::ended;
  t.until.event = t.seen.event = time;
  t.ended = reason;
  t.peak = peak;
  ended_.push_back(std::move(t));
}

void TenureBook::mapping_created(const Record& r) {
  const auto n = ledger::decode<ledger::MappingCreated>(r.body);
  if (!n) return;
  std::optional<Tenure> o = mapping(n->binding, r.time);
  const auto former = open_.find(holding_of(n->binding).key());
  if (former != open_.end()) {
    if (n->renewal && o && same_holder(former->second, *o)) return;
    end(std::move(former->second), r.time, Reason::none, 0);
    open_.erase(former);
  }
  if (o && n->renewal) {
    o->since.event = unseen_beginning(r.time);
    o->since_known = false;
  }
  if (o) open_.emplace(o->holding.key(), std::move(*o));
}

void TenureBook::mapping_deleted(const Record& r) {
  const auto n = ledger::decode<ledger::MappingDeleted>(r.body);
  if (!n) return;
  const auto reason = static_cast<Reason>(n->reason);
  const auto found = open_.find(holding_of(n->binding).key());
  if (found != open_.end()) {
    end(std::move(found->second), r.time, reason, 0);
    open_.erase(found);
  } else if (auto o = mapping(n->binding, begun_); o && !gaps_.empty() && gaps_.front() <= r.time) {
    end_unseen(std::move(*o), r.time, reason, 0);
  }
}

void TenureBook::session(const Record& r) {
  if (sessions_left_) return;
  const auto n = ledger::decode<ledger::SessionNote>(r.body);
  if (!n) return;
  const Binding& b = n->binding;
  std::optional<Subscriber> subscriber = who(b.subscriber);
  if (!subscriber) return;
  const Holding holding = holding_of(b);
  if (!wanted(holding)) return;
  const SessionKey key{holding.key(), b.internal, b.internal_port,
                       n->has_destination ? n->destination.value() : 0, n->destination_port};
  const Moment now{.event = r.time};
  if (const auto open = open_sessions_.find(key);
      r.type == Type::session_deleted && open != open_sessions_.end()) {
    SessionSpan& s = sessions_[open->second];
    open_sessions_.erase(open);
    // Else it is maybe another one's end.
    const auto gap = gap_since(s.since->event);
    if (!gap || *gap > r.time) {
      s.until = now;
      return;
    }
  }
  SessionSpan s{.subscriber = std::move(*subscriber),
                .holding = holding,
                .internal = host(b.internal),
                .internal_port = b.internal_port,
                .destination_port = n->destination_port};
  if (n->has_destination) s.destination = n->destination;
  if (r.type == Type::session_created) {
    open_sessions_[key] = sessions_.size();
    s.since = now;
  } else {
    s.until = now;
  }
  sessions_.push_back(std::move(s));
}

std::vector<Tenure> TenureBook::take_tenures(uint64_t seen) {
  for (auto& [key, o] : open_) {
    const auto unsure = unsure_.find(key);
    o.seen.event = unsure == unsure_.end() ? seen : std::min(seen, unsure->second);
    o.seen.event = o.until.event = std::max(o.seen.event, o.since.event);
    ended_.push_back(std::move(o));
  }
  open_.clear();
  unsure_.clear();
  takeovers_.clear();
  return std::move(ended_);
}

bool TenureBook::open_since(uint64_t time) const {
  return std::ranges::any_of(open_, [&](const auto& o) { return o.second.since.event <= time; });
}

}  // namespace culvert::logging::query
