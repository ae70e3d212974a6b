#include "binding_bench.h"

#include <fmt/format.h>

#include <bit>

namespace culvert::test {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::logic_error(what);
}

struct Count {
  unsigned mappings = 0, sessions = 0, statics = 0, blocks = 0;
  std::array<unsigned, kPortSpaces> ports{};
};

/// Every mapping by itself: found by both ends, external endpoint unique, inside a live block of its
/// subscriber.
std::map<SubscriberId, Count> check_mappings(Bench& b,
                                             std::map<std::pair<Pool*, BlockIndex>, Count>* blocks) {
  std::map<SubscriberId, Count> of;
  std::set<std::tuple<net::Ipv4Address, uint16_t, Protocol>> external;
  const MappingTable& table = b.binding.mappings();
  unsigned live = 0, sessions = 0;
  for (MappingId id = 0; id < table.high_water(); id++) {
    const Mapping& m = table[id];
    if (!m.in_use) continue;
    live++;
    sessions += m.extra_sessions;
    require(external.emplace(m.external_address, m.external_port.value(), m.internal.protocol).second,
            "two mappings have the same external endpoint");
    require(table.find(m.internal) == id && table.find(m.external()) == id,
            "a mapping is not found by its keys");
    require(b.binding.subscribers()[m.subscriber].in_use, "a mapping's subscriber is gone");
    Count& c = of[m.subscriber];
    c.mappings++;
    c.sessions += m.extra_sessions;
    const auto space = static_cast<size_t>(port_space(m.internal.protocol));
    c.ports[space]++;
    if (m.is_static) {
      c.statics++;
      continue;
    }
    Pool& pool = b.pool_of(m.external_address);
    const BlockIndex at = b.block_of(m);
    require(at != kNoBlock, "a mapping lies outside the blocks");
    const Block& block = pool.block(at);
    require(block.state == BlockState::live, "a mapping lies in a block that is not live");
    require(block.subscriber == m.subscriber, "a mapping lies in another subscriber's block");
    Count& of_block = (*blocks)[{&pool, at}];
    of_block.mappings++;
    of_block.ports[space]++;
    const unsigned bit = m.external_port.value() - pool.first_port(at);
    require((pool.bitmap(at, port_space(m.internal.protocol))[bit / 64] >> (bit % 64) & 1) != 0,
            "a mapping's port is not marked as taken");
  }
  require(live == table.size() && live == b.counters.mappings_live.get(), "mappings are miscounted");
  require(sessions == b.binding.sessions().size() && sessions == b.counters.sessions_live.get(),
          "sessions are miscounted");
  return of;
}

void check_block(Bench& b, Pool& pool, BlockIndex at, const Count& in_block) {
  const Block& block = pool.block(at);
  const LogReader::Range range{pool.address_of(at), pool.first_port(at), pool.last_port(at)};
  const auto holder = b.ledger.holder(range);
  if (block.state == BlockState::live) {
    require(holder == b.binding.subscribers()[block.subscriber].key.prefix,
            "a live block is not on record as his");
    require(block.idle == (in_block.mappings == 0), "a block is idle with mappings, or not idle without");
  } else {
    require(!holder, "a block that was given back is still on record");
    require(in_block.mappings == 0 && !block.idle, "a block that was given back is in use");
  }
  for (unsigned space = 0; space < kPortSpaces; space++) {
    unsigned set = 0;
    for (unsigned w = 0; w < pool.bitmap_words(); w++)
      set += static_cast<unsigned>(std::popcount(pool.bitmap(at, static_cast<PortSpace>(space))[w]));
    require(block.used[space] == in_block.ports[space], "a block's used ports are miscounted");
    require(block.taken[space] == set && set >= block.used[space], "a block's taken ports are miscounted");
    if (block.state == BlockState::free) require(set == 0, "a free block has taken ports");
  }
}

}  // namespace

void check_invariants(Bench& b) {
  std::map<std::pair<Pool*, BlockIndex>, Count> of_block;
  auto of_subscriber = check_mappings(b, &of_block);

  uint32_t live = 0, held = 0, all = 0;
  for (const auto& p : b.tables->pools) {
    if (!p) continue;
    for (BlockIndex at = 0; at < p->block_count(); at++, all++) {
      check_block(b, *p, at, of_block[{p.get(), at}]);
      if (p->block(at).state == BlockState::held) held++;
      if (p->block(at).state != BlockState::live) continue;
      live++;
      of_subscriber[p->block(at).subscriber].blocks++;
    }
  }
  require(b.free_blocks() + live + held == all, "a block is lost");
  require(live == b.counters.blocks_live.get(), "blocks are miscounted");

  const SubscriberTable& subscribers = b.binding.subscribers();
  unsigned present = 0;
  for (SubscriberId id = 0; id < subscribers.high_water(); id++) {
    const Subscriber& s = subscribers[id];
    if (!s.in_use) {
      require(!of_subscriber.contains(id), "something belongs to a subscriber who is gone");
      continue;
    }
    present++;
    const Count& c = of_subscriber[id];
    require(subscribers.find(s.key) == id, "a subscriber is not found by his key");
    require(c.mappings + c.blocks != 0, "a subscriber without anything is kept");
    require(s.mappings == c.mappings && s.sessions == c.sessions && s.static_mappings == c.statics &&
                s.block_count == c.blocks,
            "a subscriber's figures are wrong");
    for (unsigned space = 0; space < kPortSpaces; space++)
      require(s.ports[space] == c.ports[space], "a subscriber's ports are miscounted");
    require(s.block_count <= b.tables->instances[s.key.instance].max_blocks,
            "a subscriber has too many blocks");
    unsigned chained = 0;
    uint16_t slot = s.first_pool;
    for (BlockIndex at = s.first_block; at != kNoBlock; chained++) {
      Pool& pool = *b.tables->pools[slot];
      require(pool.block(at).subscriber == id, "another's block is in a subscriber's chain");
      // RFC 6888 REQ-2, paired: all of his blocks are on one address.
      if (!pool.draining)
        require(slot == s.pool && at / pool.sets() == s.address,
                "a subscriber's blocks are on several addresses");
      slot = pool.block(at).next_pool;
      at = pool.block(at).next_of_subscriber;
    }
    require(chained == s.block_count, "a subscriber's chain of blocks is broken");
  }
  require(present == subscribers.size() && present == b.counters.subscribers_live.get(),
          "subscribers are miscounted");
}

void check_nothing_left(Bench& b, uint32_t free_blocks_at_start) {
  check_invariants(b);
  require(b.binding.mappings().size() == 0, "a mapping is left");
  require(b.binding.sessions().size() == 0, "a session is left");
  require(b.binding.subscribers().size() == 0, "a subscriber is left");
  require(b.free_blocks() == free_blocks_at_start, "a block is left");
  require(b.ledger.live.empty(), "the record knows a holder who is gone");
  for (const auto& p : b.tables->pools) {
    if (!p) continue;
    for (BlockIndex at = 0; at < p->block_count(); at++) {
      require(p->block(at).state == BlockState::free, "a block is not free");
      for (unsigned space = 0; space < kPortSpaces; space++)
        for (unsigned w = 0; w < p->bitmap_words(); w++)
          require(p->bitmap(at, static_cast<PortSpace>(space))[w] == 0, "a port is left taken");
    }
  }
}

}  // namespace culvert::test
