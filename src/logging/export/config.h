/// What one export is to do: who gets the ledger's events, how, and in which words. docs/exports.md tells
/// operators the same.
///
/// A value; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culvert::logging {

struct ExportConfig {
  enum class Protocol : uint8_t {
    syslog,      ///< RFC 5424
    ipfix,       ///< RFC 7011, with the NAT events of RFC 8158
    netflow_v9,  ///< RFC 3954, with the same elements
  };
  enum class Transport : uint8_t {
    udp,  ///< RFC 5426 for syslog
    tcp,  ///< octet counting for syslog (RFC 6587 §3.4.1)
    tls,  ///< over TCP; RFC 5425 for syslog
  };
  /// The text of a syslog message.
  enum class Format : uint8_t {
    culvert,      ///< the line of `culvert log show`
    junos,        ///< the line that Juniper's CGN writes
    junos_short,  ///< the same, shortened to what a legal demand needs
    custom,       ///< `message_template`
  };

  std::string name;  ///< unique among the exports: log lines, metrics and the position's file have it
  Protocol protocol = Protocol::syslog;
  Transport transport = Transport::udp;
  std::string address;  ///< of the collector: IPv4 or IPv6, no name: nothing is looked up while exporting
  uint16_t port = 0;
  std::string position_file;  ///< where the export remembers how far it is (position_file.h)

  /// UDP: bytes of a datagram's payload at most. 1400 fit a path of 1500 with any tunnel on the way.
  uint32_t max_packet_size = 1400;
  /// UDP: a collector's socket buffer is small, and nobody hears of what it had no room for. 0: no limit.
  uint32_t datagrams_per_second = 20'000;
  /// TCP and TLS: bytes that the collector's kernel may have acknowledged and the collector not read: they
  /// are sent again after a connection broke. The default is more than the largest receive buffer of a Linux
  /// that was not tuned (tcp_rmem, 6 MiB).
  uint32_t overlap = 8u << 20;

  // syslog
  Format format = Format::culvert;
  std::string message_template;  ///< of Format::custom (message_template.h)
  std::string hostname;          ///< HOSTNAME of the header; empty: the machine's
  uint8_t facility = 16;         ///< 0 to 23; 16: local0
  bool structured_data = true;   ///< meta and culvert@... elements; without, nothing tells repeated events
  uint32_t enterprise_number = 32473;  ///< in the element's name; the default is for documentation (RFC 5612)

  // ipfix, netflow_v9
  uint32_t observation_domain_id = 1;      ///< NetFlow v9: Source ID
  uint32_t template_refresh_timeout = 60;  ///< UDP: templates are sent again after so many seconds
  uint32_t template_refresh_packet = 500;  ///< UDP: or so many messages

  // tls
  std::string ca_file;           ///< PEM: who may have signed the collector's certificate
  std::string server_name;       ///< that the certificate must have; empty: `address`
  std::string certificate_file;  ///< PEM, with the chain: our own, if the collector wants one
  std::string private_key_file;  ///< PEM

  bool operator==(const ExportConfig&) const = default;

  // The words for them, in their order.
  static constexpr std::array<std::string_view, 3> kProtocols{"syslog", "ipfix", "netflow-v9"};
  static constexpr std::array<std::string_view, 3> kTransports{"udp", "tcp", "tls"};
  static constexpr std::array<std::string_view, 4> kFormats{"culvert", "junos", "junos-short", "template"};
  static constexpr std::string_view name_of(Protocol p) { return kProtocols[static_cast<size_t>(p)]; }
  static constexpr std::string_view name_of(Transport t) { return kTransports[static_cast<size_t>(t)]; }
  static constexpr std::string_view name_of(Format f) { return kFormats[static_cast<size_t>(f)]; }
  /// 192.0.2.5:514, [2001:db8::5]:6514
  std::string collector() const;
  bool datagrams() const { return transport == Transport::udp; }
};

/// What is wrong with a configuration: which key of docs/exports.md, what it is, the rule it breaks, and what
/// would be right.
struct ExportFault {
  std::string key, what, why, fix;
};
/// nullopt: nothing. Files are looked at only when they are used, and complained about then: a certificate
/// may come later than the configuration.
std::optional<ExportFault> fault_of(const ExportConfig& config);

}  // namespace culvert::logging
