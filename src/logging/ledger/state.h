/// What holds at one point of the ledger: who has which block, what is defined, how far each worker's
/// sequence has come. It follows the records one by one, the recorder's own as it writes them, and a reader's
/// from a segment's checkpoint on; so a restart, sealing and `verify` know the same.
///
/// What a record says that cannot follow from those before it is told by on_fault, and taken as well as can
/// be. Two things hold whatever the records say: all blocks here are in a range, and all times below
/// kMaxTime; so a checkpoint can be made of any State.
///
/// Belongs to one thread.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "logging/ledger/live_reader.h"
#include "logging/ledger/notes.h"
#include "logging/ledger/number_map.h"
#include "logging/ledger/subscribers.h"
#include "logging/ledger/takeovers.h"

namespace culvert::logging::ledger {

class State {
 public:
  /// `opened`: the segment's, which times in its records are counted from.
  explicit State(uint64_t opened) : opened_(opened) {}

  /// A hint: a record of this block comes soon.
  void expect(uint64_t block) const {
    touch(held_, block);
    touch(resting_, block);
  }
  /// Takes the next record; its worker is below kMaxSources.
  void apply(const Record& r);
  /// Nothing was before: a ledger begins.
  void begin() { clock_past_ = ClockPast{}; }
  /// Events are missing here: what they said is not known.
  void miss() {
    complete_ = false;
    clock_past_.reset();
  }
  /// No record follows.
  void finish() { judge_takeovers(kMaxTime); }
  /// Told of records that cannot be: the record, and what is wrong.
  std::function<void(const Record&, const std::string&)> on_fault;

  struct Holder {
    uint64_t subscriber = 0;
    uint64_t since = 0;  ///< event clock
    uint8_t reason = 0;
    bool operator==(const Holder&) const = default;
  };
  /// An explicit one. Renewed, it is held since it was created first.
  struct Mapping {
    Binding binding;
    uint64_t since = 0, ends = 0;  ///< event clock; ends 0: never, else not before since
    /// In ms, as a record has it; 0: for ever, which one is not that ends as it begins.
    uint64_t lifetime() const { return ends == 0 ? 0 : std::max<uint64_t>(1, ends - since); }
    bool operator==(const Mapping&) const = default;
  };
  using Endpoint = std::tuple<uint32_t, uint16_t, uint8_t>;  ///< external address, port, protocol

  const NumberMap<Holder>& held() const { return held_; }
  /// Released blocks, and when: those of the checkpoint and since.
  const NumberMap<uint64_t>& resting() const { return resting_; }
  const std::map<Endpoint, Mapping>& mappings() const { return mappings_; }
  const std::map<uint64_t, InstanceNote>& instances() const { return instances_; }
  const Subscribers& subscribers() const { return subscribers_; }
  /// By the number of their first block.
  const std::map<uint64_t, AddressRange>& ranges() const { return ranges_; }
  const std::array<std::optional<Source>, kMaxSources>& sources() const { return sources_; }
  int64_t clock_ahead() const { return clock_ahead_; }
  /// What the system's clock did up to this time, which no record here is later than; nullopt: not known.
  /// Its time is that of the system's clock, no difference.
  std::optional<ClockPast> clock_past(uint64_t time) const;
  const std::optional<ConfigurationNote>& configuration() const { return configuration_; }
  /// A checkpoint-end that was right came by.
  bool checked() const { return checked_; }
  /// No event since was missing.
  bool complete() const { return complete_; }
  /// segment-end came by.
  bool ended() const { return ended_; }
  /// The run ended in order: culvertd-stopped came by, and nothing after it but the segment's end.
  bool stopped() const { return stopped_; }

  /// Leaves a range out that nobody holds blocks of, and what rests there.
  void forget_range(uint64_t first_block);

  const AddressRange* range_of_block(uint64_t block) const;
  const AddressRange* range_of(net::Ipv4Address a) const;

 private:
  template <typename Note, typename Take>
  void note(const Record& r, Take&& take);
  void set_clock(const Record& r, const ClockNote& n);
  void allocated(const Record& r);
  void released(const Record& r);
  void typed(const Record& r);
  void add_range(const Record& r, const AddressRange& range);
  void end_checkpoint(const Record& r, const CheckpointEnd& end);
  /// Tells of allocations over holders whose release did not come before `now`.
  void judge_takeovers(uint64_t now);
  void fault(const Record& r, const std::string& what) const {
    if (on_fault) on_fault(r, what);
  }
  /// Whether the block is in a range; a fault where it is in none.
  bool has_range(const Record& r, uint64_t block) const;
  uint64_t time_of(int64_t since) const {
    return static_cast<uint64_t>(std::clamp<int64_t>(static_cast<int64_t>(opened_) + since, 0, kMaxTime - 1));
  }
  /// When a lifetime ends, in ms; 0: never.
  static uint64_t end_of(uint64_t since, uint64_t lifetime) {
    return lifetime == 0 ? 0 : lifetime < kMaxTime - since ? since + lifetime : kMaxTime - 1;
  }

  uint64_t opened_;
  NumberMap<Holder> held_;
  NumberMap<uint64_t> resting_;
  std::map<Endpoint, Mapping> mappings_;
  std::map<uint64_t, InstanceNote> instances_;
  Subscribers subscribers_;
  std::map<uint64_t, AddressRange> ranges_;
  std::map<uint32_t, uint64_t> ranges_by_address_;  ///< first address → first block
  std::array<std::optional<Source>, kMaxSources> sources_{};
  int64_t clock_ahead_ = 0;
  /// Times are the system's. Of a ledger that begins it is known; of a segment when its checkpoint says so.
  std::optional<ClockPast> clock_past_;
  std::optional<ConfigurationNote> configuration_;
  bool checked_ = false, complete_ = true, ended_ = false, stopped_ = false;
  Takeovers<uint64_t, Record> takeovers_;  ///< the allocations
};

}  // namespace culvert::logging::ledger
