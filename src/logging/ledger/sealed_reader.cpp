#include "logging/ledger/sealed_reader.h"

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "logging/ledger/sealed_carried.h"

namespace culvert::logging::ledger {
namespace {

constexpr size_t kMaxAllBodies = 1u << 30;

auto place_of(const PageRecord& p) { return std::tie(p.time, p.tie); }

}  // namespace

SealedReader::SealedReader(SealedSegment& segment)
    : segment_(segment), ordinal_(segment.header().first_ordinal) {
  const SealedDirectory& directory = segment.directory();
  events_.reserve(std::min<uint64_t>(segment.header().events, kMaxSegmentEvents));
  for (size_t n = 0; n < directory.pages.size(); n++) {
    const auto page = segment.page(n);
    if (!page) {
      ordinals_known_ = false;
      continue;
    }
    if (n < directory.first_address_page())
      collect(*page, 0, page->records.size(), n < directory.note_pages ? notes_ : events_);
    for (const Page::Address& a : page->addresses) {
      // The other pages of an address carry what the first one says.
      if (!directory.continues(n)) collect(*page, a.begin, a.follow, carried_);
      collect(*page, a.follow, a.end, events_);
    }
    if (events_.size() > kMaxSegmentEvents || notes_.size() > kMaxNotes || carried_.size() > kMaxCarried ||
        bodies_.size() > kMaxAllBodies)
      throw std::runtime_error(segment.path().string() + " has more records than a segment can have");
  }
  std::ranges::sort(events_, {}, place_of);
}

void SealedReader::collect(const Page& page, size_t begin, size_t end, std::vector<PageRecord>& to) {
  for (size_t i = begin; i < end; i++) {
    PageRecord p = page.records[i];
    if (p.head >= kTyped) {
      const std::string_view body = page.record(i).body;
      p.block = bodies_.size();
      bodies_ += body;
    }
    to.push_back(p);
  }
}

bool SealedReader::next() {
  const bool have_note = note_ < notes_.size(), have_event = event_ < events_.size();
  const bool note_first = have_note && (!have_event || place_of(notes_[note_]) <= place_of(events_[event_]));
  const bool in_checkpoint = note_first && expand(notes_[note_], bodies_).type != Type::checkpoint_end;
  if (!introduced_ && !in_checkpoint) {
    if (next_subscriber() || next_carried()) return true;
    introduced_ = true;
  }
  if (!have_note && !have_event) return false;
  take(note_first ? notes_[note_++] : events_[event_++]);
  return true;
}

void SealedReader::take(const PageRecord& p) {
  record_ = expand(p, bodies_);
  tie_ = p.tie;
  record_.ordinal = ordinals_known_ ? ordinal_ : 0;
  if (record_.event()) ordinal_++;
  if (record_.kind == Record::Kind::typed && record_.type == DamageNote::kType)
    if (const auto damage = decode<DamageNote>(record_.body)) ordinal_ += damage->events;
}

bool SealedReader::next_subscriber() {
  while (!chunk_ || next_in_chunk_ == chunk_->subscribers.size()) {
    if (next_chunk_ == segment_.directory().chunks.size()) return false;
    chunk_ = segment_.chunk(next_chunk_++);
    next_in_chunk_ = 0;
  }
  body_ = encode(chunk_->subscribers[next_in_chunk_++]);
  record_ = {.type = Type::subscriber,
             .time = segment_.header().opened,
             .ordinal = segment_.header().first_ordinal,
             .body = body_};
  tie_ = 0;
  return true;
}

bool SealedReader::next_carried() {
  if (next_carried_ == carried_.size()) return false;
  record_ = checkpoint_record(expand(carried_[next_carried_++], bodies_), segment_.header().opened, body_);
  record_.ordinal = segment_.header().first_ordinal;
  tie_ = 0;
  return true;
}

}  // namespace culvert::logging::ledger
