/// The differences by which a mapping moves the checksums of its packets, found out once, when it is made.
#pragma once

#include "dataplane/mapping.h"
#include "net/checksum.h"

namespace culvert::dataplane::carriage {

/// Fills in Mapping::transport_delta and address_delta from the mapping's endpoints.
inline void set_deltas(Mapping& m, Carriage carriage) {
  net::Sum transport;
  transport.add(m.external_port).subtract(m.internal.port);
  const bool pseudo_header = m.internal.protocol != Protocol::icmp;
  if (carriage == Carriage::nat64) {
    transport.subtract(m.internal.ipv6);
    if (pseudo_header) transport.add(m.external_address);
  } else {
    net::Sum address;
    address.add(m.external_address).subtract(m.internal.ipv4);
    m.address_delta = address.folded();
    if (pseudo_header) transport.add(address);
  }
  m.transport_delta = transport.folded();
}

}  // namespace culvert::dataplane::carriage
