#include "logging/query/finding.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "logging/query/inquiry.h"
#include "logging/query/tenure_book.h"

namespace culvert::logging::query {
namespace {

using ledger::Interval;

/// What of the event clock a tenure can have had.
Interval times_of(const Tenure& t) {
  return {t.since.event, t.end == Tenure::End::held ? UINT64_MAX : t.until.event};
}
Interval times_of(const SessionSpan& s) {
  return {s.since ? s.since->event : 0, s.until ? s.until->event : UINT64_MAX};
}

/// Gathers an answer.
class Search {
 public:
  Search(const ledger::Archive& archive, const Subject& subject, const std::vector<Interval>& when)
      : inquiry_(archive, subject) {
    for (const Interval& i : when) {
      for (const Stretch& s : inquiry_.stretches(i)) stretches_.push_back(s);
      for (const Doubt& d : inquiry_.elsewhere(i)) doubts_.push_back(d);
    }
  }

  /// Each stretch by itself: what lies between does not matter.
  void look_at_each() {
    for (const Stretch& s : stretches_) {
      look(s.segment, s.when);
      // Who holds something behind a hole may have held it in there.
      const bool before_all = s.when.to < inquiry_.opened(s.segment);
      if (s.in_hole && !before_all && s.segment + 1 < inquiry_.size()) look(s.segment + 1, s.when);
    }
    unite_sessions();
    sort();
  }

  /// From the first stretch on through to the last one.
  void look_through() {
    if (stretches_.empty()) return;
    Interval whole{UINT64_MAX, 0};
    size_t first = SIZE_MAX;
    for (const Stretch& s : stretches_) {
      whole = {std::min(whole.from, s.when.from), std::max(whole.to, s.when.to)};
      first = std::min(first, s.segment);
    }
    TenureBook book(inquiry_.subject());
    uint64_t seen = whole.from;
    for (size_t i = first; i < inquiry_.size(); i++) {
      read(book, i, i == first ? whole : Interval{0, UINT64_MAX}, seen);
      seen = inquiry_.known_until(i);
      if (i + 1 < inquiry_.size() && inquiry_.opened(i + 1) > whole.to && !book.open_since(whole.to)) break;
    }
    gather(book, seen, whole.to);
    sort();
  }

  Finding finding(uint8_t protocol) {
    Finding f;
    f.no_such_time = stretches_.empty();
    for (const Doubt& d : doubts_) add(f.caveats, d);
    const auto asked = [&](const auto& t) {
      const Holding& h = t.holding;
      return (!h.mapping || h.protocol == 0 || protocol == 0 || h.protocol == protocol) &&
             std::ranges::any_of(stretches_, [&](const Stretch& s) { return overlap(times_of(t), s.when); });
    };
    for (Tenure& t : tenures_)
      if (asked(t)) f.tenures.push_back(std::move(t));
    for (SessionSpan& s : sessions_)
      if (asked(s)) f.sessions.push_back(std::move(s));
    for (const Stretch& s : stretches_)
      for (const Doubt& d : inquiry_.doubts(s)) add(f.caveats, d);
    date(f);
    return f;
  }

 private:
  /// Reads a segment as far as it takes to know all of `when`, and the ends of what was held then.
  void read(TenureBook& book, size_t segment, Interval when, uint64_t seen) {
    bool first = true;
    if (inquiry_.hole_before(segment)) book.forget_sessions();
    inquiry_.answer(segment, when.from, [&](const ledger::Answer& part, uint64_t begin, uint64_t next) {
      if (first)
        book.begin(inquiry_.facts(segment), part, begin, std::min(seen, begin), inquiry_.gaps(segment));
      else
        book.add(part, inquiry_.gaps(segment));
      first = false;
      return next <= when.to || book.open_since(when.to);
    });
  }

  void look(size_t segment, Interval when) {
    TenureBook book(inquiry_.subject());
    read(book, segment, when, UINT64_MAX);
    // What is held at the end of a segment ends in a later one.
    size_t at = segment;
    while (book.open_since(when.to) && at + 1 < inquiry_.size()) {
      const uint64_t seen = inquiry_.known_until(at);
      const size_t next = std::max(at + 1, last_unchanged(book, at, when.to));
      // What is in between is not read: whose sessions are behind it, nobody can tell.
      if (next != at + 1) book.leave_sessions();
      at = next;
      read(book, at, {0, when.to}, seen);
    }
    // Those that began later were followed no further.
    gather(book, inquiry_.known_until(at), when.to);
  }

  /// The last segment that begins with what is open since `time`, or before, as it is. One held for months is
  /// not looked for in every day of them.
  size_t last_unchanged(TenureBook& book, size_t from, uint64_t time) {
    const auto unchanged = [&](size_t segment) {
      bool same = false;
      inquiry_.answer(segment, 0, [&](const ledger::Answer& part, uint64_t, uint64_t) {
        same = book.goes_on(inquiry_.facts(segment), part, time);
        return false;
      });
      return same;
    };
    size_t last = from, step = 1;
    for (; last + step < inquiry_.size() && unchanged(last + step); step *= 2) last += step;
    for (size_t end = std::min(last + step, inquiry_.size()); end - last > 1;) {
      const size_t middle = last + (end - last) / 2;
      (unchanged(middle) ? last : end) = middle;
    }
    return last;
  }

  void gather(TenureBook& book, uint64_t seen, uint64_t begun) {
    // Another stretch may have told of the same one. In one ms somebody can have the same thing twice.
    std::vector<bool> told(tenures_.size());
    const size_t before = tenures_.size();
    for (Tenure& t : book.take_tenures(seen)) {
      if (t.since.event > begun) continue;
      size_t known = 0;
      while (known < before && (told[known] || !same(tenures_[known], t))) known++;
      if (known < before)
        told[known] = true;
      else
        tenures_.push_back(std::move(t));
    }
    for (SessionSpan& s : book.take_sessions()) sessions_.push_back(std::move(s));
  }

  static bool same(const Tenure& a, const Tenure& b) {
    return a.holding == b.holding && a.subscriber == b.subscriber && a.since.event == b.since.event &&
           a.end == b.end && times_of(a).to == times_of(b).to;
  }
  /// Who was read from behind a session's beginning, or not up to its end, knows less of it.
  void unite_sessions() {
    const auto of = [](const SessionSpan& s) {
      return std::tie(s.holding, s.subscriber, s.internal, s.internal_port, s.destination,
                      s.destination_port);
    };
    const auto within = [](const std::optional<Moment>& less, const std::optional<Moment>& more) {
      return !less || less == more;
    };
    std::vector<SessionSpan> united;
    for (SessionSpan& s : sessions_) {
      const auto known = std::ranges::find_if(united, [&](const SessionSpan& u) {
        return of(s) == of(u) && ((within(s.since, u.since) && within(s.until, u.until)) ||
                                  (within(u.since, s.since) && within(u.until, s.until)));
      });
      if (known == united.end())
        united.push_back(std::move(s));
      else if (within(known->since, s.since) && within(known->until, s.until))
        *known = std::move(s);
    }
    sessions_ = std::move(united);
  }
  void sort() {
    std::ranges::sort(tenures_, [](const Tenure& a, const Tenure& b) {
      return std::tuple(a.since.event, a.holding.key()) < std::tuple(b.since.event, b.holding.key());
    });
  }

  static void add(std::vector<Caveat>& caveats, const Doubt& d) {
    Caveat c{{d.when.from, 0}, {d.when.to, 0}, d.what};
    const auto known = std::ranges::find_if(caveats, [&](const Caveat& other) {
      return other.what == c.what && other.from == c.from && other.to == c.to;
    });
    if (known == caveats.end()) caveats.push_back(std::move(c));
  }

  /// Puts in what the system's clock showed.
  void date(Finding& f) {
    const auto date = [this](Moment& m) { m.system = inquiry_.system_time(m.event); };
    for (Tenure& t : f.tenures)
      for (Moment* m : {&t.since, &t.until, &t.seen}) date(*m);
    for (SessionSpan& s : f.sessions)
      for (auto* m : {&s.since, &s.until})
        if (*m) date(**m);
    for (Caveat& c : f.caveats)
      for (Moment* m : {&c.from, &c.to}) date(*m);
  }

  Inquiry inquiry_;
  std::vector<Stretch> stretches_;
  std::vector<Doubt> doubts_;  ///< whether these are all
  std::vector<Tenure> tenures_;
  std::vector<SessionSpan> sessions_;
};

/// Searches; where a segment turns out to be unreadable, as if it were not there.
Finding search(ledger::Archive& archive, const std::function<Finding()>& once) {
  for (;;) {
    try {
      return once();
    } catch (const Unreadable& e) {
      archive.give_up(e.segment, e.what());
    }
  }
}

}  // namespace

Finding who(ledger::Archive archive, const Place& place, uint8_t protocol,
            const std::vector<Interval>& when) {
  return search(archive, [&] {
    Search s(archive, place, when);
    s.look_at_each();
    return s.finding(protocol);
  });
}

Finding history(ledger::Archive archive, const net::Ipv6Prefix& prefix, const std::vector<Interval>& when) {
  return search(archive, [&] {
    Search s(archive, prefix, when);
    s.look_through();
    return s.finding(0);
  });
}

}  // namespace culvert::logging::query
