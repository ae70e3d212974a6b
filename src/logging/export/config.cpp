#include "logging/export/config.h"

#include "logging/export/message_template.h"
#include "net/address.h"

namespace culvert::logging {
namespace {

bool printable(const std::string& text) {
  for (const char c : text)
    if (c <= ' ' || c >= 0x7f) return false;
  return true;
}

std::optional<ExportFault> syslog_fault(const ExportConfig& c) {
  if (c.facility > 23) return ExportFault{"facility", "is a number from 0 to 23 (RFC 5424 section 6.2.1)"};
  // With the longest of all fields, structured data still fits the smallest packet.
  if (c.hostname.size() > 128 || !printable(c.hostname))
    return ExportFault{"hostname", "has 128 printable characters at most, without spaces"};
  if (c.format == ExportConfig::Format::custom) {
    const auto parsed = MessageTemplate::parse(c.message_template);
    if (const auto* wrong = std::get_if<std::string>(&parsed)) return ExportFault{"template", *wrong};
  } else if (!c.message_template.empty()) {
    return ExportFault{"template", "is for format: template"};
  }
  return std::nullopt;
}

std::optional<ExportFault> tls_fault(const ExportConfig& c) {
  const bool tls = c.transport == ExportConfig::Transport::tls;
  if (!tls && !(c.ca_file + c.server_name + c.certificate_file + c.private_key_file).empty())
    return ExportFault{"tls", "is for transport: tls"};
  if (tls && c.ca_file.empty())
    return ExportFault{"ca-file", "is missing: who may have signed the collector's certificate"};
  if (c.certificate_file.empty() != c.private_key_file.empty())
    return ExportFault{c.certificate_file.empty() ? "certificate-file" : "private-key-file",
                       "is missing: a certificate and its key belong together"};
  return std::nullopt;
}

}  // namespace

std::optional<ExportFault> fault_of(const ExportConfig& c) {
  if (!net::Ipv4Address::parse(c.address) && !net::Ipv6Address::parse(c.address))
    return ExportFault{"collector", "is an address and a port, like 192.0.2.5:514 or [2001:db8::5]:6514"};
  if (c.port == 0) return ExportFault{"collector", "has no port"};
  if (c.max_packet_size < 1024 || c.max_packet_size > 65'000)
    return ExportFault{"max-packet-size", "is a number of bytes from 1024 to 65000"};
  if (c.overlap > 64u << 20) return ExportFault{"overlap", "is 67108864 bytes at most"};
  if (c.template_refresh_packet == 0 || c.template_refresh_timeout == 0)
    return ExportFault{
        c.template_refresh_packet == 0 ? "template-refresh-packet" : "template-refresh-timeout",
        "is 1 at least"};
  if (c.protocol == ExportConfig::Protocol::syslog)
    if (const auto fault = syslog_fault(c)) return fault;
  return tls_fault(c);
}

}  // namespace culvert::logging
