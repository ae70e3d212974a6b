#include <fmt/format.h>

#include <map>

#include "config/checks.h"
#include "config/export.h"

namespace culvert::config {
namespace {

using logging::ExportConfig;

bool syslog(const ExportConfig& c) { return c.protocol == ExportConfig::Protocol::syslog; }
bool flows(const ExportConfig& c) { return !syslog(c); }
bool udp(const ExportConfig& c) { return c.datagrams(); }

/// Keys that only some exports have a use for.
constexpr struct {
  std::string_view key;
  bool (*has_use)(const ExportConfig&);
  std::string_view of;
} kParticular[] = {
    {"max-packet-size", udp, "transport: udp"},
    {"datagrams-per-second", udp, "transport: udp"},
    {"overlap", [](const ExportConfig& c) { return !udp(c); }, "transport: tcp and tls"},
    {"format", syslog, "protocol: syslog"},
    {"template", syslog, "protocol: syslog"},
    {"hostname", syslog, "protocol: syslog"},
    {"facility", syslog, "protocol: syslog"},
    {"structured-data", syslog, "protocol: syslog"},
    {"enterprise-number", syslog, "protocol: syslog"},
    {"observation-domain-id", flows, "protocol: ipfix and netflow-v9"},
    {"template-refresh-timeout", [](const ExportConfig& c) { return flows(c) && udp(c); },
     "protocol: ipfix and netflow-v9 over udp"},
    {"template-refresh-packet", [](const ExportConfig& c) { return flows(c) && udp(c); },
     "protocol: ipfix and netflow-v9 over udp"},
};

/// Whether the values that a fault can come of are there: what is missing was complained about.
bool whole(const Record& entry) {
  for (const auto key : {"protocol", "collector"})
    if (entry.list(key).empty()) return false;
  for (const auto key : {"transport", "format", "template", "tls"})
    if (entry.wrote(key) && entry.list(key).empty() && entry.records(key).empty()) return false;
  for (const Record& tls : entry.records("tls")) {
    if (tls.list("ca-file").empty()) return false;
    for (const auto& [key, place] : tls.keys)
      if (tls.list(key).empty()) return false;
  }
  return true;
}

void check(const Record& entry, Report& report) {
  if (!whole(entry)) return;
  const ExportConfig c = export_of(entry, "");
  for (const auto& p : kParticular)
    if (entry.wrote(p.key) && !p.has_use(c))
      report.add(entry.key_place(p.key),
                 {fmt::format("{} is for {}", p.key, p.of), "this export has no use for it", "leave it out"});
  const auto fault = logging::fault_of(c);
  if (!fault) return;
  const Record tls = entry.child("tls");
  const bool in_tls = tls.section->find(fault->key) != nullptr;
  report.add(in_tls ? tls.key_place(fault->key) : entry.value_place(fault->key),
             {fmt::format("{} {}", fault->key, fault->what), fault->why, fault->fix});
}

}  // namespace

void check_exports(const Record& root, Report& report) {
  std::map<std::string, Place> names;
  const Record logging = root.child("logging");
  for (const Record& entry : logging.records("exports")) {
    check(entry, report);
    const auto name = entry.get<std::string>("name");
    if (!name) continue;
    const Place place = entry.value_place("name");
    const auto [first, fresh] = names.try_emplace(*name, place);
    if (!fresh)
      report.add(place, {fmt::format("name {} is taken", quoted(*name)),
                         fmt::format("the export on {} has it, and its position", line_of(first->second)),
                         "give each export a name of its own"});
  }
}

}  // namespace culvert::config
