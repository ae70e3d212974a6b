#include "config/export.h"

#include <charconv>

namespace culvert::config {
namespace {

using logging::ExportConfig;

template <typename Field>
void set(Field& field, const Record& r, std::string_view key) {
  if constexpr (std::is_same_v<Field, bool> || std::is_same_v<Field, std::string>) {
    if (auto v = r.get<Field>(key)) field = std::move(*v);
  } else if (const auto v = r.get<uint64_t>(key)) {
    field = static_cast<Field>(*v);
  }
}

/// ADDRESS:PORT or [ADDRESS]:PORT, as the kind has checked it; nothing of "".
void set_collector(ExportConfig& c, const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return;
  c.address = text.substr(0, colon);
  if (c.address.starts_with('[')) c.address = c.address.substr(1, c.address.size() - 2);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), c.port);
}

}  // namespace

ExportConfig export_of(const Record& r, const std::string& ledger_directory) {
  ExportConfig c;
  set(c.name, r, "name");
  const auto protocol = r.get<std::string>("protocol"), transport = r.get<std::string>("transport"),
             format = r.get<std::string>("format");
  c.protocol = protocol == "ipfix"        ? ExportConfig::Protocol::ipfix
               : protocol == "netflow-v9" ? ExportConfig::Protocol::netflow_v9
                                          : ExportConfig::Protocol::syslog;
  c.transport = transport == "tcp"   ? ExportConfig::Transport::tcp
                : transport == "tls" ? ExportConfig::Transport::tls
                                     : ExportConfig::Transport::udp;
  c.format = format == "junos"         ? ExportConfig::Format::junos
             : format == "junos-short" ? ExportConfig::Format::junos_short
             : format == "template"    ? ExportConfig::Format::custom
                                       : ExportConfig::Format::culvert;
  set_collector(c, r.get<std::string>("collector").value_or(""));
  c.position_file = ledger_directory + "/" + c.name + ".position";
  set(c.max_packet_size, r, "max-packet-size");
  set(c.datagrams_per_second, r, "datagrams-per-second");
  set(c.overlap, r, "overlap");
  set(c.message_template, r, "template");
  set(c.hostname, r, "hostname");
  set(c.facility, r, "facility");
  set(c.structured_data, r, "structured-data");
  set(c.enterprise_number, r, "enterprise-number");
  set(c.observation_domain_id, r, "observation-domain-id");
  set(c.template_refresh_timeout, r, "template-refresh-timeout");
  set(c.template_refresh_packet, r, "template-refresh-packet");
  const Record tls = r.child("tls");
  set(c.ca_file, tls, "ca-file");
  set(c.server_name, tls, "server-name");
  set(c.certificate_file, tls, "certificate-file");
  set(c.private_key_file, tls, "private-key-file");
  return c;
}

}  // namespace culvert::config
