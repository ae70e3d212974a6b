// Packets that wait for a record: in order, no longer than needed, and nobody takes all the room.
#include "dataplane/waiting_packets.h"

#include <catch2/catch.hpp>

using culvert::dataplane::WaitingPackets;

namespace {

/// Made-up packets, told apart by their addresses; nobody looks into them.
rte_mbuf* packet(uintptr_t n) { return reinterpret_cast<rte_mbuf*>(n << 6); }

}  // namespace

TEST_CASE("packets wait until their record is on the disk, and leave in order", "[dataplane][waiting]") {
  WaitingPackets waiting;
  CHECK(waiting.pop(~uint64_t{0}) == nullptr);
  CHECK(waiting.push(packet(1), 5, 1));
  CHECK(waiting.push(packet(2), 5, 2));
  CHECK(waiting.push(packet(3), 7, 1));
  CHECK(waiting.pop(4) == nullptr);
  CHECK(waiting.pop(6) == packet(1));
  CHECK(waiting.pop(6) == packet(2));
  CHECK(waiting.pop(6) == nullptr);
  CHECK(waiting.pop(7) == packet(3));
  CHECK(waiting.size() == 0);
}

TEST_CASE("one subscriber has a share of the room only", "[dataplane][waiting]") {
  WaitingPackets waiting;
  for (unsigned n = 1; n <= WaitingPackets::kShare; n++) CHECK(waiting.push(packet(n), 1, 9));
  CHECK_FALSE(waiting.push(packet(99), 1, 9));
  CHECK(waiting.push(packet(100), 1, 10));
  CHECK(waiting.pop(1) == packet(1));
  CHECK(waiting.push(packet(101), 1, 9));
}

TEST_CASE("the room for waiting packets is bounded, and is used again", "[dataplane][waiting]") {
  WaitingPackets waiting;
  for (unsigned round = 0; round < 3; round++) {
    unsigned taken = 0;
    for (unsigned n = 0; n < 2 * WaitingPackets::kCapacity; n++)
      taken += waiting.push(packet(n + 1), round, n) ? 1 : 0;
    CHECK(taken == WaitingPackets::kCapacity);
    for (unsigned n = 0; n < taken; n++) CHECK(waiting.pop(round) == packet(n + 1));
    CHECK(waiting.pop(round) == nullptr);
  }
}
