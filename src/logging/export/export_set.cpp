#include "logging/export/export_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
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
  exporters_ = std::move(next);
  for (size_t i = 0; i < configs.size(); i++) {
    if (exporters_[i]) continue;
    try {
      exporters_[i] = std::make_unique<Exporter>(
          configs[i], std::make_unique<LedgerSource>(directory_, &synced_), complain_);
    } catch (const std::exception& e) {  // no descriptors or threads are left
      complain_(fmt::format("export {}: cannot start: {}; a reload tries again", configs[i].name, e.what()));
    }
  }
  std::erase(exporters_, nullptr);
}

}  // namespace culvert::logging
