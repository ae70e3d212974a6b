#include "dataplane/session_table.h"

namespace culvert::dataplane {

SessionId SessionTable::find(MappingId mapping, const RemoteEndpoint& remote) const {
  return index_.find(hash(mapping, remote), [&](SessionId id) {
    return records_[id].mapping == mapping && records_[id].remote() == remote;
  });
}

SessionId SessionTable::create(MappingId id, Mapping& mapping, const RemoteEndpoint& remote,
                               SessionState state) {
  bool recycled = free_ != kNoSession;
  if (!recycled && fresh_ == records_.size()) return kNoSession;
  if (mapping.extra_sessions == UINT16_MAX) return kNoSession;
  SessionId session = recycled ? free_ : fresh_;
  if (!index_.insert(hash(id, remote), session)) return kNoSession;
  if (recycled)
    free_ = records_[session].next;
  else
    fresh_++;
  SessionId head = mapping.extra_sessions == 0 ? kNoSession : mapping.first_extra;
  records_[session] = {id, remote.address, remote.port, state, 0, {}, head, kNoSession};
  if (head != kNoSession) records_[head].previous = session;
  mapping.first_extra = session;
  mapping.extra_sessions++;
  live_++;
  return session;
}

void SessionTable::destroy(SessionId id, Mapping& mapping) {
  Session& s = records_[id];
  index_.erase(hash(s.mapping, s.remote()), id);
  if (s.previous != kNoSession)
    records_[s.previous].next = s.next;
  else
    mapping.first_extra = s.next;
  if (s.next != kNoSession) records_[s.next].previous = s.previous;
  mapping.extra_sessions--;
  s.state = SessionState::none;
  s.next = free_;
  free_ = id;
  live_--;
}

}  // namespace culvert::dataplane
