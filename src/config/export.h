/// An export (logging/export/config.h) of an entry of `exports`.
#pragma once

#include <string>

#include "config/reader.h"
#include "logging/export/config.h"

namespace culvert::config {

/// `entry` may lack what was wrong. The position is kept beside the ledger.
logging::ExportConfig export_of(const Record& entry, const std::string& ledger_directory);

}  // namespace culvert::config
