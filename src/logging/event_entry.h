/// An event as it leaves its ring, told as an Entry: for who has no ledger to read, as `culvert replay`.
///
/// A function of values; any thread.
#pragma once

#include <string>

#include "logging/entry.h"
#include "logging/event.h"

namespace culvert::logging {

/// `instance`, `carriage`: of the pool of the event's external address, which the event does not say.
Entry entry_of(const Event& event, std::string instance, Entry::Carriage carriage);

}  // namespace culvert::logging
