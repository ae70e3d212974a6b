#include "logging/ledger/seal_input.h"

#include <algorithm>
#include <stdexcept>

#include "logging/ledger/named.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/sealed_dictionary.h"
#include "logging/ledger/sealed_page_writer.h"
#include "logging/ledger/state.h"

namespace culvert::logging::ledger {
namespace {

/// Takes the records of a live segment one by one.
class Collector {
 public:
  explicit Collector(SealInput& input, uint64_t opened)
      : input_(input), state_(opened), tie_time_(opened), opened_(opened) {}

  State& state() { return state_; }

  void take(const Record& r) {
    // As State takes it: by what is defined so far.
    state_.apply(r);
    input_.header.ended = r.time;
    if (r.time != tie_time_) tie_ = 0;
    tie_time_ = r.time;
    if (r.event()) {
      in_checkpoint_ = false;
      event(r);
      tie_++;
    } else {
      if (r.type == Type::checkpoint_end) in_checkpoint_ = false;
      note(r);
    }
  }

  void damaged(const Damage& d) {
    // What a crash cut off was nowhere on record.
    if (d.at_end) return;
    state_.miss();
    if (d.after != tie_time_) tie_ = 0;
    tie_time_ = d.after;
    const DamageNote n{.events = d.events, .bytes = d.bytes};
    keep({.type = DamageNote::kType, .time = d.after}, encode(n));
    input_.header.lost += d.events;
  }

  /// Numbers the subscribers as the dictionary has them.
  void finish() {
    state_.finish();
    std::vector<SubscriberNote>& all = input_.subscribers;
    state_.subscribers().for_each([&](const SubscriberNote& s) { all.push_back(s); });
    if (unknown_) all.push_back({.length = 0});
    std::ranges::sort(all, {}, dictionary_key);
    const auto same = [](const auto& a, const auto& b) { return dictionary_key(a) == dictionary_key(b); };
    all.erase(std::unique(all.begin(), all.end(), same), all.end());
    for (size_t i = 0; i < all.size(); i++) all[i].number = i;
    state_.subscribers().for_each([&](const SubscriberNote& s) {
      const auto found = std::ranges::lower_bound(all, dictionary_key(s), {}, dictionary_key);
      input_.numbers[s.number] = static_cast<uint32_t>(found - all.begin());
    });
  }

 private:
  SealInput::Place& place(net::Ipv4Address a) {
    const auto [found, fresh] = input_.places.try_emplace(a.value());
    SealInput::Place& p = found->second;
    // A range can come after the first mapping on one of its addresses.
    if (!p.blocks)
      if (const AddressRange* range = state_.range_of(a)) p.blocks = blocks_on(*range, a);
    return p;
  }
  /// Where a record belongs; nullptr: to no address.
  SealInput::Place* place_of(const Record& r) {
    if (r.kind != Record::Kind::typed) {
      const AddressRange* range = state_.range_of_block(r.block);
      return range == nullptr ? nullptr : &place(range->address_of(r.block));
    }
    const auto n = named(r);
    return n && n->placed ? &place(n->external) : nullptr;
  }
  PageRecord compact_here(const Record& r) const {
    PageRecord p = compact(r, r.event() ? tie_ : 0);
    if (r.kind == Record::Kind::typed) p.block = static_cast<uint64_t>(r.body.data() - input_.live.data());
    return p;
  }
  /// Remembers whether somebody is named who is not defined. Who is defined later is not known now.
  void name(const Record& r) {
    const auto n = named(r);
    unknown_ = unknown_ || (n && !state_.subscribers().contains(n->subscriber));
  }

  void event(const Record& r) {
    name(r);
    input_.header.events++;
    const auto index = static_cast<uint32_t>(input_.records.size());
    input_.records.push_back(compact_here(r));
    if (SealInput::Place* p = place_of(r)) {
      p->records.push_back(index);
      p->weight += PageWriter::weight(r);
    } else {
      input_.loose.push_back(index);
    }
  }

  void note(const Record& r) {
    if (r.type == Type::clock) {
      const int64_t ahead = state_.clock_ahead();
      input_.header.clock_ahead_min = clocks_ ? std::min(input_.header.clock_ahead_min, ahead) : ahead;
      input_.header.clock_ahead_max = clocks_ ? std::max(input_.header.clock_ahead_max, ahead) : ahead;
      clocks_ = true;
    }
    if (r.type == Type::subscriber) {
      if (state_.subscribers().size() > kMaxCarried) throw std::runtime_error("has too many subscribers");
      return;
    }
    if (r.type == DamageNote::kType) return;  // only sealing says so
    if (r.type == Type::held || r.type == Type::resting || r.type == Type::mapping_held) return carry(r);
    keep(r, std::string(r.body));
  }

  void carry(const Record& r) {
    if (!in_checkpoint_) {
      if (state_.on_fault) state_.on_fault(r, "a record of the checkpoint stands behind it, and is left out");
      return;
    }
    const auto carried = carried_record(r, opened_);
    SealInput::Place* p = carried ? place_of(*carried) : nullptr;
    if (p == nullptr) return;  // State has told why
    if (++carried_ > kMaxCarried) throw std::runtime_error("has too long a checkpoint");
    name(*carried);
    p->carried.push_back(compact_here(*carried));
    p->weight += PageWriter::weight(*carried);
  }

  void keep(Record r, std::string body) {
    if (input_.notes.size() == kMaxNotes) throw std::runtime_error("has too many notes");
    r.body = {};
    r.worker = 0;
    input_.notes.push_back({r, std::move(body), tie_});
  }

  SealInput& input_;
  State state_;
  bool in_checkpoint_ = true, unknown_ = false, clocks_ = false;
  uint32_t tie_ = 0;  ///< events at tie_time_ so far
  uint64_t tie_time_, opened_;
  size_t carried_ = 0;
};

}  // namespace

Record SealInput::sealed(const PageRecord& p, std::string& body) const {
  Record r = expand(p, live);
  const auto number_of = [&](uint64_t number) -> uint64_t {
    const auto found = numbers.find(number);
    // Nobody knows who he was: ::/0 of instance 0, the first of the dictionary.
    return found == numbers.end() ? 0 : found->second;
  };
  if (r.kind == Record::Kind::allocated) {
    r.subscriber = number_of(r.subscriber);
  } else if (r.kind == Record::Kind::typed && names_subscriber(r.type)) {
    ByteReader in(r.body);
    const uint64_t number = in.varint();
    if (!in.good()) return r;
    body.clear();
    ByteWriter out(body);
    out.varint(number_of(number));
    out.bytes(in.bytes(in.left()));
    r.body = body;
  }
  return r;
}

SealInput read_live(std::string_view live, uint64_t end, const std::function<void(const Damage&)>& on_damage,
                    const std::function<void(const Record&, const std::string&)>& on_fault) {
  LiveReader reader(live);
  if (!reader.header()) throw std::runtime_error(reader.fault());
  SealInput input;
  input.live = live;
  input.header.serial = reader.header()->serial;
  input.header.opened = input.header.ended = reader.header()->opened;
  input.header.first_ordinal = reader.header()->first_ordinal;
  Collector collector(input, input.header.opened);
  collector.state().on_fault = on_fault;
  reader.on_damage = [&](Damage d) {
    d.events = std::min(d.events, end - std::min(end, d.first_ordinal));
    collector.damaged(d);
    if (on_damage) on_damage(d);
  };
  while (reader.next()) {
    const Record& r = reader.record();
    if (r.event() && r.ordinal >= end) break;
    collector.take(r);
  }
  collector.finish();
  input.header.events += input.header.lost;
  return input;
}

}  // namespace culvert::logging::ledger
