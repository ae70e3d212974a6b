#include "dataplane/binding/port_blocks.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace culvert::dataplane {
namespace {

/// Blocks of one pool given back in one sweep, at most: packets wait meanwhile.
constexpr unsigned kReleasesAtOnce = 16;
/// Ports and blocks that leave hold-down in one sweep, at most.
constexpr unsigned kEndsOfHoldAtOnce = 64;

}  // namespace

PortBlocks::PortBlocks(const BindingSetup& setup, SubscriberTable& subscribers, Counters& counters)
    : self_(setup.self),
      subscribers_(subscribers),
      counters_(counters),
      log_(setup.log),
      random_(setup.seed),
      unrecorded_(setup.strict ? kMostUnrecorded : 0),
      held_(setup.held) {}

void PortBlocks::attach(std::unique_ptr<BlockAllocator> allocator) {
  const uint16_t slot = allocator->pool().slot();
  if (slot >= allocators_.size()) {
    allocators_.resize(slot + 1u);
    idle_.resize(slot + 1u);
  }
  allocators_[slot] = std::move(allocator);
}

void PortBlocks::detach(uint16_t slot) {
  allocators_[slot].reset();
  idle_[slot] = IdleList{};
}

std::optional<BlockPort> PortBlocks::find_free(const Tables& tables, const Subscriber& s,
                                               const InternalKey& key, uint32_t luck) {
  const PortSpace space = port_space(key.protocol);
  // RFC 4787 REQ-4: parity is kept where a port of that parity is left; worth a look, not worth a block.
  const int parity = key.protocol == Protocol::udp ? key.port.value() & 1 : -1;
  for (int wanted : {parity, -1}) {
    uint16_t slot = s.first_pool;
    for (BlockIndex b = s.first_block; b != kNoBlock;) {
      Pool& pool = *tables.pools[slot];
      uint16_t offset;
      if (!pool.draining && find_port(pool, b, space, wanted, luck, &offset))
        return BlockPort{slot, b, offset};
      slot = pool.block(b).next_pool;
      b = pool.block(b).next_of_subscriber;
    }
    if (parity < 0) break;
  }
  return std::nullopt;
}

std::variant<BlockPort, DropReason> PortBlocks::choose(const Tables& tables, SubscriberId id,
                                                       const InternalKey& key, uint32_t luck, Millis now) {
  const Subscriber& s = subscribers_[id];
  if (const auto found = find_free(tables, s, key, luck)) return *found;
  auto grown = grow(tables, id, now);
  if (const auto* why = std::get_if<DropReason>(&grown)) {
    if (*why != DropReason::record_pending) counters_.block_refusals.add();
    return *why;
  }
  // The new block is the first of his chain, and empty.
  const auto found = find_free(tables, s, key, luck);
  assert(found);
  return *found;
}

/// A free port after a random point of the block, in the spirit of RFC 6056 §3.3.2.
bool PortBlocks::find_port(Pool& pool, BlockIndex b, PortSpace space, int parity, uint32_t luck,
                           uint16_t* offset) {
  const unsigned size = pool.ports().set_size;
  if (pool.block(b).taken[static_cast<size_t>(space)] == size) return false;
  const uint64_t* bits = pool.bitmap(b, space);
  uint64_t allowed = ~uint64_t{0};
  if (parity >= 0) allowed = (parity ^ pool.parity_of(b)) != 0 ? 0xaaaaaaaaaaaaaaaa : 0x5555555555555555;
  const auto start = static_cast<unsigned>(uint64_t{luck} * size >> 32);
  const unsigned words = pool.bitmap_words();
  // The word of the random point comes twice: first from there upwards, in the end from its bottom.
  for (unsigned i = 0; i <= words; i++) {
    const unsigned w = (start / 64 + i) % words;
    uint64_t free = ~bits[w] & allowed;
    if (w == words - 1 && size % 64 != 0) free &= (uint64_t{1} << (size % 64)) - 1;
    if (i == 0) free &= ~uint64_t{0} << (start % 64);
    if (free == 0) continue;
    *offset = static_cast<uint16_t>(w * 64 + static_cast<unsigned>(std::countr_zero(free)));
    return true;
  }
  return false;
}

std::variant<BlockPort, DropReason> PortBlocks::grow(const Tables& tables, SubscriberId id, Millis now) {
  Subscriber& s = subscribers_[id];
  const InstanceView& policy = tables.instances[s.key.instance];
  if (!policy.configured) return DropReason::draining;
  if (s.waiting) return DropReason::record_pending;
  if (s.block_count >= policy.max_blocks) return DropReason::no_ports;
  if (now < nothing_new_before_) [[unlikely]]
    return DropReason::no_blocks;
  if (!unrecorded_.empty() && unrecorded_count_ == unrecorded_.size()) return DropReason::log_full;
  BlockIndex b = kNoBlock;
  uint16_t slot = 0;
  // RFC 6888 REQ-2: all of a subscriber's ports on one address, unless its pool is on its way out.
  if (s.paired && !tables.pools[s.pool]->draining) {
    slot = s.pool;
    b = allocators_[slot]->take_on(s.address);
  } else {
    for (uint16_t candidate : policy.pools) {
      if (tables.pools[candidate]->draining) continue;
      slot = candidate;
      b = allocators_[slot]->take();
      if (b != kNoBlock) break;
    }
  }
  if (b == kNoBlock) return DropReason::no_blocks;

  Pool& pool = *tables.pools[slot];
  const auto reason = s.block_count == 0 ? logging::Reason::first_packet : logging::Reason::ports_used_up;
  // Promise 1: the record comes first, and without it there is no block.
  pool.block(b).peak = 0;
  if (!record_block(logging::EventKind::block_allocated, reason, s, pool, b, now)) {
    allocators_[slot]->give(b);
    return DropReason::log_full;
  }
  take(pool, b, id);
  counters_.blocks_allocated.add();
  if (unrecorded_.empty()) {
    chain(pool, b, ShortTime(now + policy.port_set));
    return BlockPort{slot, b, 0};
  }
  s.waiting = true;
  unrecorded_[(unrecorded_head_ + unrecorded_count_++) % unrecorded_.size()] = {log_->pushed(), slot, b};
  return DropReason::record_pending;
}

void PortBlocks::serve_recorded(const Tables& tables, Millis now) {
  const uint64_t durable = unrecorded_count_ == 0 ? 0 : log_->released();
  for (; unrecorded_count_ != 0 && unrecorded_[unrecorded_head_].sequence <= durable; unrecorded_count_--) {
    const Unrecorded& u = unrecorded_[unrecorded_head_];
    Pool& pool = *tables.pools[u.pool];
    subscribers_[pool.block(u.block).subscriber].waiting = false;
    chain(pool, u.block, ShortTime(now + tables.instances[pool.instance()].port_set));
    unrecorded_head_ = (unrecorded_head_ + 1) % unrecorded_.size();
  }
}

/// The block is the subscriber's from now on.
void PortBlocks::take(Pool& pool, BlockIndex b, SubscriberId id) {
  Subscriber& s = subscribers_[id];
  s.paired = true;
  s.pool = pool.slot();
  s.address = b / pool.sets();
  s.block_count++;
  pool.block(b).state = BlockState::live;
  pool.block(b).subscriber = id;
  counters_.blocks_live.add();
}

/// A block that was taken serves. It is idle until its first mapping, which mostly follows at once.
void PortBlocks::chain(Pool& pool, BlockIndex b, ShortTime idle_until) {
  Block& block = pool.block(b);
  Subscriber& s = subscribers_[block.subscriber];
  block.next_of_subscriber = s.first_block;
  block.next_pool = s.first_pool;
  s.first_block = b;
  s.first_pool = pool.slot();
  link_idle(pool, b, idle_until);
}

bool PortBlocks::inherit(const Tables& tables, SubscriberId id, uint16_t slot, BlockIndex b, Millis now) {
  const InstanceView& policy = tables.instances[subscribers_[id].key.instance];
  if (subscribers_[id].block_count >= policy.max_blocks) return false;
  take(*tables.pools[slot], b, id);
  chain(*tables.pools[slot], b, ShortTime(now + policy.port_set));
  return true;
}

void PortBlocks::rest(const Tables& tables, uint16_t slot, BlockIndex b, Millis since) {
  Block& block = tables.pools[slot]->block(b);
  block.state = BlockState::held;
  block.subscriber = kNobody;
  push_held(tables, {ShortTime(since + tables.hold_ms), b, slot, 0, PortSpace::udp, true});
}

bool PortBlocks::record(logging::Event event) {
  event.worker = self_;
  return log_->push(event);
}

bool PortBlocks::record_block(logging::EventKind kind, logging::Reason reason, const Subscriber& s,
                              const Pool& pool, BlockIndex b, Millis now) {
  logging::Event e;
  e.time = now;
  e.kind = kind;
  e.reason = reason;
  e.subscriber = s.key.prefix;
  e.subscriber_length = s.mask;
  e.external = pool.address_of(b);
  e.first_port = pool.first_port(b);
  e.last_port = pool.last_port(b);
  e.peak = pool.block(b).peak;
  return record(e);
}

void PortBlocks::use(const Tables& tables, BlockPort port, PortSpace space) {
  Pool& pool = *tables.pools[port.pool];
  Block& block = pool.block(port.block);
  pool.bitmap(port.block, space)[port.offset / 64] |= uint64_t{1} << (port.offset % 64);
  block.taken[static_cast<size_t>(space)]++;
  block.used[static_cast<size_t>(space)]++;
  block.peak = static_cast<uint16_t>(std::max<uint32_t>(block.peak, block.mappings()));
  if (block.idle) unlink_idle(pool, port.block);
}

void PortBlocks::release(const Tables& tables, BlockPort port, PortSpace space, bool hold, Millis now) {
  Pool& pool = *tables.pools[port.pool];
  Block& block = pool.block(port.block);
  block.used[static_cast<size_t>(space)]--;
  const HeldItem item{ShortTime(now + tables.hold_ms), port.block, port.pool, port.offset, space, false};
  if (hold && tables.hold_ms != 0)
    push_held(tables, item);
  else
    release_held(tables, item);
  if (block.mappings() == 0) {
    const InstanceView& policy = tables.instances[pool.instance()];
    link_idle(pool, port.block, ShortTime(now + policy.port_set));
  }
}

void PortBlocks::push_held(const Tables& tables, const HeldItem& item) {
  while (held_.full()) {
    release_held(tables, held_.pop());
    counters_.holds_cut_short.add();
  }
  held_.push(item);
}

void PortBlocks::release_held(const Tables& tables, const HeldItem& item) {
  Pool& pool = *tables.pools[item.pool];
  if (item.whole_block) {
    allocators_[item.pool]->give(item.block);
    return;
  }
  pool.bitmap(item.block, item.space)[item.offset / 64] &= ~(uint64_t{1} << (item.offset % 64));
  pool.block(item.block).taken[static_cast<size_t>(item.space)]--;
}

bool PortBlocks::release_block(const Tables& tables, Pool& pool, BlockIndex b, logging::Reason reason,
                               Millis now) {
  Block& block = pool.block(b);
  const SubscriberId who = block.subscriber;
  Subscriber& s = subscribers_[who];
  if (!record_block(logging::EventKind::block_released, reason, s, pool, b, now))
    return false;  // stays idle, and is tried again
  unlink_idle(pool, b);
  unchain(tables, s, pool.slot(), b);
  s.block_count--;
  if (s.block_count == 0 && s.static_mappings == 0) s.paired = false;
  rest(tables, pool.slot(), b, now);
  counters_.blocks_released.add();
  counters_.blocks_live.subtract();
  forget_if_unused(who);
  return true;
}

void PortBlocks::unchain(const Tables& tables, Subscriber& s, uint16_t slot, BlockIndex b) {
  BlockIndex* link = &s.first_block;
  uint16_t* link_pool = &s.first_pool;
  while (*link != b || *link_pool != slot) {
    Block& other = tables.pools[*link_pool]->block(*link);
    link = &other.next_of_subscriber;
    link_pool = &other.next_pool;
  }
  const Block& gone = tables.pools[slot]->block(b);
  *link = gone.next_of_subscriber;
  *link_pool = gone.next_pool;
}

void PortBlocks::forget_if_unused(SubscriberId id) {
  const Subscriber& s = subscribers_[id];
  if (!s.in_use || s.mappings != 0 || s.block_count != 0) return;
  subscribers_.destroy(id);
  counters_.subscribers_live.subtract();
}

void PortBlocks::link_idle(Pool& pool, BlockIndex b, ShortTime until) {
  IdleList& list = idle_[pool.slot()];
  Block& block = pool.block(b);
  block.idle = true;
  block.idle_until = until;
  block.next = kNoBlock;
  block.previous = list.last;
  if (list.last == kNoBlock)
    list.first = b;
  else
    pool.block(list.last).next = b;
  list.last = b;
}

void PortBlocks::unlink_idle(Pool& pool, BlockIndex b) {
  IdleList& list = idle_[pool.slot()];
  Block& block = pool.block(b);
  if (block.previous == kNoBlock)
    list.first = block.next;
  else
    pool.block(block.previous).next = block.next;
  if (block.next == kNoBlock)
    list.last = block.previous;
  else
    pool.block(block.next).previous = block.previous;
  block.idle = false;
}

bool PortBlocks::sweep(const Tables& tables, Millis now) {
  // A hold-down-timeout that was shortened by a reload holds for what waits already, too.
  const auto longest = static_cast<int32_t>(tables.hold_ms);
  const auto due = [&] {
    return !held_.empty() && (held_.oldest().until.passed(now) || held_.oldest().until.from(now) > longest);
  };
  for (unsigned n = 0; n < kEndsOfHoldAtOnce && due(); n++) release_held(tables, held_.pop());
  const bool more = due();
  return sweep_idle(tables, now) || more;
}

bool PortBlocks::sweep_idle(const Tables& tables, Millis now) {
  unsigned released = 0;
  // Goes on where it stopped, so that no pool's blocks wait for another's.
  for (size_t step = 0; step < idle_.size(); step++, idle_hand_ = (idle_hand_ + 1) % idle_.size()) {
    const size_t slot = idle_hand_;
    if (idle_[slot].first == kNoBlock) continue;
    Pool& pool = *tables.pools[slot];
    const bool leaving = pool.draining;
    const auto reason = leaving ? logging::Reason::pool_removed : logging::Reason::idle;
    const auto longest = static_cast<int32_t>(tables.instances[pool.instance()].port_set);
    // Releases can wait, allocations cannot: half of the ring is theirs.
    while (idle_[slot].first != kNoBlock) {
      const BlockIndex b = idle_[slot].first;
      const ShortTime until = pool.block(b).idle_until;
      if (!leaving && !until.passed(now) && until.from(now) <= longest) break;
      if (released++ == kReleasesAtOnce) {
        idle_hand_ = (slot + 1) % idle_.size();
        return true;
      }
      if (log_is_half_full()) return false;
      if (!release_block(tables, pool, b, reason, now)) return false;
    }
  }
  return false;
}

}  // namespace culvert::dataplane
