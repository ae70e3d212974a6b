/// A made-up history of a ledger, as the bytes of a live segment.
#pragma once

#include <rapidcheck.h>

#include <set>
#include <string>

#include "logging/ledger/batch_writer.h"
#include "logging/ledger/notes.h"

namespace culvert::test {

inline constexpr logging::ledger::LiveHeader kFirst{
    .serial = 1, .opened = 1'700'000'000'000, .first_ordinal = 1};

/// A segment with a random history: within a property of RapidCheck.
inline std::string random_segment() {
  using namespace logging::ledger;
  BatchWriter out(kFirst);
  uint64_t now = kFirst.opened;
  const auto note = [&](const auto& n) { out.add(now, 0, n.kType, encode(n)); };
  note(InstanceNote{.number = 1, .name = "homes"});
  note(Source{.worker = 1, .epoch = 5, .next = 77});
  note(ClockNote{-12});
  const auto ranges = *rc::gen::inRange(1u, 4u);
  for (uint32_t i = 0; i < ranges; i++)
    note(AddressRange{.first_block = 1000 * i,
                      .instance = 1,
                      .first_address = net::Ipv4Address(0xc0000200 + 16 * i),
                      .addresses = 3,
                      .first_port = 1024,
                      .set_size = 512,
                      .sets = 10});
  for (uint64_t i = 0; i < 6; i++)
    note(SubscriberNote{.number = i,
                        .instance = 1,
                        .prefix = net::Ipv6Address::from_halves(0x20010db8'00000000 + (i << 8), 0),
                        .length = 56});
  std::set<uint64_t> held;
  std::string bytes = encode(kFirst);
  const auto steps = *rc::gen::inRange(0, 80);
  for (int i = 0; i < steps; i++) {
    now += *rc::gen::inRange(0u, 3000u);
    const uint64_t block = 1000 * *rc::gen::inRange(0u, ranges) + *rc::gen::inRange(0u, 30u);
    // Subscribers 6 and 7 are undefined: their records were damaged.
    const auto who = *rc::gen::inRange(0u, 8u);
    if (*rc::gen::inRange(0, 8) == 0)
      note(MappingCreated{.binding = {.subscriber = who,
                                      .external = net::Ipv4Address(0xc0000200),
                                      .port = *rc::gen::inRange<uint16_t>(1, 9),
                                      .protocol = 6,
                                      .origin = Binding::Origin::pcp_map},
                          .lifetime = *rc::gen::inRange(0u, 100u),
                          .renewal = *rc::gen::arbitrary<bool>()});
    else if (held.erase(block) != 0)
      out.released(now, 1, 4, block, 3);
    else if (held.insert(block).second)
      out.allocated(now, 1, 1, block, who);
    if (*rc::gen::inRange(0, 6) == 0) bytes += out.take();
  }
  if (!out.empty()) bytes += out.take();
  return bytes;
}

}  // namespace culvert::test
