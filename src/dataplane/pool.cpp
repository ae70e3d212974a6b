#include "dataplane/pool.h"

namespace culvert::dataplane {

Pool::Pool(uint16_t slot, uint8_t instance, const net::Ipv4Prefix& prefix,
           const config::PortAllocation& ports, unsigned workers, bool split, unsigned first_owner)
    : slot_(slot),
      instance_(instance),
      prefix_(prefix),
      ports_(ports),
      split_(split),
      addresses_(static_cast<uint32_t>(prefix.size())),
      sets_(ports.sets_per_address()),
      words_((ports.set_size + 63u) / 64u),
      blocks_(block_count()),
      bitmaps_(size_t{block_count()} * kPortSpaces * words_),
      address_owner_(addresses_),
      block_owner_(split ? block_count() : 0) {
  for (Block& b : blocks_) b.subscriber = kNobody;
  for (uint32_t a = 0; a < addresses_; a++)
    set_address_owner(a, static_cast<WorkerId>((a + first_owner) % workers));
  for (BlockIndex b = 0; b < block_owner_.size(); b++)
    set_block_owner(b, static_cast<WorkerId>((b + first_owner) % workers));
}

}  // namespace culvert::dataplane
