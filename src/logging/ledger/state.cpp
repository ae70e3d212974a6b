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

void State::judge_overtaken(uint64_t now) {
  if (overtaken_.empty() || overtaken_.front().time == now) return;
  for (const Record& r : overtaken_)
    fault(r, fmt::format("block {} is allocated to subscriber {} while another holds it", r.block,
                         r.subscriber));
  overtaken_.clear();
}

void State::apply(const Record& r) {
  judge_overtaken(r.time);
  if (r.event() && r.worker < kMaxSources) {
    if (auto& source = sources_[r.worker]) source->next++;
  }
  switch (r.kind) {
    case Record::Kind::allocated:
      return allocated(r);
    case Record::Kind::released:
      return released(r);
    case Record::Kind::typed:
      return typed(r);
  }
}

void State::allocated(const Record& r) {
  if (range_of_block(r.block) == nullptr) return fault(r, fmt::format("block {} is in no range", r.block));
  if (!subscribers_.contains(r.subscriber))
    fault(r, fmt::format("subscriber {} is not defined", r.subscriber));
  if (held_.contains(r.block)) overtaken_.push_back(r);
  held_[r.block] = {r.subscriber, r.time, r.reason};
  resting_.erase(r.block);
}

void State::released(const Record& r) {
  const auto former = std::ranges::find(overtaken_, r.block, &Record::block);
  if (former != overtaken_.end()) {
    overtaken_.erase(former);
    return;
  }
  if (range_of_block(r.block) == nullptr) return fault(r, fmt::format("block {} is in no range", r.block));
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
        mappings_[key(n.binding)] = {
            n.binding, r.time,
            n.lifetime == 0 ? 0 : r.time + 1000 * std::min<uint64_t>(n.lifetime, UINT32_MAX)};
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
        if (!subscribers_.emplace(n.number, n).second)
          fault(r, fmt::format("subscriber {} is defined twice", n.number));
      });
    case Type::held:
      return note<Held>(r,
                        [&](const Held& n) { held_[n.block] = {n.subscriber, time_of(n.since), n.reason}; });
    case Type::resting:
      return note<Resting>(r, [&](const Resting& n) { resting_[n.block] = time_of(n.since); });
    case Type::mapping_held:
      return note<MappingHeld>(r, [&](const MappingHeld& n) {
        mappings_[key(n.binding)] = {n.binding, time_of(n.since), n.ends == 0 ? 0 : time_of(n.ends)};
      });
    case Type::checkpoint_end:
      return note<CheckpointEnd>(r, [&](const CheckpointEnd& n) { end_checkpoint(r, n); });
    case Type::clock:
      return note<ClockNote>(r, [&](const ClockNote& n) { clock_ahead_ = n.ahead; });
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

void State::add_range(const Record& r, const AddressRange& range) {
  const auto overlaps = [&](const AddressRange& o) {
    const uint64_t a = range.first_address.value(), b = o.first_address.value();
    return (range.first_block < o.first_block + o.blocks() &&
            o.first_block < range.first_block + range.blocks()) ||
           (a < b + o.addresses && b < a + range.addresses);
  };
  // Ranges are few: one for each prefix of a pool.
  if (std::ranges::any_of(ranges_, [&](const auto& o) { return overlaps(o.second); }))
    return fault(r, fmt::format("the range of {} overlaps another", range.first_address.text()));
  ranges_.emplace(range.first_block, range);
  ranges_by_address_.emplace(range.first_address.value(), range.first_block);
}

void State::end_checkpoint(const Record& r, const CheckpointEnd& end) {
  checked_ = end.held == held_.size() && end.resting == resting_.size() && end.mappings == mappings_.size();
  if (!checked_)
    fault(r,
          fmt::format("the checkpoint has {} blocks held, {} resting and {} mappings, and says {}, {} and {}",
                      held_.size(), resting_.size(), mappings_.size(), end.held, end.resting, end.mappings));
}

}  // namespace culvert::logging::ledger
