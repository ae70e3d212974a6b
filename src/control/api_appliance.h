/// The operator's interface of a running appliance: `Api api(appliance.loop(), source_of(appliance));`
#pragma once

#include "control/api_source.h"

namespace culvert::control {

class Appliance;

/// What the control socket and the metrics show of an appliance, which outlives the result.
ApiSource source_of(Appliance& appliance);

}  // namespace culvert::control
