#include "logging/ledger/sealed_carried.h"

#include <algorithm>
#include <vector>

namespace culvert::logging::ledger {
namespace {

int64_t since(uint64_t time, uint64_t opened) {
  return static_cast<int64_t>(time) - static_cast<int64_t>(opened);
}

}  // namespace

State state_of(uint64_t opened, const std::optional<AddressRange>& blocks) {
  State state(opened);
  if (!blocks) return state;
  const std::string body = encode(*blocks);
  state.apply({.type = AddressRange::kType, .time = opened, .body = body});
  return state;
}

void apply_carried(State& state, const Record& carried, uint64_t opened) {
  std::string body;
  state.apply(checkpoint_record(carried, opened, body));
}

Record checkpoint_record(const Record& carried, uint64_t opened, std::string& body) {
  Record r{.time = opened};
  switch (carried.kind) {
    case Record::Kind::allocated:
      r.type = Held::kType;
      body = encode(Held{carried.block, carried.subscriber, since(carried.time, opened), carried.reason});
      break;
    case Record::Kind::released:
      r.type = Resting::kType;
      body = encode(Resting{carried.block, since(carried.time, opened)});
      break;
    case Record::Kind::typed:
      r.type = carried.type;
      body = carried.body;
  }
  r.body = body;
  return r;
}

std::optional<Record> carried_record(const Record& r, uint64_t opened) {
  // As State takes them.
  const auto time_of = [&](int64_t since) {
    return static_cast<uint64_t>(std::clamp<int64_t>(static_cast<int64_t>(opened) + since, 0, kMaxTime - 1));
  };
  if (r.kind != Record::Kind::typed) return std::nullopt;
  if (r.type == Type::held) {
    if (const auto n = decode<Held>(r.body))
      return Record{.kind = Record::Kind::allocated,
                    .reason = n->reason,
                    .time = time_of(n->since),
                    .block = n->block,
                    .subscriber = n->subscriber};
  } else if (r.type == Type::resting) {
    if (const auto n = decode<Resting>(r.body))
      return Record{.kind = Record::Kind::released, .time = time_of(n->since), .block = n->block};
  } else if (r.type == Type::mapping_held && decode<MappingHeld>(r.body)) {
    return r;
  }
  return std::nullopt;
}

void for_each_carried(const State& state, uint64_t opened, const std::function<void(const Record&)>& take) {
  for (const auto& [block, released] : sorted(state.resting()))
    take({.kind = Record::Kind::released, .time = released, .block = block});
  for (const auto& [block, h] : sorted(state.held())) {
    take({.kind = Record::Kind::allocated,
          .reason = h.reason,
          .time = h.since,
          .block = block,
          .subscriber = h.subscriber});
  }
  for (const auto& [endpoint, m] : state.mappings()) {
    // One that ends as it begins does not last for ever.
    const uint64_t lifetime = m.ends == 0 ? 0 : std::max<uint64_t>(1, m.ends - m.since);
    const std::string body = encode(MappingHeld{m.binding, since(m.since, opened), lifetime});
    take({.type = Type::mapping_held, .time = opened, .body = body});
  }
}

}  // namespace culvert::logging::ledger
