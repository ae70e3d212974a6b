/// From checked records to the Config. Called only when nothing was reported.
#pragma once

#include "config/config.h"
#include "config/reader.h"

namespace culvert::config {

/// Every field is set: from the file, from the table of keys, or worked out (capacity.external_addresses).
Config build(const Record& root, const std::string& file);

}  // namespace culvert::config
