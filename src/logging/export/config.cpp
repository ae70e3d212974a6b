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
  if (c.facility > 23)
    return ExportFault{"facility", "is out of range", "there are 24 of them (RFC 5424 section 6.2.1)",
                       "use a number from 0 to 23"};
  // With the longest of all fields, structured data still fits the smallest packet.
  if (c.hostname.size() > 128 || !printable(c.hostname))
    return ExportFault{"hostname", "is no name of a host", "it has printable ASCII characters without spaces",
                       "use 128 of them at most"};
  if (c.format == ExportConfig::Format::custom) {
    const auto parsed = MessageTemplate::parse(c.message_template);
    if (const auto* wrong = std::get_if<std::string>(&parsed))
      return ExportFault{"template", *wrong, "its fields are those of docs/exports.md",
                         "write for example template: \"{time} {event} {subscriber} {external}:{ports}\""};
  } else if (!c.message_template.empty()) {
    return ExportFault{"template", "is for format: template", "each format has its own text",
                       "add format: template, or leave it out"};
  }
  return std::nullopt;
}

std::optional<ExportFault> tls_fault(const ExportConfig& c) {
  const bool tls = c.transport == ExportConfig::Transport::tls;
  if (!tls && !(c.ca_file + c.server_name + c.certificate_file + c.private_key_file).empty())
    return ExportFault{"tls", "is for transport: tls", "nothing else has certificates",
                       "add transport: tls, or leave it out"};
  if (tls && c.ca_file.empty())
    return ExportFault{"ca-file", "is missing",
                       "without it anybody could be the collector (RFC 5425 section 4.2.1)",
                       "name the PEM file of who signed the collector's certificate as tls: ca-file"};
  if (c.certificate_file.empty() != c.private_key_file.empty())
    return ExportFault{c.certificate_file.empty() ? "certificate-file" : "private-key-file", "is missing",
                       "a certificate and its key belong together", "name both, or neither"};
  return std::nullopt;
}

}  // namespace

std::string ExportConfig::collector() const {
  const bool ipv6 = address.find(':') != std::string::npos;
  return (ipv6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::optional<ExportFault> fault_of(const ExportConfig& c) {
  const std::string example = "write for example 192.0.2.5:514 or \"[2001:db8::5]:6514\"";
  if (!net::Ipv4Address::parse(c.address) && !net::Ipv6Address::parse(c.address))
    return ExportFault{"collector", "has no address", "no name is looked up while exporting", example};
  if (c.port == 0) return ExportFault{"collector", "has no port", "nobody listens on port 0", example};
  if (c.max_packet_size < 1024 || c.max_packet_size > 65'000)
    return ExportFault{"max-packet-size", "is out of range", "the longest record must fit, and a datagram",
                       "use a number of bytes from 1024 to 65000"};
  if (c.overlap > 64u << 20)
    return ExportFault{"overlap", "is out of range", "no socket has so large a buffer",
                       "use 67108864 bytes at most"};
  if (c.template_refresh_packet == 0 || c.template_refresh_timeout == 0)
    return ExportFault{
        c.template_refresh_packet == 0 ? "template-refresh-packet" : "template-refresh-timeout", "is 0",
        "a collector that starts later needs the templates, too (RFC 7011 section 8.4)", "use 1 or more"};
  if (c.protocol == ExportConfig::Protocol::syslog)
    if (auto fault = syslog_fault(c)) return fault;
  return tls_fault(c);
}

}  // namespace culvert::logging
