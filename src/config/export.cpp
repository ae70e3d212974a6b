#include "config/export.h"

#include <algorithm>
#include <charconv>

#include "config/set.h"

namespace culvert::config {
namespace {

using logging::ExportConfig;

/// A choice, from its word.
template <typename Enum, size_t n>
void choose(Enum& field, const std::array<std::string_view, n>& words, const Record& r,
            std::string_view key) {
  const auto word = std::ranges::find(words, r.get<std::string>(key).value_or(""));
  if (word != words.end()) field = static_cast<Enum>(word - words.begin());
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
  choose(c.protocol, c.kProtocols, r, "protocol");
  choose(c.transport, c.kTransports, r, "transport");
  choose(c.format, c.kFormats, r, "format");
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
