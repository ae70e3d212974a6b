#include "logging/query/segment_facts.h"

#include <fmt/format.h>

#include <utility>

namespace culvert::logging::query {

using ledger::Record;
using ledger::Type;

FactsCollector::FactsCollector(std::string name, uint64_t opened, uint64_t first_ordinal)
    : name_(std::move(name)) {
  facts_.opened = facts_.last_time = opened;
  facts_.end_ordinal = first_ordinal;
  facts_.clock.push_back({{opened, UINT64_MAX}, 0});
}

void FactsCollector::lose(uint64_t after, const std::string& what) {
  facts_.doubts.push_back({{after, UINT64_MAX}, fmt::format("{}: {}", name_, what)});
}

void FactsCollector::damage(uint64_t after, const std::string& what) {
  lose(after, what);
  facts_.damaged = true;
  in_checkpoint_ = false;  // its end may be gone
}

void FactsCollector::take(const Record& r) {
  if (r.kind != Record::Kind::typed) return;
  const auto time_of = [this](int64_t since) { return moved(facts_.opened, since); };
  switch (r.type) {
    case Type::clock:
      if (const auto n = ledger::decode<ledger::ClockNote>(r.body)) {
        if (in_checkpoint_) {
          facts_.clock.back().ahead = n->ahead;
          if (n->past) facts_.past = {n->past->sets, static_cast<int64_t>(time_of(n->past->latest))};
        } else {
          facts_.sets++;
          facts_.clock.back().when.to = r.time;
          facts_.clock.push_back({{r.time, UINT64_MAX}, n->ahead});
        }
      }
      return;
    case Type::instance:
      if (auto n = ledger::decode<ledger::InstanceNote>(r.body))
        facts_.instances.insert_or_assign(n->number, std::move(*n));
      return;
    case Type::uncertain:
      if (const auto n = ledger::decode<ledger::Uncertain>(r.body))
        facts_.doubts.push_back({{time_of(n->from), time_of(n->to)},
                                 "the machine crashed: what was given just before may not be on record"});
      return;
    case Type::record_lost:
      lose(r.time, "a crash of the machine destroyed an event");
      return;
    case Type::checkpoint_end:
      in_checkpoint_ = false;
      return;
    default:
      if (r.type == ledger::DamageNote::kType) damage(r.time, "a part was damaged before it was sealed");
      return;
  }
}

SegmentFacts facts_of(ledger::SealedSegment& segment, const std::string& name) {
  const ledger::SealedHeader& header = segment.header();
  FactsCollector collector(name, header.opened, header.first_ordinal);
  segment.for_each_note([&](const Record& r) { collector.take(r); });
  const ledger::SealedDirectory& directory = segment.directory();
  for (size_t n = directory.note_pages; n < directory.first_address_page(); n++)
    if (const auto page = segment.page(n))
      for (size_t i = 0; i < page->records.size(); i++) collector.take(page->record(i));
  SegmentFacts facts = std::move(collector.facts());
  facts.last_time = header.ended;
  facts.end_ordinal = header.first_ordinal + header.events;
  return facts;
}

}  // namespace culvert::logging::query
