/// A subscriber's session, put together from its records: facts only. What follows from other sessions, or
/// from a restart of the NAS, is concluded when somebody asks (lookup.h), so that records may come in any
/// order, twice, and over many imports.
///
/// The records of a session have the same NAS and id (record.h), and are put together in the order of their
/// times. Where a NAS gives an id twice, a Start tells that another session begins; so do another User-Name,
/// an Acct-Session-Time that does not reach back to when the session was last seen, and a record after its
/// Stop.
///
/// Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "logging/ledger/bytes.h"
#include "logging/radius/record.h"

namespace culvert::logging::radius {

/// How it is known when a session began.
enum class Begin : uint8_t {
  unknown = 0,       ///< no Start, no Acct-Session-Time: some time before it was first seen
  session_time = 1,  ///< a later record's time less its Acct-Session-Time
  start = 2,         ///< Start
};
/// How it is known when a session ended.
enum class End : uint8_t {
  unknown = 0,  ///< no Stop came
  stop = 1,     ///< Stop
  reused = 2,   ///< no Stop, but the NAS began another session of the same id
};

/// Two Starts of one id this far apart, in s, are one that was sent twice, stamped by its arrival.
inline constexpr uint64_t kSameStart = 60;

struct Session {
  std::string nas, id;

  Begin begin = Begin::unknown;
  Span began;
  End end = End::unknown;
  Span ended;
  /// It was there at some time up to `seen_from` already, and at `seen_until` at least still: the least
  /// latest and the greatest earliest time of its records.
  uint64_t seen_from = 0, seen_until = 0;

  std::string session_id;  ///< Acct-Session-Id
  std::string user_name, calling_station_id, circuit_id, remote_id, nas_port_id, nas_identifier;

  /// A prefix, or an address, and the records that name it: by the first it was the session's already, by the
  /// last still.
  struct Held {
    net::Ipv6Prefix prefix;
    uint64_t seen_from = 0, seen_until = 0;
    bool operator==(const Held&) const = default;
  };
  std::vector<Held> prefixes;  ///< by address and length; kMaxPrefixes at most

  bool operator==(const Session&) const = default;
};

/// What one record says; not for accounting_on and accounting_off.
Session session_of(const Record& record);

/// The order in which sessions are put together, and that of the index: by NAS, id, and when they were first
/// seen. A Stop comes before the Start of the same second, which is the next session's.
bool before(const Session& a, const Session& b);

/// Whether `next` tells of the same session as `session`; both have the same NAS and id, and `next` does not
/// come before() it.
bool continues(const Session& session, const Session& next);
/// Adds what `next` tells of it. Of a text that both have, `session`'s stays.
void combine(Session& session, const Session& next);

/// `next` of the same NAS and id does not continue it: without a Stop it ended when that one began.
void end_by_reuse(Session& session, const Session& next);

/// All but NAS and id.
void encode(const Session& session, ledger::ByteWriter& out);
/// What is wrong makes the reader bad.
void decode(ledger::ByteReader& in, Session& session);

}  // namespace culvert::logging::radius
