// The record tables — mappings, sessions, subscribers —, the block allocator and the hold queue, each against
// the plainest model of it.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <set>

#include "dataplane/binding/block_allocator.h"
#include "dataplane/binding/hold_queue.h"
#include "dataplane/mapping_table.h"
#include "dataplane/session_table.h"

using namespace culvert::dataplane;
using culvert::net::Be16;
using culvert::net::HashKey;
using culvert::net::Ipv4Address;
using culvert::net::Ipv4Prefix;
namespace config = culvert::config;

namespace {

InternalKey internal(uint16_t n) {
  InternalKey k;
  k.ipv4 = Ipv4Address(0x0a000000u + n / 8);
  k.port = Be16(static_cast<uint16_t>(n % 4));
  k.protocol = n % 8 < 4 ? Protocol::udp : Protocol::tcp;
  return k;
}
ExternalKey external(uint16_t n) { return {Ipv4Address(0xcb007100u), Be16(n), internal(n).protocol}; }

Pool make_pool(const char* prefix, uint16_t set_size, unsigned workers = 1, bool split = false) {
  config::PortAllocation ports;
  ports.first_port = 1024;
  ports.last_port = static_cast<uint16_t>(1024 + 4 * set_size - 1);
  ports.set_size = set_size;
  return Pool(0, 0, *Ipv4Prefix::parse(prefix), ports, workers, split);
}

}  // namespace

TEST_CASE("The mapping table finds by either endpoint what was created and not destroyed",
          "[dataplane][mappings]") {
  CHECK(rc::check("mapping table", [] {
    const auto capacity = *rc::gen::inRange<uint32_t>(1, 60);
    MappingTable table(capacity, HashKey{});
    std::map<uint16_t, MappingId> model;  // number of the endpoint pair → record
    const auto steps = *rc::gen::container<std::vector<uint16_t>>(rc::gen::inRange<uint16_t>(0, 80));
    for (uint16_t n : steps) {
      if (auto it = model.find(n); it != model.end()) {
        table.destroy(it->second);
        model.erase(it);
      } else {
        const MappingId id = table.create(internal(n), external(n));
        RC_ASSERT((id == kNoMapping) == (model.size() == capacity));
        if (id == kNoMapping) continue;
        RC_ASSERT(table[id].in_use && !table[id].is_static && table[id].extra_sessions == 0);
        table[id].first_extra = 77;  // the free list must not depend on what users leave behind
        model[n] = id;
      }
      RC_ASSERT(table.size() == model.size());
    }
    std::set<MappingId> ids;
    for (uint16_t n = 0; n < 80; n++) {
      auto it = model.find(n);
      const MappingId expected = it == model.end() ? kNoMapping : it->second;
      RC_ASSERT(table.find(internal(n)) == expected);
      RC_ASSERT(table.find(external(n)) == expected);
      if (it != model.end()) {
        RC_ASSERT(ids.insert(it->second).second);
        RC_ASSERT(it->second < table.high_water());
      }
    }
  }));
}

TEST_CASE("Keys that differ in one field only are different mappings", "[dataplane][mappings]") {
  MappingTable table(16, HashKey{});
  std::vector<InternalKey> keys(7, internal(0));
  keys[1].port = Be16(9);
  keys[2].protocol = Protocol::tcp;
  keys[3].context = 1;  // another AFTR address or NAT64 prefix
  keys[4].ipv4 = Ipv4Address(1);
  keys[5].ipv6.bytes[15] = 1;  // another B4 with the same inner address (RFC 6333 §6.6)
  keys[6].ipv6.bytes[0] = 1;
  auto external_of = [&](uint16_t i) { return ExternalKey{Ipv4Address(1), Be16(i), keys[i].protocol}; };
  for (uint16_t i = 0; i < keys.size(); i++) REQUIRE(table.create(keys[i], external_of(i)) == i);
  for (uint16_t i = 0; i < keys.size(); i++) CHECK(table.find(keys[i]) == i);
  ExternalKey e = external_of(0);
  e.protocol = Protocol::tcp;
  CHECK(table.find(e) == kNoMapping);
}

TEST_CASE("The session table chains sessions by mapping and finds them by remote", "[dataplane][sessions]") {
  CHECK(rc::check("session table", [] {
    const auto capacity = *rc::gen::inRange<uint32_t>(1, 30);
    SessionTable table(capacity, HashKey{});
    MappingTable mappings(4, HashKey{});
    for (uint16_t m = 0; m < 4; m++) mappings.create(internal(m), external(m));
    std::map<std::pair<MappingId, uint16_t>, SessionId> model;
    auto remote = [](uint16_t n) { return RemoteEndpoint{Ipv4Address(0xc0000200u + n / 4), Be16(n)}; };
    const auto steps = *rc::gen::container<std::vector<std::pair<uint32_t, uint16_t>>>(
        rc::gen::pair(rc::gen::inRange<uint32_t>(0, 4), rc::gen::inRange<uint16_t>(0, 16)));
    for (const auto& step : steps) {
      const auto [m, r] = step;
      if (auto it = model.find(step); it != model.end()) {
        table.destroy(it->second, mappings[m]);
        model.erase(it);
      } else {
        const SessionId id = table.create(m, mappings[m], remote(r), SessionState::established);
        RC_ASSERT((id == kNoSession) == (model.size() == capacity));
        if (id != kNoSession) model[step] = id;
      }
    }
    RC_ASSERT(table.size() == model.size());
    for (MappingId m = 0; m < 4; m++) {
      unsigned count = 0;
      for (uint16_t r = 0; r < 16; r++) {
        auto it = model.find({m, r});
        RC_ASSERT(table.find(m, remote(r)) == (it == model.end() ? kNoSession : it->second));
        if (it == model.end()) continue;
        count++;
      }
      RC_ASSERT(mappings[m].extra_sessions == count);
      unsigned chained = 0;
      SessionId previous = kNoSession;
      for (SessionId s = count == 0 ? kNoSession : mappings[m].first_extra; s != kNoSession;
           s = table[s].next) {
        RC_ASSERT(table[s].mapping == m && table[s].previous == previous);
        previous = s;
        chained++;
      }
      RC_ASSERT(chained == count);
    }
  }));
}

TEST_CASE("Blocks are taken on the emptiest address, the longest free first", "[dataplane][blocks]") {
  CHECK(rc::check("allocator", [] {
    const auto workers = *rc::gen::element<unsigned>(1, 2, 3);
    const bool split = workers > 1 && *rc::gen::arbitrary<bool>();
    Pool pool = make_pool("203.0.113.0/29", 16, workers, split);
    BlockAllocator allocator(pool, 0);
    std::map<uint32_t, std::deque<BlockIndex>> free;  // by address, longest free first
    for (BlockIndex b = 0; b < pool.block_count(); b++)
      if (pool.block_owner(b) == 0) free[b / pool.sets()].push_back(b);
    std::vector<BlockIndex> taken;
    const auto steps = *rc::gen::container<std::vector<std::pair<int, uint32_t>>>(
        rc::gen::pair(rc::gen::inRange(0, 6), rc::gen::inRange<uint32_t>(0, 32)));
    for (const auto& [what, n] : steps) {
      BlockIndex b = kNoBlock;
      size_t most = 0;
      for (const auto& [a, list] : free) most = std::max(most, list.size());
      if (what < 3) {
        b = allocator.take();
        RC_ASSERT((b == kNoBlock) == (most == 0));
        if (b != kNoBlock) RC_ASSERT(free[b / pool.sets()].size() == most);
      } else if (what == 3) {
        b = allocator.take_on(n % 8);
        RC_ASSERT((b == kNoBlock) == free[n % 8].empty());
      } else if (!taken.empty()) {
        const BlockIndex back = taken[n % taken.size()];
        std::erase(taken, back);
        allocator.give(back);
        free[back / pool.sets()].push_back(back);
      }
      if (b != kNoBlock) {
        RC_ASSERT(free[b / pool.sets()].front() == b);
        free[b / pool.sets()].pop_front();
        taken.push_back(b);
      }
      size_t total = 0;
      for (const auto& [a, list] : free) total += list.size();
      RC_ASSERT(allocator.free_blocks() == total);
    }
  }));
}

TEST_CASE("The first blocks come from every address once, in order", "[dataplane][blocks]") {
  Pool pool = make_pool("203.0.113.0/30", 16);
  BlockAllocator allocator(pool, 0);
  std::vector<uint32_t> addresses;
  for (int i = 0; i < 4; i++) addresses.push_back(allocator.take() / pool.sets());
  CHECK(addresses == std::vector<uint32_t>{0, 1, 2, 3});
}

TEST_CASE("What one worker surrenders and another adopts is lost to nobody", "[dataplane][blocks]") {
  CHECK(rc::check("surrender", [] {
    const bool split = *rc::gen::arbitrary<bool>();
    Pool pool = make_pool("203.0.113.0/28", 16, 2, split);
    BlockAllocator donor(pool, 0), needy(pool, 1);
    const uint32_t total = donor.free_blocks() + needy.free_blocks();
    RC_ASSERT(total == pool.block_count());
    std::set<BlockIndex> busy;
    for (int i = *rc::gen::inRange(0, 40); i > 0; i--)
      if (BlockIndex b = donor.take(); b != kNoBlock) busy.insert(b);
    const uint32_t before = donor.free_blocks();
    const auto count = *rc::gen::inRange<uint32_t>(0, 70);
    const auto given = donor.surrender(count);
    const auto blocks = static_cast<uint32_t>(given.size()) * (split ? 1 : pool.sets());
    RC_ASSERT(donor.free_blocks() == before - blocks);
    if (split)
      RC_ASSERT(blocks == std::min(count, before));
    else
      RC_ASSERT(blocks < count + pool.sets());
    for (uint32_t e : given) {
      if (split) {
        RC_ASSERT(!busy.contains(e));
        pool.set_block_owner(e, 1);
        continue;
      }
      // A whole address goes only while all of it is free: its ICMP errors and portless packets follow it.
      for (uint32_t s = 0; s < pool.sets(); s++) RC_ASSERT(!busy.contains(e * pool.sets() + s));
      pool.set_address_owner(e, 1);
    }
    needy.adopt(given);
    RC_ASSERT(donor.free_blocks() + needy.free_blocks() + busy.size() == total);
    std::set<BlockIndex> seen;
    for (BlockAllocator* a : {&donor, &needy}) {
      for (BlockIndex b = a->take(); b != kNoBlock; b = a->take()) {
        RC_ASSERT(seen.insert(b).second && !busy.contains(b));
        RC_ASSERT(pool.block_owner(b) == (a == &donor ? 0 : 1));
      }
    }
    RC_ASSERT(seen.size() + busy.size() == total);
  }));
}

TEST_CASE("The hold queue is first in, first out, round its end", "[dataplane][hold]") {
  CHECK(rc::check("hold queue", [] {
    const auto capacity = *rc::gen::inRange<uint32_t>(0, 9);
    HoldQueue queue(capacity);
    std::deque<uint32_t> model;
    uint32_t next = 0;
    for (bool push : *rc::gen::container<std::vector<bool>>(rc::gen::arbitrary<bool>())) {
      if (push && !queue.full()) {
        queue.push({ShortTime(next), next, 1, 2, PortSpace::tcp, false});
        model.push_back(next++);
      } else if (!push && !queue.empty()) {
        RC_ASSERT(queue.oldest().block == model.front());
        RC_ASSERT(queue.pop().block == model.front());
        model.pop_front();
      }
      RC_ASSERT(queue.size() == model.size());
      RC_ASSERT(queue.full() == (model.size() == std::max(capacity, 1u)));
      RC_ASSERT(queue.empty() == model.empty());
    }
  }));
}

TEST_CASE("Short times compare across their wrap", "[dataplane][time]") {
  for (Millis now : {Millis{1'700'000'000'000}, Millis{0xffffffff}, Millis{0x100000000}, Millis{5}}) {
    CHECK(ShortTime(now).passed(now));
    CHECK_FALSE(ShortTime(now + 1).passed(now));
    CHECK(ShortTime(now).passed(now + 1));
    const Millis longest = Millis{kLongestTimerSeconds} * 1000;
    CHECK_FALSE(ShortTime(now + longest).passed(now));
    CHECK(ShortTime(now).passed(now + longest));
    CHECK(ShortTime(now + 1500).from(now) == 1500);
  }
}
