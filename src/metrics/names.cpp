#include "metrics/names.h"

#include <fmt/format.h>

#include "dataplane/drop_reason.h"

namespace culvert::metrics {
namespace {

/// "worker,reason" as "`worker` `reason`".
std::string labels_as_code(std::string_view labels) {
  std::string out;
  while (!labels.empty()) {
    const size_t comma = labels.find(',');
    out += fmt::format("{}`{}`", out.empty() ? "" : " ", labels.substr(0, comma));
    labels.remove_prefix(comma == labels.npos ? labels.size() : comma + 1);
  }
  return out;
}

}  // namespace

std::string metric_reference() {
  std::string out = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricInfo& m : kMetrics) {
    out += fmt::format("| `{}` | {} | {} | {} |\n", m.name, m.type == Type::counter ? "counter" : "gauge",
                       labels_as_code(m.labels), m.help);
  }
  return out;
}

std::string drop_reference() {
  std::string out = "| reason | meaning |\n|---|---|\n";
  for (const auto& r : dataplane::kDropReasons) out += fmt::format("| `{}` | {} |\n", r.name, r.help);
  return out;
}

}  // namespace culvert::metrics
