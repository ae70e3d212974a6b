#include "logging/radius/session.h"

#include <algorithm>

namespace culvert::logging::radius {
namespace {

/// All texts of a session, in the order of the format.
constexpr std::string Session::* kTexts[] = {
    &Session::session_id, &Session::user_name,   &Session::calling_station_id, &Session::circuit_id,
    &Session::remote_id,  &Session::nas_port_id, &Session::nas_identifier};

/// Both tell of the same moment: it came before the earlier of the latest times.
Span earlier(const Span& a, const Span& b) {
  return {std::min(a.earliest, b.earliest), std::min(a.latest, b.latest)};
}

bool by_prefix(const Session::Held& a, const Session::Held& b) {
  if (a.prefix.address != b.prefix.address) return a.prefix.address < b.prefix.address;
  return a.prefix.length < b.prefix.length;
}

size_t new_prefixes(const Session& session, const Session& next) {
  return static_cast<size_t>(
      std::count_if(next.prefixes.begin(), next.prefixes.end(), [&](const Session::Held& held) {
        return !std::binary_search(session.prefixes.begin(), session.prefixes.end(), held, by_prefix);
      }));
}

uint64_t distance(uint64_t a, uint64_t b) { return a < b ? b - a : a - b; }

class FieldWriter {
 public:
  explicit FieldWriter(ledger::ByteWriter& out) : out_(out) {}
  void time(uint64_t t) {
    out_.signed_varint(static_cast<int64_t>(t - last_));
    last_ = t;
  }

 private:
  ledger::ByteWriter& out_;
  uint64_t last_ = 0;
};

class FieldReader {
 public:
  explicit FieldReader(ledger::ByteReader& in) : in_(in) {}
  uint64_t time() {
    last_ += static_cast<uint64_t>(in_.signed_varint());
    if (last_ < kMaxSeconds) return last_;
    in_.fail();
    return last_ = 0;
  }
  Span span() {
    const uint64_t earliest = time();
    return {earliest, time()};
  }

 private:
  ledger::ByteReader& in_;
  uint64_t last_ = 0;
};

}  // namespace

Session session_of(const Record& r) {
  Session s;
  s.nas = r.nas;
  s.id = r.id;
  s.seen_from = r.time.latest;
  s.seen_until = r.time.earliest;
  if (r.status == Status::start) {
    s.begin = Begin::start;
    s.began = r.time;
  } else if (r.session_time && (*r.session_time != 0 || r.status == Status::stop)) {
    // An interim update with 0 comes from a NAS that does not count.
    s.begin = Begin::session_time;
    s.began = {r.time.earliest - std::min(r.time.earliest, *r.session_time),
               r.time.latest - std::min(r.time.latest, *r.session_time)};
  }
  if (r.status == Status::stop) {
    s.end = End::stop;
    s.ended = r.time;
  }
  s.session_id = r.session_id;
  s.user_name = r.user_name;
  s.calling_station_id = r.calling_station_id;
  s.circuit_id = r.circuit_id;
  s.remote_id = r.remote_id;
  s.nas_port_id = r.nas_port_id;
  s.nas_identifier = r.nas_identifier;
  for (const net::Ipv6Prefix& prefix : r.prefixes) s.prefixes.push_back({prefix, s.seen_from, s.seen_until});
  std::sort(s.prefixes.begin(), s.prefixes.end(), by_prefix);
  return s;
}

bool before(const Session& a, const Session& b) {
  if (const int order = a.nas.compare(b.nas)) return order < 0;
  if (const int order = a.id.compare(b.id)) return order < 0;
  if (a.seen_from != b.seen_from) return a.seen_from < b.seen_from;
  return a.begin != Begin::start && b.begin == Begin::start;
}

bool continues(const Session& session, const Session& next) {
  if (!session.user_name.empty() && !next.user_name.empty() && session.user_name != next.user_name)
    return false;
  if (new_prefixes(session, next) > kMaxPrefixes - session.prefixes.size()) return false;
  if (next.begin == Begin::start) {
    // It was there before this Start: another one.
    if (session.begin != Begin::start) return next.began.earliest <= session.seen_from + kSameStart;
    if (session.began == next.began) return true;
    if (session.end == End::stop && next.began.earliest >= session.ended.latest) return false;
    return distance(session.began.earliest, next.began.earliest) <= kSameStart;
  }
  if (next.begin == Begin::session_time && next.began.earliest > session.seen_until + kSameStart)
    return false;
  if (session.end != End::stop) return true;
  const uint64_t from = next.begin == Begin::unknown ? next.seen_from : next.began.earliest;
  return from <= session.ended.latest + kSameStart;
}

void combine(Session& session, const Session& next) {
  session.seen_from = std::min(session.seen_from, next.seen_from);
  session.seen_until = std::max(session.seen_until, next.seen_until);
  if (next.begin > session.begin) {
    session.begin = next.begin;
    session.began = next.began;
  } else if (next.begin == session.begin) {
    session.began = earlier(session.began, next.began);
  }
  if (next.end == End::stop) {
    session.ended = session.end == End::stop ? earlier(session.ended, next.ended) : next.ended;
    session.end = End::stop;
  }
  for (const auto text : kTexts)
    if ((session.*text).empty()) session.*text = next.*text;
  for (const Session::Held& held : next.prefixes) {
    const auto at = std::lower_bound(session.prefixes.begin(), session.prefixes.end(), held, by_prefix);
    if (at != session.prefixes.end() && at->prefix == held.prefix) {
      at->seen_from = std::min(at->seen_from, held.seen_from);
      at->seen_until = std::max(at->seen_until, held.seen_until);
    } else {
      session.prefixes.insert(at, held);
    }
  }
}

void end_by_reuse(Session& session, const Session& next) {
  const bool another_user = !next.user_name.empty() && session.user_name != next.user_name;
  if (next.begin == Begin::unknown && !another_user) return;
  const uint64_t latest = next.begin == Begin::unknown ? next.seen_from : next.began.latest;
  // It began when this one did: both go on, until the records say more.
  if (latest <= session.seen_from + kSameStart) return;
  if (session.end == End::stop && session.ended.earliest <= latest) return;
  session.end = End::reused;
  // Later records are not its own, though they were taken for that: how long it was there is not known then.
  const uint64_t seen = session.seen_until <= latest ? session.seen_until : session.seen_from;
  session.ended = {std::min(seen, latest), latest};
}

void encode(const Session& s, ledger::ByteWriter& out) {
  FieldWriter fields(out);
  out.byte(static_cast<uint8_t>(static_cast<unsigned>(s.begin) | static_cast<unsigned>(s.end) << 2));
  fields.time(s.seen_from);
  fields.time(s.seen_until);
  if (s.begin != Begin::unknown) {
    fields.time(s.began.earliest);
    fields.time(s.began.latest);
  }
  if (s.end != End::unknown) {
    fields.time(s.ended.earliest);
    fields.time(s.ended.latest);
  }
  for (const auto text : kTexts) out.text(s.*text);
  out.byte(static_cast<uint8_t>(s.prefixes.size()));
  for (const Session::Held& held : s.prefixes) {
    out.byte(held.prefix.length);
    out.bytes(held.prefix.address.bytes.data(), (held.prefix.length + 7u) / 8);
    fields.time(held.seen_from);
    fields.time(held.seen_until);
  }
}

void decode(ledger::ByteReader& in, Session& s) {
  FieldReader fields(in);
  const uint8_t how = in.byte();
  if ((how & 3) > static_cast<uint8_t>(Begin::start) || how >> 2 > static_cast<uint8_t>(End::reused))
    return in.fail();
  s.begin = static_cast<Begin>(how & 3);
  s.end = static_cast<End>(how >> 2);
  s.seen_from = fields.time();
  s.seen_until = fields.time();
  s.began = s.begin == Begin::unknown ? Span{} : fields.span();
  s.ended = s.end == End::unknown ? Span{} : fields.span();
  for (const auto text : kTexts) {
    s.*text = in.text();
    if ((s.*text).size() > kMaxText) return in.fail();
  }
  s.prefixes.clear();
  const unsigned prefixes = in.byte();
  if (prefixes > kMaxPrefixes) return in.fail();
  for (unsigned i = 0; i < prefixes; i++) {
    Session::Held held;
    held.prefix.length = in.byte();
    if (held.prefix.length == 0 || held.prefix.length > 128) return in.fail();
    const std::string_view bytes = in.bytes((held.prefix.length + 7u) / 8);
    std::copy(bytes.begin(), bytes.end(), held.prefix.address.bytes.begin());
    if (held.prefix.address != held.prefix.address.masked(held.prefix.length)) return in.fail();
    held.seen_from = fields.time();
    held.seen_until = fields.time();
    s.prefixes.push_back(held);
  }
}

}  // namespace culvert::logging::radius
