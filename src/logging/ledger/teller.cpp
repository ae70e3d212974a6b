#include "logging/ledger/teller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "net/mapped.h"

namespace culvert::logging::ledger {
namespace {

/// A time that a note counts from the segment's opening.
uint64_t time_of(uint64_t opened, int64_t since) {
  return static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(opened) + since));
}

std::string hex(const std::array<uint8_t, 32>& hash) {
  std::string text;
  for (const uint8_t b : hash) text += fmt::format("{:02x}", b);
  return text;
}

std::optional<net::Ipv6Address> host(const std::string& bytes) {
  if (bytes.size() == sizeof(net::Ipv4Address)) {
    net::Ipv4Address a;
    std::memcpy(&a, bytes.data(), sizeof a);
    return net::mapped(a);
  }
  net::Ipv6Address a;
  if (bytes.size() != a.bytes.size()) return std::nullopt;
  std::memcpy(a.bytes.data(), bytes.data(), bytes.size());
  return a;
}

}  // namespace

std::optional<Entry> Teller::tell(const Record& r) {
  std::optional<Entry> entry = entry_of(r);
  state_.apply(r);
  return entry;
}

std::optional<Entry> Teller::entry_of(const Record& r) const {
  Entry e;
  e.time = r.time;
  e.clock_ahead = state_.clock_ahead();
  e.worker = r.worker;
  if (r.event() && r.ordinal != 0) e.ordinal = r.ordinal;  // 0: damage made it unknown
  if (!(r.kind == Record::Kind::typed ? typed(r, e) : block(r, e))) return std::nullopt;
  return e;
}

void Teller::subscriber(uint64_t number, Entry& e) const {
  const SubscriberNote* s = state_.subscribers().find(number);
  if (s == nullptr) {
    e.subscriber_length = 0;  // whose record damage took
    return;
  }
  e.subscriber = s->prefix;
  e.subscriber_length = s->length;
  const auto instance = state_.instances().find(s->instance);
  if (instance == state_.instances().end()) return;
  e.instance = instance->second.name;
  e.carriage = static_cast<Entry::Carriage>(instance->second.carriage);
}

bool Teller::block(const Record& r, Entry& e) const {
  const bool allocated = r.kind == Record::Kind::allocated;
  e.kind = allocated ? Entry::Kind::block_allocated : Entry::Kind::block_released;
  e.reason = static_cast<Reason>(r.reason);
  e.peak = r.peak;
  const auto holder = state_.held().find(r.block);
  if (!allocated && holder != state_.held().end()) e.since = holder->second.since;
  if (allocated)
    subscriber(r.subscriber, e);
  else if (holder != state_.held().end())
    subscriber(holder->second.subscriber, e);
  else
    e.subscriber_length = 0;
  const AddressRange* range = state_.range_of_block(r.block);
  if (range == nullptr) return true;
  e.external = range->address_of(r.block);
  e.first_port = range->first_port_of(r.block);
  e.last_port = static_cast<uint16_t>(e.first_port + range->set_size - 1);
  return true;
}

template <typename Note>
bool Teller::binding(const Note& n, Entry& e) const {
  const Binding& b = n.binding;
  subscriber(b.subscriber, e);
  e.external = b.external;
  e.first_port = e.last_port = b.port;
  e.protocol = b.protocol;
  e.origin = static_cast<Entry::Origin>(b.origin);
  e.internal = host(b.internal);
  e.internal_port = b.internal_port;
  return true;
}

bool Teller::typed(const Record& r, Entry& e) const {
  // Takes the record as a Note, if it is a whole one.
  const auto as = [&r]<typename Note>(const Note& /*like*/, auto&& take) {
    const std::optional<Note> note = decode<Note>(r.body);
    return note && take(*note);
  };
  switch (r.type) {
    case Type::record_lost:
      e.kind = Entry::Kind::record_lost;
      return true;
    case Type::mapping_created:
      e.kind = Entry::Kind::mapping_created;
      return as(MappingCreated{}, [&](const MappingCreated& n) {
        e.lifetime = n.lifetime;
        return binding(n, e);
      });
    case Type::mapping_deleted:
      e.kind = Entry::Kind::mapping_deleted;
      return as(MappingDeleted{}, [&](const MappingDeleted& n) {
        e.reason = static_cast<Reason>(n.reason);
        return binding(n, e);
      });
    case Type::session_created:
    case Type::session_deleted:
      e.kind = r.type == Type::session_created ? Entry::Kind::session_created : Entry::Kind::session_deleted;
      return as(SessionNote{}, [&](const SessionNote& n) {
        if (n.has_destination) e.destination = n.destination;
        e.destination_port = n.destination_port;
        return binding(n, e);
      });
    case Type::refused:
      e.kind = Entry::Kind::refused;
      return as(Refused{}, [&](const Refused& n) {
        e.text = n.reason;
        e.count = n.count;
        subscriber(n.subscriber, e);
        return true;
      });
    case Type::culvertd_started:
      e.kind = Entry::Kind::culvertd_started;
      return as(CulvertdStarted{}, [&](const CulvertdStarted& n) {
        constexpr const char* kBefore[] = {"stopped", "crashed", "crashed with the machine"};
        e.text = fmt::format("{}; the run before {}", n.version, kBefore[static_cast<size_t>(n.before)]);
        return true;
      });
    case Type::culvertd_stopped:
      e.kind = Entry::Kind::culvertd_stopped;
      return true;
    case Type::configuration:
      e.kind = Entry::Kind::configuration;
      // A checkpoint only repeats it.
      return state_.checked() && as(ConfigurationNote{}, [&](const ConfigurationNote& n) {
               e.text = hex(n.sha256);
               return true;
             });
    case Type::clock:
      e.kind = Entry::Kind::clock;
      return state_.checked() && as(ClockNote{}, [&](const ClockNote& n) {
               e.clock_ahead = n.ahead;
               return true;
             });
    case Type::uncertain:
      e.kind = Entry::Kind::uncertain;
      return as(Uncertain{}, [&](const Uncertain& n) {
        e.uncertain_from = time_of(opened_, n.from);
        e.uncertain_to = time_of(opened_, n.to);
        return true;
      });
    default:
      return false;
  }
}

}  // namespace culvert::logging::ledger
