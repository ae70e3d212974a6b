/// Two workers of a box or more at once, each in a thread on a CPU of its own. They go through their windows
/// in step: each fills its own, untimed; all begin together; timed is until every worker has sent what it
/// received and what others handed over to it. So all of them work all of the timed time, and how long they
/// take to make frames does not matter.
#pragma once

#include <vector>

#include "box.h"

namespace culvert::bench {

/// Sends at least `packets` packets through a port, those of fills[i] received by worker i, which runs on
/// cpus[i]; worker 0 is this thread, which must be there already. An empty Fill: this worker receives
/// nothing, but what is handed over. Throws when a packet is dropped.
Tally send_at_once(Box& box, uint16_t port, const std::vector<Fill>& fills, const std::vector<int>& cpus,
                   uint64_t packets);

}  // namespace culvert::bench
