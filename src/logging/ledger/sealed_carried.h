/// What holds on an address at some time, as the records that a page of a sealed segment carries: so that the
/// page need not be read together with those before it.
///
/// Functions of values; any thread.
#pragma once

#include <functional>

#include "logging/ledger/state.h"

namespace culvert::logging::ledger {

/// A State with the blocks of one address, to follow its records.
State state_of(uint64_t opened, const std::optional<AddressRange>& blocks);
/// Lets the state take a carried record. `opened`: the segment's.
void apply_carried(State& state, const Record& carried, uint64_t opened);
/// All that a state holds, as carried records: resting blocks by number, then held ones, then explicit
/// mappings. `opened`: the segment's. A record is good during the call.
void for_each_carried(const State& state, uint64_t opened, const std::function<void(const Record&)>& take);

/// The record of a live segment's checkpoint that says what a carried one says. Its body is put into `body`.
Record checkpoint_record(const Record& carried, uint64_t opened, std::string& body);
/// The other way round; nullopt where the record is none of the kind, or says what cannot be. A mapping_held
/// stays as it is.
std::optional<Record> carried_record(const Record& checkpoint, uint64_t opened);

}  // namespace culvert::logging::ledger
