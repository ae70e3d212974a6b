/// Follows what segments answer, one after the other, and makes tenures of it: who had what, from when to
/// when.
///
/// A segment begins with what it carries, so nothing that came before is needed. Where it carries something
/// else than the segment before ended with, the end of that is lost.
///
/// Belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "logging/ledger/sealed_query.h"
#include "logging/ledger/takeovers.h"
#include "logging/query/segment_facts.h"
#include "logging/query/subject.h"
#include "logging/query/tenure.h"

namespace culvert::logging::query {

class TenureBook {
 public:
  /// What answers have beyond the subject is left out: other subscribers, other ports.
  explicit TenureBook(const Subject& subject) {
    if (const auto* prefix = std::get_if<net::Ipv6Prefix>(&subject)) only_ = *prefix;
    if (const auto* place = std::get_if<Place>(&subject)) port_ = place->port;
  }

  /// A segment begins, or a part of it with which the book begins: what is carried holds at `from`, and what
  /// the book knows was true at `seen` at last. `facts` live as long as the segment's parts are added.
  /// `gaps`: times behind which something of the segment is missing, in order: what of it is not on record
  /// there may have happened since.
  void begin(const SegmentFacts& facts, const ledger::Answer& part, uint64_t from, uint64_t seen,
             std::vector<uint64_t> gaps);
  /// The segment's next part; its carried records say nothing new.
  void add(const ledger::Answer& part, std::vector<uint64_t> gaps);

  /// What comes between is not there: a session that is open may end there.
  void forget_sessions() { open_sessions_.clear(); }
  /// From here on sessions are not looked for.
  void leave_sessions() { sessions_left_ = true; }

  /// Whether what is open since this time or before is carried by a later segment, as it is: then nothing
  /// happened to it between. `part`: that segment's first.
  bool goes_on(const SegmentFacts& facts, const ledger::Answer& part, uint64_t time);

  /// Those that ended, then those that are open; system times are not filled in.
  std::vector<Tenure> take_tenures(uint64_t seen);
  std::vector<SessionSpan> take_sessions() { return std::move(sessions_); }
  /// Whether one is open that began at this time or before.
  bool open_since(uint64_t time) const;

 private:
  using Key = decltype(Holding().key());
  /// Holding, internal endpoint, destination.
  using SessionKey = std::tuple<Key, std::string, uint16_t, uint32_t, uint16_t>;

  void use(const ledger::Answer& part);
  std::optional<Tenure> carried(const ledger::Record& r, std::map<Key, uint64_t>& resting) const;
  std::optional<Subscriber> who(uint64_t number) const;
  bool wanted(const Holding& h) const { return !port_ || (h.first_port <= *port_ && *port_ <= h.last_port); }
  std::optional<Holding> block(uint64_t number) const;
  std::optional<Tenure> mapping(const ledger::Binding& b, uint64_t since) const;
  void take(const ledger::Record& r);
  void allocated(const ledger::Record& r);
  void released(const ledger::Record& r);
  void mapping_created(const ledger::Record& r);
  void mapping_deleted(const ledger::Record& r);
  void session(const ledger::Record& r);
  void end(Tenure t, uint64_t time, Reason reason, uint64_t peak);
  void lose(Tenure t, uint64_t seen, uint64_t until);
  void end_unseen(Tenure t, uint64_t time, Reason reason, uint64_t peak);
  uint64_t unseen_beginning(uint64_t time) const;
  std::optional<uint64_t> gap_since(uint64_t time) const;

  std::optional<net::Ipv6Prefix> only_;
  std::optional<uint16_t> port_;
  const SegmentFacts* facts_ = nullptr;
  const ledger::Answer* part_ = nullptr;
  std::map<uint64_t, ledger::AddressRange> blocks_;  ///< of the part, by the number of the first block
  uint64_t begun_ = 0;                               ///< nothing is known of what was before
  std::vector<uint64_t> gaps_;                       ///< of the segment
  std::map<Key, Tenure> open_;
  /// Those of them whose end may be missing, and since when: what was damaged did not say whether they go on.
  std::map<Key, uint64_t> unsure_;
  std::vector<Tenure> ended_;
  /// Their places in ended_.
  ledger::Takeovers<Key, size_t> takeovers_;
  bool sessions_left_ = false;
  std::vector<SessionSpan> sessions_;
  std::map<SessionKey, size_t> open_sessions_;  ///< places in sessions_
};

}  // namespace culvert::logging::query
