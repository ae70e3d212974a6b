#include "logging/event_merge.h"

namespace culvert::logging {

EventMerge::EventMerge(std::vector<Input> inputs, std::function<uint64_t()> moves)
    : inputs_(std::move(inputs)), moves_(std::move(moves)), cursors_(inputs_.size()) {}

void EventMerge::look(size_t i) {
  Cursor& c = cursors_[i];
  if (c.given != c.there) c.time = inputs_[i].ring->peek(c.given)->time;
}

void EventMerge::gather() {
  // The rings are looked at one after the other. A block that moves meanwhile could have its new worker's
  // event seen and its old one's not.
  uint64_t before = 0;
  do {
    before = moves();
    for (size_t i = 0; i < inputs_.size(); i++) cursors_[i].there = inputs_[i].ring->waiting();
  } while (moves() != before);
  for (size_t i = 0; i < inputs_.size(); i++) look(i);
}

size_t EventMerge::first() const {
  size_t best = inputs_.size();
  for (size_t i = 0; i < inputs_.size(); i++) {
    const Cursor& c = cursors_[i];
    if (c.given != c.there && (best == inputs_.size() || c.time < cursors_[best].time)) best = i;
  }
  return best;
}

std::optional<uint64_t> EventMerge::next_time() const {
  const size_t i = first();
  return i == inputs_.size() ? std::nullopt : std::optional(cursors_[i].time);
}

const Event* EventMerge::next() {
  const size_t best = first();
  if (best == inputs_.size()) return nullptr;
  last_ = best;
  const Event* event = inputs_[best].ring->peek(cursors_[best].given++);
  look(best);
  return event;
}

const Event* EventMerge::behind(uint32_t places) const {
  const Cursor& c = cursors_[last_];
  return c.there - c.given >= places ? inputs_[last_].ring->peek(c.given + places - 1) : nullptr;
}

void EventMerge::release() {
  for (size_t i = 0; i < inputs_.size(); i++) {
    Cursor& c = cursors_[i];
    inputs_[i].ring->release(c.given);
    c.there -= c.given;
    c.given = 0;
  }
}

void EventMerge::forget() {
  for (Cursor& c : cursors_) c = {};
}

}  // namespace culvert::logging
