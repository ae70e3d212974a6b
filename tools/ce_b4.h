/// The B4 element of DS-Lite (RFC 6333 §5): a home's IPv4 carried to the AFTR inside IPv6.
///
/// Theory of operation: one raw IPv6 socket for next header 4 (IPv4-in-IPv6, RFC 2473), bound to the B4's
/// address and connected to the AFTR's, so that the kernel delivers softwire packets from that AFTR only,
/// reassembled and without extension headers, and fragments what is too long for the way (RFC 6333 §5.3:
/// after encapsulation, never the inner packet). A B4 does no NAT: inner packets leave as the home sent them.
///
/// One thread; packets are whole IPv4 packets; nothing here keeps state about flows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ce_fd.h"
#include "net/address.h"

namespace culvert::tools {

/// What a B4 has carried and refused, for the line it prints at the end.
struct B4Counters {
  uint64_t sent = 0;            ///< inner packets sent to the AFTR
  uint64_t received = 0;        ///< inner packets received from it
  uint64_t not_ipv4 = 0;        ///< refused in either direction: version or length is not that of IPv4
  uint64_t send_failed = 0;     ///< no route to the AFTR, no buffer
  uint64_t deliver_failed = 0;  ///< the TUN device did not take the packet
  uint64_t congestion_drop =
      0;  ///< marked CE on the way though the inner packet cannot carry it (RFC 6040 §4.2)
};

class Softwire {
 public:
  /// Opens the softwire; throws std::system_error. With `encapsulation_limit` every packet carries the Tunnel
  /// Encapsulation Limit option (RFC 2473 §4.1.1) in a destination options header, as Linux's own B4 does
  /// unless told otherwise.
  Softwire(const net::Ipv6Address& local, const net::Ipv6Address& remote,
           std::optional<uint8_t> encapsulation_limit);

  int fd() const { return fd_.get(); }

  /// Encapsulates and sends one IPv4 packet; the outer DSCP is the inner one's, the outer ECN field is
  /// not-ECT (RFC 6040 compatibility mode: right whether the AFTR knows about ECN or not).
  void send(std::span<const std::byte> inner, B4Counters& counters) const;

  /// The next inner packet, decapsulated into `buffer`; nothing when there is none now. A congestion mark of
  /// the outer header is carried over (RFC 6040 §4.2).
  std::optional<std::span<std::byte>> receive(std::span<std::byte> buffer, B4Counters& counters) const;

 private:
  FileDescriptor fd_;
};

/// Whether these bytes begin as an IPv4 packet whose header and total length fit in them.
bool is_ipv4_packet(std::span<const std::byte> packet);

/// Carries packets between the softwire and a TUN device's descriptor until SIGTERM or SIGINT arrives on
/// `signal_fd` (a signalfd).
B4Counters run_b4(const Softwire& softwire, int tun_fd, int signal_fd);

}  // namespace culvert::tools
