#include "logging/query/live_scan.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "logging/ledger/named.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/sealed_page.h"
#include "logging/ledger/state.h"
#include "logging/ledger/takeovers.h"

namespace culvert::logging::query {
namespace {

using ledger::AddressRange;
using ledger::Record;
using ledger::SubscriberNote;
using ledger::Type;

/// Subscribers by number. Who writes numbers them from 0 on, so that most are in the vector.
class Dictionary {
 public:
  void add(const SubscriberNote& s) {
    if (s.number == dense_.size())
      dense_.push_back(s);
    else
      others_.emplace(s.number, s);
  }
  const SubscriberNote* find(uint64_t number) const {
    if (number < dense_.size()) return &dense_[number];
    const auto found = others_.find(number);
    return found == others_.end() ? nullptr : &found->second;
  }

 private:
  std::vector<SubscriberNote> dense_;
  ledger::NumberMap<SubscriberNote> others_;
};

class Scan {
 public:
  Scan(const Subject& subject, const ledger::LiveHeader& header, const std::string& name)
      : opened_(header.opened),
        place_(std::get_if<Place>(&subject)),
        prefix_(std::get_if<net::Ipv6Prefix>(&subject)),
        collector_(name, header.opened, header.first_ordinal) {}

  FactsCollector& collector() { return collector_; }

  void take(const Record& r) {
    if (r.kind != Record::Kind::typed) {
      if (wanted_block(r)) keep(answer_.records, r);
      return;
    }
    collector_.take(r);
    switch (r.type) {
      case Type::subscriber:
        if (const auto n = ledger::decode<SubscriberNote>(r.body)) define(*n);
        return;
      case Type::address_range:
        if (const auto n = ledger::decode<AddressRange>(r.body)) add(*n);
        return;
      case Type::checkpoint_end:
        in_checkpoint_ = false;
        return;
      case Type::held:
      case Type::resting:
      case Type::mapping_held:
        if (in_checkpoint_) carry(r);
        return;
      default:
        if (ledger::names_subscriber(r.type) && wanted_note(r)) keep(answer_.records, r);
        return;
    }
  }

  LiveScan result(uint64_t last_time, uint64_t end_ordinal) {
    collector_.facts().last_time = last_time;
    collector_.facts().end_ordinal = end_ordinal;
    for (auto* list : {&answer_.carried, &answer_.records})
      for (const Record& r : *list) explain(r);
    return {std::move(collector_.facts()), std::move(answer_)};
  }

 private:
  void define(const SubscriberNote& s) {
    dictionary_.add(s);
    if (prefix_ != nullptr && concerns(*prefix_, s.prefix, s.length)) theirs_.insert(s.number);
  }
  void add(const AddressRange& range) {
    ranges_.emplace(range.first_block, range);
    if (place_ != nullptr && range.has(place_->address) && block_count_ == 0) {
      const AddressRange here = ledger::blocks_on(range, place_->address);
      first_block_ = here.first_block;
      block_count_ = here.blocks();
    }
  }

  bool wanted_block(const Record& r) {
    if (place_ != nullptr) return r.block - first_block_ < block_count_;
    // What ends their time is theirs too.
    const auto held = held_.find(r.block);
    if (r.kind == Record::Kind::allocated) {
      const bool theirs = theirs_.contains(r.subscriber), before = held != held_.end() && held->second;
      if (held != held_.end()) takeovers_.allocated(r.block, r.time, before);
      held_[r.block] = theirs;
      return theirs || before;
    }
    if (const std::optional<bool> theirs = takeovers_.released(r.block, r.time)) return *theirs;
    if (held == held_.end()) return false;
    const bool theirs = held->second;
    held_.erase(held);
    return theirs;
  }
  bool wanted_note(const Record& r) {
    const std::optional<ledger::Named> n = named(r);
    if (!n) return false;
    if (place_ != nullptr) return n->placed && n->external == place_->address;
    const bool theirs = theirs_.contains(n->subscriber);
    if (!n->placed) return theirs;
    if (r.type == Type::mapping_deleted) return mappings_.erase(n->endpoint()) != 0 || theirs;
    if (r.type != Type::mapping_created && r.type != Type::mapping_held) return theirs;
    const bool before = mappings_.erase(n->endpoint()) != 0;
    if (theirs) mappings_.insert(n->endpoint());
    return theirs || before;
  }
  void carry(const Record& r) {
    const std::optional<Record> carried = ledger::carried_record(r, opened_);
    if (!carried) return;
    const bool wanted = carried->kind == Record::Kind::typed ? wanted_note(*carried)
                        : carried->kind == Record::Kind::released && prefix_ != nullptr
                            ? false
                            : wanted_block(*carried);
    if (wanted) keep(answer_.carried, *carried);
  }

  void keep(std::vector<Record>& list, Record r) {
    r.body = answer_.bodies.emplace_back(r.body);
    list.push_back(r);
  }

  /// Puts in what the record's numbers stand for.
  void explain(const Record& r) {
    const auto names = named(r);
    if (const SubscriberNote* s = names ? dictionary_.find(names->subscriber) : nullptr)
      answer_.subscribers.emplace(s->number, *s);
    if (r.kind == Record::Kind::typed) return;
    const auto after = ranges_.upper_bound(r.block);
    if (after == ranges_.begin()) return;
    const AddressRange& range = std::prev(after)->second;
    if (!range.has(r.block)) return;
    const net::Ipv4Address address = range.address_of(r.block);
    answer_.blocks.emplace(address.value(), ledger::blocks_on(range, address));
  }

  uint64_t opened_;
  const Place* place_;
  const net::Ipv6Prefix* prefix_;
  FactsCollector collector_;
  bool in_checkpoint_ = true;
  Dictionary dictionary_;
  std::map<uint64_t, AddressRange> ranges_;
  uint64_t first_block_ = 0, block_count_ = 0;   ///< of the address
  std::unordered_set<uint64_t> theirs_;          ///< subscribers of the prefix
  std::unordered_map<uint64_t, bool> held_;      ///< blocks that somebody holds, and whether they do
  std::set<ledger::State::Endpoint> mappings_;   ///< that they have
  ledger::Takeovers<uint64_t, bool> takeovers_;  ///< whether from them
  ledger::Answer answer_;
};

}  // namespace

LiveScan scan(ledger::LiveStream& live, const Subject& subject, uint64_t end_ordinal, bool last,
              const std::string& name) {
  const ledger::LiveHeader& header = live.header();
  Scan scan(subject, header, name);
  uint64_t time = header.opened, next_ordinal = header.first_ordinal;
  live.on_damage([&](const ledger::Damage& d) {
    scan.collector().damage(d.after, fmt::format("{} bytes from {} on are damaged", d.bytes, d.offset));
    next_ordinal = d.first_ordinal + d.events;
  });
  if (!last) live.finish();
  while (live.next()) {
    const Record& r = live.record();
    if (r.event() && r.ordinal >= end_ordinal) break;
    time = r.time;
    if (r.event()) next_ordinal = r.ordinal + 1;
    scan.take(r);
  }
  return scan.result(time, next_ordinal);
}

}  // namespace culvert::logging::query
