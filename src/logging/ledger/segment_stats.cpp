#include "logging/ledger/segment_stats.h"

#include <fmt/format.h>

#include <algorithm>

#include "logging/ledger/segment_reader.h"
#include "logging/ledger/state.h"

namespace culvert::logging::ledger {
namespace {

const char* name_of(const Record& r) {
  if (r.kind == Record::Kind::allocated) return "block-allocated";
  if (r.kind == Record::Kind::released) return "block-released";
  switch (r.type) {
    case Type::record_lost:
      return "record-lost";
    case Type::mapping_created:
      return "mapping-created";
    case Type::mapping_deleted:
      return "mapping-deleted";
    case Type::session_created:
      return "session-created";
    case Type::session_deleted:
      return "session-deleted";
    case Type::refused:
      return "refused";
    default:
      return "unknown";
  }
}

}  // namespace

void SegmentStats::add(const SegmentStats& next) {
  if (segments == 0) {
    first_ordinal = next.first_ordinal;
    opened = next.opened;
  }
  segments += next.segments;
  bytes += next.bytes;
  events += next.events;
  lost += next.lost;
  for (const auto& [kind, n] : next.kinds) kinds[kind] += n;
  ended = next.ended;
  subscribers = std::max(subscribers, next.subscribers);
  blocks = next.blocks;
  held = next.held;
  most_held = std::max(most_held, next.most_held);
  mappings = next.mappings;
}

SegmentStats stats_of(const Segment& segment, uint64_t end_ordinal,
                      const std::function<void(const std::string&)>& tell) {
  SegmentStats stats{.segments = 1, .bytes = segment.bytes, .first_ordinal = segment.first_ordinal};
  SegmentReader reader(segment.file, [&](const Loss& loss) {
    stats.lost += loss.events;
    tell(fmt::format("{}: {} cannot be read: they are damaged", segment.file.path.string(), loss.what));
  });
  State state(reader.opened());
  std::map<const char*, uint64_t> kinds;
  const auto system = [&](uint64_t time) {
    return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(time) + state.clock_ahead()));
  };
  uint64_t time = reader.opened();
  bool begun = false;
  while (reader.next()) {
    const Record& r = reader.record();
    if (r.event() && r.ordinal >= end_ordinal) break;
    state.apply(r);
    time = r.time;
    if (!begun && state.checked()) {
      stats.opened = system(reader.opened());
      begun = true;
    }
    stats.most_held = std::max<uint64_t>(stats.most_held, state.held().size());
    if (!r.event()) continue;
    stats.events++;
    kinds[name_of(r)]++;
  }
  state.finish();
  if (!begun) stats.opened = system(reader.opened());
  for (const auto& [name, n] : kinds) stats.kinds[name] += n;
  stats.ended = system(time);
  stats.subscribers = state.subscribers().size();
  for (const auto& [first, range] : state.ranges()) stats.blocks += range.blocks();
  stats.held = state.held().size();
  stats.mappings = state.mappings().size();
  return stats;
}

}  // namespace culvert::logging::ledger
