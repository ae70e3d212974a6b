/// The part of the table of keys below `instances`. Only keys.cpp uses it; everybody else goes from the root.
#pragma once

#include "config/keys.h"

namespace culvert::config::instance_keys {

extern const Section instance_section;
extern const Section match_section;
extern const Section pool_section;
extern const Section mapping_section;
extern const Section pass_through_section;
extern const Section mapping_limit_section;
extern const Section connection_limit_section;

}  // namespace culvert::config::instance_keys
