#include "logging/export/export_set.h"

#include <algorithm>
#include <utility>

#include "logging/export/ledger_source.h"

namespace culvert::logging {

void ExportSet::stop(Exporters& exporters) {
  for (const auto& e : exporters)
    if (e) e->stop();
  exporters.clear();
}

void ExportSet::apply(const std::vector<ExportConfig>& configs) {
  Exporters next(configs.size());
  for (size_t i = 0; i < configs.size(); i++) {
    const auto same =
        std::ranges::find_if(exporters_, [&](const auto& e) { return e && e->config() == configs[i]; });
    if (same != exporters_.end()) next[i] = std::move(*same);
  }
  // One of the same name has its position written before the new one reads it.
  stop(exporters_);
  for (size_t i = 0; i < configs.size(); i++)
    if (!next[i])
      next[i] = std::make_unique<Exporter>(configs[i], std::make_unique<LedgerSource>(directory_, &synced_),
                                           complain_);
  exporters_ = std::move(next);
}

}  // namespace culvert::logging
