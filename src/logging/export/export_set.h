/// The exports of a configuration over one ledger, each with its Exporter.
///
/// Belongs to one thread; the exporters' counters are for all (ExportStats).
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "logging/export/exporter.h"

namespace culvert::logging {

class ExportSet {
 public:
  /// `directory`: the ledger's. `synced`: the ordinal that its next event will have; those below are on the
  /// disk. It outlives this. `complain`: as an Exporter's; called from the threads of all of them.
  ExportSet(std::filesystem::path directory, const std::atomic<uint64_t>& synced, Exporter::Complain complain)
      : directory_(std::move(directory)), synced_(synced), complain_(std::move(complain)) {}
  /// All end within a second.
  ~ExportSet() { stop(exporters_); }
  ExportSet(const ExportSet&) = delete;
  ExportSet& operator=(const ExportSet&) = delete;

  /// From here on these run. Those that are as they were go on undisturbed; others end, within a second, and
  /// the new ones go on from the positions that are remembered for their names. One that cannot start is
  /// complained about, and left out.
  void apply(const std::vector<ExportConfig>& configs);

  /// In the order of the configuration.
  const std::vector<std::unique_ptr<Exporter>>& exporters() const { return exporters_; }

 private:
  using Exporters = std::vector<std::unique_ptr<Exporter>>;
  static void stop(Exporters& exporters);

  std::filesystem::path directory_;
  const std::atomic<uint64_t>& synced_;
  Exporter::Complain complain_;
  Exporters exporters_;
};

}  // namespace culvert::logging
