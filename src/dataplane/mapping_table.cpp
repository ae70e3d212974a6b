#include "dataplane/mapping_table.h"

namespace culvert::dataplane {

MappingId MappingTable::create(const InternalKey& internal, const ExternalKey& external) {
  bool recycled = free_ != kNoMapping;
  if (!recycled && fresh_ == records_.size()) return kNoMapping;
  MappingId id = recycled ? free_ : fresh_;
  Mapping& m = records_[id];
  MappingId next_free = m.first_extra;
  if (!outbound_.insert(internal.hash(key_), id)) return kNoMapping;
  if (!inbound_.insert(external.hash(key_), id)) {
    outbound_.erase(internal.hash(key_), id);
    return kNoMapping;
  }
  if (recycled) {
    free_ = next_free;
    prefetch_new(0);
  } else {
    fresh_++;
  }
  m = Mapping{};
  m.internal = internal;
  m.external_address = external.address;
  m.external_port = external.port;
  m.in_use = true;
  live_++;
  return id;
}

void MappingTable::destroy(MappingId id) {
  Mapping& m = records_[id];
  outbound_.erase(m.internal.hash(key_), id);
  inbound_.erase(m.external().hash(key_), id);
  m.in_use = false;
  m.first_extra = free_;
  free_ = id;
  live_--;
}

}  // namespace culvert::dataplane
