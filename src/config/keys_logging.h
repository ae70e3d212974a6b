/// The part of the table of keys below `logging`. Only keys.cpp uses it; everybody else goes from the root.
#pragma once

#include "config/keys.h"

namespace culvert::config::logging_keys {

extern const Section logging_section;
extern const Section retention_section;
extern const Section export_section;
extern const Section tls_section;

}  // namespace culvert::config::logging_keys
