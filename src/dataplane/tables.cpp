#include "dataplane/tables.h"

#include <algorithm>

namespace culvert::dataplane {

const SubscriberRule* Tables::rule_for(Carriage carriage, const net::Ipv6Address& source) const {
  switch (carriage) {
    case Carriage::nat44: {
      net::Ipv4Address v4;
      std::memcpy(static_cast<void*>(&v4), &source.bytes[12], 4);
      return subscribers_nat44.find(v4);
    }
    case Carriage::ds_lite:
      return subscribers_ds_lite.find(source);
    case Carriage::nat64:
      return subscribers_nat64.find(source);
  }
  return nullptr;
}

bool Tables::is_own(net::Ipv4Address a) const {
  return std::find(own_ipv4.begin(), own_ipv4.end(), a) != own_ipv4.end();
}

bool Tables::is_own(const net::Ipv6Address& a) const {
  return std::find(own_ipv6.begin(), own_ipv6.end(), a) != own_ipv6.end();
}

void Tables::mark_local(const net::Ipv4Prefix& p) {
  for (uint32_t i = p.first() >> 16; i <= p.last() >> 16; i++) local16_.set(i);
}

}  // namespace culvert::dataplane
