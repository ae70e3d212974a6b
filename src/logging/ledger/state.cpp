#include "logging/ledger/state.h"

#include <fmt/format.h>

#include <algorithm>

namespace culvert::logging::ledger {

const AddressRange* State::range_of_block(uint64_t block) const {
  auto after = ranges_.upper_bound(block);
  if (after == ranges_.begin()) return nullptr;
  const AddressRange& range = std::prev(after)->second;
  return range.has(block) ? &range : nullptr;
}

const AddressRange* State::range_of(net::Ipv4Address a) const {
  auto after = ranges_by_address_.upper_bound(a.value());
  if (after == ranges_by_address_.begin()) return nullptr;
  const AddressRange& range = ranges_.at(std::prev(after)->second);
  return range.has(a) ? &range : nullptr;
}

void State::judge_takeovers(uint64_t now) {
  takeovers_.unreleased(now, [this](const Record& r) {
    fault(r, fmt::format("block {} is allocated to subscriber {} while another holds it", r.block,
                         r.subscriber));
  });
}

void State::apply(const Record& r) {
  if (r.kind != Record::Kind::typed || r.type != Type::segment_end)
    stopped_ = r.kind == Record::Kind::typed && r.type == Type::culvertd_stopped;
  judge_takeovers(r.time);
  if (auto& source = sources_[r.worker]; r.event() && source) source->next++;
  switch (r.kind) {
    case Record::Kind::allocated:
      return allocated(r);
    case Record::Kind::released:
      return released(r);
    case Record::Kind::typed:
      return typed(r);
  }
}

bool State::has_range(const Record& r, uint64_t block) const {
  if (range_of_block(block) != nullptr) return true;
  fault(r, fmt::format("block {} is in no range", block));
  return false;
}

void State::allocated(const Record& r) {
  if (!has_range(r, r.block)) return;
  if (!subscribers_.contains(r.subscriber))
    fault(r, fmt::format("subscriber {} is not defined", r.subscriber));
  if (!held_.insert_or_assign(r.block, Holder{r.subscriber, r.time, r.reason}).second)
    takeovers_.allocated(r.block, r.time, r);
  resting_.erase(r.block);
}

void State::released(const Record& r) {
  if (takeovers_.released(r.block, r.time)) return;
  if (!has_range(r, r.block)) return;
  if (held_.erase(r.block) == 0) fault(r, fmt::format("block {} is released that nobody holds", r.block));
  resting_[r.block] = r.time;
}

template <typename Note, typename Take>
void State::note(const Record& r, Take&& take) {
  if (std::optional<Note> n = decode<Note>(r.body))
    take(*n);
  else
    fault(r, fmt::format("a record of type {} is malformed", static_cast<unsigned>(r.type)));
}

void State::typed(const Record& r) {
  const auto key = [](const Binding& b) { return Endpoint{b.external.value(), b.port, b.protocol}; };
  switch (r.type) {
    case Type::mapping_created:
      return note<MappingCreated>(r, [&](const MappingCreated& n) {
        const uint64_t lifetime = 1000 * std::min(n.lifetime, kMaxTime / 1000);
        Mapping& m = mappings_[key(n.binding)];
        const uint64_t begun = n.renewal && m.since != 0 ? m.since : r.time;
        m = {n.binding, begun, end_of(r.time, lifetime)};
      });
    case Type::mapping_deleted:
      return note<MappingDeleted>(r, [&](const MappingDeleted& n) {
        if (mappings_.erase(key(n.binding)) == 0) fault(r, "a mapping is deleted that is not there");
      });
    case Type::source:
      return note<Source>(r, [&](const Source& n) { sources_[n.worker] = n; });
    case Type::instance:
      return note<InstanceNote>(r, [&](const InstanceNote& n) { instances_[n.number] = n; });
    case Type::address_range:
      return note<AddressRange>(r, [&](const AddressRange& n) { add_range(r, n); });
    case Type::subscriber:
      return note<SubscriberNote>(r, [&](const SubscriberNote& n) {
        if (!subscribers_.add(n)) fault(r, fmt::format("subscriber {} is defined twice", n.number));
      });
    case Type::held:
      return note<Held>(r, [&](const Held& n) {
        if (has_range(r, n.block)) held_[n.block] = {n.subscriber, time_of(n.since), n.reason};
      });
    case Type::resting:
      return note<Resting>(r, [&](const Resting& n) {
        if (has_range(r, n.block)) resting_[n.block] = time_of(n.since);
      });
    case Type::mapping_held:
      return note<MappingHeld>(r, [&](const MappingHeld& n) {
        const uint64_t since = time_of(n.since);
        mappings_[key(n.binding)] = {n.binding, since, end_of(since, n.lifetime)};
      });
    case Type::checkpoint_end:
      return note<CheckpointEnd>(r, [&](const CheckpointEnd& n) { end_checkpoint(r, n); });
    case Type::clock:
      return note<ClockNote>(r, [&](const ClockNote& n) { set_clock(r, n); });
    case Type::configuration:
      return note<ConfigurationNote>(r, [&](const ConfigurationNote& n) { configuration_ = n; });
    case Type::record_lost:
      complete_ = false;
      return;
    case Type::segment_end:
      ended_ = true;
      return;
    default:
      return;
  }
}

std::optional<ClockPast> State::clock_past(uint64_t time) const {
  if (!clock_past_) return std::nullopt;
  const int64_t shown = std::min<int64_t>(static_cast<int64_t>(time) + clock_ahead_, kMaxTime - 1);
  return ClockPast{clock_past_->sets, std::max(clock_past_->latest, shown)};
}

void State::set_clock(const Record& r, const ClockNote& n) {
  if (n.past) {
    clock_past_ = {n.past->sets, static_cast<int64_t>(time_of(n.past->latest))};
  } else if (clock_past_) {
    clock_past_ = clock_past(r.time);
    clock_past_->sets++;
  }
  clock_ahead_ = n.ahead;
}

void State::add_range(const Record& r, const AddressRange& range) {
  // None overlaps another so far: only neighbours can overlap this one.
  const auto next = ranges_.upper_bound(range.first_block);
  const auto next_address = ranges_by_address_.upper_bound(range.first_address.value());
  const bool overlaps = range_of_block(range.first_block) != nullptr ||
                        range_of(range.first_address) != nullptr ||
                        (next != ranges_.end() && next->first < range.first_block + range.blocks()) ||
                        (next_address != ranges_by_address_.end() &&
                         next_address->first < range.first_address.value() + range.addresses);
  if (overlaps) return fault(r, fmt::format("the range of {} overlaps another", range.first_address.text()));
  ranges_.emplace(range.first_block, range);
  ranges_by_address_.emplace(range.first_address.value(), range.first_block);
}

void State::forget_range(uint64_t first_block) {
  const auto found = ranges_.find(first_block);
  if (found == ranges_.end()) return;
  const AddressRange range = found->second;
  ranges_.erase(found);
  ranges_by_address_.erase(range.first_address.value());
  for (auto r = resting_.begin(); r != resting_.end();)
    r = range.has(r->first) ? resting_.erase(r) : std::next(r);
}

void State::end_checkpoint(const Record& r, const CheckpointEnd& end) {
  checked_ = end.held == held_.size() && end.resting == resting_.size() && end.mappings == mappings_.size();
  if (!checked_)
    fault(r,
          fmt::format("the checkpoint has {} blocks held, {} resting and {} mappings, and says {}, {} and {}",
                      held_.size(), resting_.size(), mappings_.size(), end.held, end.resting, end.mappings));
}

}  // namespace culvert::logging::ledger
