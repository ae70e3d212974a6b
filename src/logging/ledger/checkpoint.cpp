#include "logging/ledger/checkpoint.h"

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

#include "logging/ledger/batch_writer.h"

namespace culvert::logging::ledger {
namespace {

/// Writes a checkpoint, record by record.
class Checkpoint {
 public:
  Checkpoint(const LiveHeader& header, const State& before)
      : header_(header), before_(before), bytes_(encode(header)), out_(header) {}

  std::string write(uint64_t rest_since) {
    for (const auto& [number, instance] : before_.instances()) note(instance);
    for (const auto& [first, range] : before_.ranges()) define(range);
    for (const auto& source : before_.sources())
      if (source) note(*source);
    std::optional<ClockPast> past = before_.clock_past(header_.opened);
    if (past) past->latest -= static_cast<int64_t>(header_.opened);
    note(ClockNote{before_.clock_ahead(), past});
    if (before_.configuration()) note(*before_.configuration());
    CheckpointEnd end;
    subscribers_.reserve(before_.subscribers().size());
    for (const auto& [block, h] : sorted(before_.held())) {
      note(Held{number_of(block), subscriber(h.subscriber), since(h.since), h.reason});
      end.held++;
    }
    for (const auto& [block, released] : sorted(before_.resting())) {
      if (released < rest_since) continue;
      note(Resting{number_of(block), since(released)});
      end.resting++;
    }
    for (const auto& [endpoint, mapping] : before_.mappings()) {
      MappingHeld held{mapping.binding, since(mapping.since), mapping.lifetime()};
      held.binding.subscriber = subscriber(mapping.binding.subscriber);
      note(held);
      end.mappings++;
    }
    note(end);
    bytes_ += out_.take();
    return std::move(bytes_);
  }

 private:
  template <typename Note>
  void note(const Note& n) {
    const std::string body = encode(n);
    if (out_.full(body.size())) bytes_ += out_.take();
    out_.add(header_.opened, 0, Note::kType, body);
  }
  int64_t since(uint64_t time) const {
    return static_cast<int64_t>(time) - static_cast<int64_t>(header_.opened);
  }

  void define(AddressRange range) {
    first_blocks_[range.first_block] = blocks_;
    range.first_block = blocks_;
    blocks_ += range.blocks();
    note(range);
  }
  uint64_t number_of(uint64_t block) const {
    const auto range = std::prev(first_blocks_.upper_bound(block));
    return range->second + (block - range->first);
  }
  /// His new number; defined at first need. All of whom nobody knows who they were have one number, that of
  /// ::/0: who is defined here is defined once.
  uint64_t subscriber(uint64_t old) {
    const auto [place, fresh] = subscribers_.try_emplace(old, 0);
    if (!fresh) return place->second;
    SubscriberNote n{.length = 0};
    if (const SubscriberNote* known = before_.subscribers().find(old)) n = *known;
    const bool nobody = n.instance == 0 && n.length == 0;
    if (!nobody || !nobody_) {
      n.number = defined_++;
      if (nobody) nobody_ = n.number;
      note(n);
    } else {
      n.number = *nobody_;
    }
    return place.value() = n.number;
  }

  const LiveHeader& header_;
  const State& before_;
  std::string bytes_;
  BatchWriter out_;
  uint64_t blocks_ = 0;
  std::map<uint64_t, uint64_t> first_blocks_;  ///< a range's old first block → its new one
  NumberMap<uint64_t> subscribers_;            ///< likewise
  uint64_t defined_ = 0;                       ///< subscribers in the new segment
  std::optional<uint64_t> nobody_;             ///< whose definition damage took
};

}  // namespace

std::string begin_segment(const LiveHeader& header, const State& before, uint64_t rest_since) {
  return Checkpoint(header, before).write(rest_since);
}

Replayed replay(std::string_view bytes, const std::function<void(const Damage&)>& on_damage,
                const std::function<void(const Record&, const std::string&)>& on_fault) {
  LiveReader reader(bytes);
  if (!reader.header()) throw std::runtime_error(reader.fault());
  const LiveHeader& header = *reader.header();
  Replayed result{.header = header, .state = State(header.opened), .last_time = header.opened};
  result.state.on_fault = on_fault;
  reader.on_damage = [&](const Damage& d) {
    // What a crash cut off was nowhere on record.
    if (!d.at_end) result.state.miss();
    result.events += d.events;
    if (on_damage) on_damage(d);
  };
  while (reader.next()) {
    const Record& r = reader.record();
    result.state.apply(r);
    result.last_time = r.time;
    if (r.event()) result.events = r.ordinal - header.first_ordinal + 1;
  }
  result.state.finish();
  result.state.on_fault = nullptr;
  result.whole = reader.whole();
  return result;
}

}  // namespace culvert::logging::ledger
