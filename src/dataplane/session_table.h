/// The sessions that do not fit into their mapping: a mapping keeps its first one itself, TCP connections to
/// further servers (and further remotes under adf/edf filtering) are kept here, each in 32 bytes, found by
/// (mapping, remote) through a tagged index and chained per mapping. Bounded; limited per subscriber by its
/// caller. Belongs to one worker.
#pragma once

#include "dataplane/huge_array.h"
#include "dataplane/mapping.h"
#include "dataplane/mapping_table.h"
#include "dataplane/tagged_index.h"

namespace culvert::dataplane {

using SessionId = uint32_t;
inline constexpr SessionId kNoSession = TaggedIndex::kNone;

struct alignas(32) Session {
  MappingId mapping;
  net::Ipv4Address remote_address;
  net::Be16 remote_port;
  SessionState state;  ///< none: the record is free
  uint8_t spare;
  ShortTime expires;
  SessionId next, previous;  ///< chain of the mapping; next also links free records

  RemoteEndpoint remote() const { return {remote_address, remote_port}; }
};
static_assert(sizeof(Session) == 32);

class SessionTable {
 public:
  SessionTable(uint32_t capacity, const net::HashKey& key)
      : key_(key), records_(capacity), index_(capacity) {}

  Session& operator[](SessionId id) { return records_[id]; }
  const Session& operator[](SessionId id) const { return records_[id]; }
  uint32_t size() const { return live_; }
  uint32_t high_water() const { return fresh_; }

  SessionId find(MappingId mapping, const RemoteEndpoint& remote) const;
  /// Adds a session to a mapping's chain; kNoSession when the table is full.
  SessionId create(MappingId id, Mapping& mapping, const RemoteEndpoint& remote, SessionState state);
  /// Takes a session out of its mapping's chain.
  void destroy(SessionId id, Mapping& mapping);

  size_t bytes() const { return records_.size() * sizeof(Session) + index_.bytes(); }

 private:
  uint64_t hash(MappingId mapping, const RemoteEndpoint& r) const {
    return net::hash(key_, mapping, uint64_t{r.address.bits.raw()} << 16 | r.port.raw());
  }

  net::HashKey key_;
  HugeArray<Session> records_;
  TaggedIndex index_;
  uint32_t fresh_ = 0;
  SessionId free_ = kNoSession;
  uint32_t live_ = 0;
};

}  // namespace culvert::dataplane
