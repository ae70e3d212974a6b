#include "replay/merge.h"

#include <utility>

namespace culvert::replay {

FrameMerger::FrameMerger(std::optional<CaptureReader> inside, std::optional<CaptureReader> outside)
    : inside_{std::move(inside), {}, true}, outside_{std::move(outside), {}, true} {}

void FrameMerger::Source::advance() {
  if (!std::exchange(spent, false)) return;
  head = reader ? reader->next() : std::nullopt;
}

std::optional<Frame> FrameMerger::next() {
  inside_.advance();
  outside_.advance();
  const bool outside_first =
      outside_.head && (!inside_.head || outside_.head->timestamp_ns < inside_.head->timestamp_ns);
  Source& source = outside_first ? outside_ : inside_;
  // A source at its end is not asked again: `spent` stays false there.
  if (source.head) source.spent = true;
  return source.head;
}

const CaptureReader* FrameMerger::reader(Side side) const {
  const auto& r = side == Side::inside ? inside_.reader : outside_.reader;
  return r ? &*r : nullptr;
}

}  // namespace culvert::replay
