// `culvert log who` and `subscriber`: what an archive answers is what happened, or it says that it does not
// know (docs/log.md).
#include <fmt/format.h>
#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "archive_history.h"
#include "logging/ledger/segment_reader.h"
#include "logging/query/finding.h"
#include "test_directory.h"

using namespace culvert::logging;
using namespace culvert::logging::query;
using culvert::logging::ledger::Archive;
using culvert::logging::ledger::Interval;
using culvert::test::ArchiveHistory;
using culvert::test::TestDirectory;
namespace net = culvert::net;

namespace {

std::string what_of(const Holding& h) {
  return h.mapping ? fmt::format("{}:{}/{}", h.external.text(), h.first_port, h.protocol)
                   : fmt::format("{}:{}-{}", h.external.text(), h.first_port, h.last_port);
}
std::string text(const std::string& who, const std::string& what, uint64_t since, const std::string& until) {
  return fmt::format("{} had {} from {} to {}", who, what, since, until);
}

/// What was found; without ends that are not on record, if there are to be none.
std::multiset<std::string> found(const Finding& f, bool with_ends) {
  std::multiset<std::string> all;
  for (const Tenure& t : f.tenures) {
    const bool ended = t.end == Tenure::End::ended;
    all.insert(text(net::subscriber_text(t.subscriber.prefix, t.subscriber.length), what_of(t.holding),
                    t.since.event,
                    !with_ends ? "?"
                    : ended    ? std::to_string(t.until.event)
                               : "now"));
  }
  return all;
}
std::multiset<std::string> expected(const std::vector<ArchiveHistory::Fact>& facts, bool with_ends) {
  std::multiset<std::string> all;
  for (const auto& f : facts)
    all.insert(text(f.who, f.what, f.since, !with_ends ? "?" : f.until ? std::to_string(*f.until) : "now"));
  return all;
}

struct Question {
  std::optional<net::Ipv6Prefix> subscriber;  ///< what he had; else who had the port
  net::Ipv4Address address;
  uint16_t port = 0;
  uint8_t protocol = 0;
  Interval when;
};
/// A time when something happened, or a little off, as the system's clock may have shown it.
Interval random_time(ArchiveHistory& h) {
  uint64_t event = culvert::test::kBegin;
  if (!h.facts().empty()) {
    const auto& f = h.facts()[h.below(static_cast<uint32_t>(h.facts().size()))];
    event = h.below(2) == 0 ? f.since : f.until.value_or(h.last_time());
  }
  event += h.below(4) == 0 ? h.below(3'000'000) : h.below(5);
  event -= h.below(4) == 0 ? h.below(3'000'000) : h.below(5);
  const int64_t ahead =
      h.clock().empty() ? 0 : h.clock()[h.below(static_cast<uint32_t>(h.clock().size()))].second;
  const uint64_t system = event + static_cast<uint64_t>(ahead);
  const uint64_t within = h.below(3) == 0 ? h.below(100'000) : 0;
  return {system - within, system + within};
}
/// Who had something that there is.
Question who_had(ArchiveHistory& h) {
  Question q;
  q.address = ArchiveHistory::address(h.below(2));
  q.port = h.below(3) == 0 ? static_cast<uint16_t>(40'000 + h.below(2))
                           : static_cast<uint16_t>(1024 + 512 * h.below(3) + h.below(512));
  q.protocol = h.below(2) == 0 ? 0 : h.below(2) == 0 ? 6 : 17;
  q.when = random_time(h);
  return q;
}
/// What somebody had, or two neighbours, or all of them.
Question what_had(ArchiveHistory& h) {
  Question q;
  const auto who = culvert::net::mapped(net::Ipv4Address(0x64400000u + h.below(4)));
  const auto length = static_cast<uint8_t>(h.below(2) == 0 ? 128 : 120 + h.below(8));
  q.subscriber = net::Ipv6Prefix{who.masked(length), length};
  q.when = random_time(h);
  return q;
}

Finding ask(const ArchiveHistory& h, const Question& q) {
  if (q.subscriber) return history(Archive(h.directory()), *q.subscriber, {q.when});
  return who(Archive(h.directory()), {q.address, q.port}, q.protocol, {q.when});
}
std::vector<ArchiveHistory::Fact> facts_of(const ArchiveHistory& h, const Question& q,
                                           const std::vector<Interval>& times) {
  return q.subscriber ? h.history(*q.subscriber, times) : h.who(q.address, q.port, q.protocol, times);
}

/// The time of the last record; UINT64_MAX: it cannot be read.
uint64_t end_of(const Archive& archive) {
  if (archive.segments().empty()) return UINT64_MAX;
  try {
    culvert::logging::ledger::SegmentReader last(archive.segments().back().file, nullptr);
    uint64_t end = last.opened();
    while (last.next()) end = last.record().time;
    return end;
  } catch (const std::runtime_error&) {
    return UINT64_MAX;
  }
}

/// Takes something away from the archive, or damages it.
void hurt(ArchiveHistory& h) {
  using culvert::logging::ledger::list_segments;
  const auto files = list_segments(h.directory());
  const auto& file = files[h.below(static_cast<uint32_t>(files.size()))];
  const uint64_t size = std::filesystem::file_size(file.path);
  switch (h.below(4)) {
    case 0: {  // retention
      for (uint32_t n = h.below(static_cast<uint32_t>(files.size())); n-- > 0;)
        std::filesystem::remove(files[n].path);
      return;
    }
    case 1:
      std::filesystem::remove(file.path);
      return;
    case 2:
      std::filesystem::resize_file(file.path, h.random().below(static_cast<uint32_t>(size)));
      return;
    default: {
      std::fstream f(file.path, std::ios::in | std::ios::out | std::ios::binary);
      const auto at = static_cast<std::streamoff>(h.below(static_cast<uint32_t>(size)));
      f.seekg(at);
      const int old = f.get();
      f.seekp(at);
      f.put(static_cast<char>(old ^ static_cast<int>(1 + h.below(255))));
      return;
    }
  }
}

/// Whether what happened then may not be on record: before the beginning, around crashes of the machine and
/// at the end.
bool doubtful(const ArchiveHistory& h, const std::vector<Interval>& times) {
  return std::ranges::any_of(times, [&](Interval t) {
    return t.from < culvert::test::kBegin || t.to >= h.last_time() ||
           std::ranges::any_of(h.uncertain(), [&](Interval u) { return u.from <= t.to && t.from <= u.to; });
  });
}

/// Asks a whole archive: it must be right, and complete where there is no doubt.
void ask_whole(ArchiveHistory& h, const Question& q) {
  const Finding f = ask(h, q);
  const auto times = h.event_times(q.when);
  RC_ASSERT(found(f, true) == expected(facts_of(h, q, times), true));
  RC_ASSERT(f.complete() == !doubtful(h, times));
  RC_ASSERT(f.no_such_time == times.empty());
}

/// Asks one that retention has shortened: as if it were whole, of all times after its beginning.
void ask_shortened(ArchiveHistory& h, const Question& q) {
  const uint64_t begin = Archive(h.directory()).segments().front().opened;
  const Finding f = ask(h, q);
  const auto times = h.event_times(q.when);
  const bool before = static_cast<int64_t>(q.when.from) <= h.latest_shown(begin);
  if (!before) RC_ASSERT(f.complete() == !doubtful(h, times));
  if (!before || f.complete()) RC_ASSERT(found(f, true) == expected(facts_of(h, q, times), true));
}

/// Asks one of which something is missing: whenever it says that its answer is complete, that must be right.
void ask_hurt(ArchiveHistory& h, const Question& q, uint64_t end) {
  // Whether it still knows of a step of the clock in its very last ms, times do not tell.
  if (std::ranges::any_of(h.clock(), [&](const auto& step) { return step.first == end; })) return;
  const Finding f = ask(h, q);
  if (!f.complete()) return;
  const auto facts = facts_of(h, q, h.event_times(q.when, end));
  RC_ASSERT(found(f, false) == expected(facts, false));
  for (const Tenure& t : f.tenures)
    RC_ASSERT(std::ranges::any_of(facts, [&](const auto& fact) {
      if (fact.what != what_of(t.holding) || fact.since != t.since.event) return false;
      const uint64_t until = fact.until.value_or(UINT64_MAX);
      switch (t.end) {
        case Tenure::End::ended:
          return until == t.until.event;
        case Tenure::End::lost:
          return until >= t.seen.event && until <= t.until.event;
        case Tenure::End::held:
          return until >= t.seen.event;
      }
      return false;
    }));
}

}  // namespace

TEST_CASE("who: random histories answer as a plain list of what happened", "[logging][archive]") {
  rc::prop("", [](uint64_t seed) {
    TestDirectory directory;
    ArchiveHistory h(directory.path("l"), seed);
    h.live(20 + h.below(300));
    if (h.below(4) != 0) h.seal(h.below(3) == 0);
    for (int i = 0; i < 20; i++) ask_whole(h, who_had(h));
  });
}

TEST_CASE("subscriber: random histories answer as a plain list of what happened", "[logging][archive]") {
  rc::prop("", [](uint64_t seed) {
    TestDirectory directory;
    ArchiveHistory h(directory.path("l"), seed);
    h.live(20 + h.below(300));
    if (h.below(4) != 0) h.seal(h.below(3) == 0);
    for (int i = 0; i < 20; i++) ask_whole(h, what_had(h));
  });
}

TEST_CASE("who, subscriber: retention takes what is before the archive's beginning, and nothing else",
          "[logging][archive]") {
  rc::prop("", [](uint64_t seed) {
    TestDirectory directory;
    ArchiveHistory h(directory.path("l"), seed);
    for (int run = 0; run < 3; run++) {
      h.live(20 + h.below(150));
      RC_CLASSIFY(h.retain(), "something was removed");
    }
    h.live(20 + h.below(150));
    for (int i = 0; i < 20; i++) ask_shortened(h, i % 4 == 3 ? what_had(h) : who_had(h));
  });
}

TEST_CASE("who, subscriber: what is missing or damaged is never complete", "[logging][archive]") {
  rc::prop("", [](uint64_t seed) {
    TestDirectory directory;
    ArchiveHistory h(directory.path("l"), seed);
    h.live(20 + h.below(300));
    h.seal(h.below(2) == 0);
    hurt(h);
    const uint64_t end = end_of(Archive(h.directory()));
    for (int i = 0; i < 20; i++) ask_hurt(h, i % 4 == 3 ? what_had(h) : who_had(h), end);
  });
}

namespace {

/// A ledger that is written by hand: sessions of the subscriber 100.64.0.1 on 192.0.2.1:1500, in a block that
/// he has.
class Sessions {
 public:
  explicit Sessions(const std::string& path)
      : ledger_(path, now_, {.tell = [](const std::string&) {}}), path_(path) {
    REQUIRE(ledger_.start("test", now_) == ledger::Ledger::Commit::done);
    ledger_.define(culvert::test::homes(), now_);
    ledger_.take(culvert::test::allocated(now_, ++sequence_, 1, 0), 1, 1);
  }
  void put(EventKind kind, uint16_t destination_port) {
    Event e;
    e.kind = kind;
    e.time = now_ += 1000;
    e.sequence = ++sequence_;
    e.subscriber = net::mapped(net::Ipv4Address(0x64400001u));
    e.external = net::Ipv4Address(0xc0000201);
    e.first_port = e.last_port = 1500;
    e.protocol = 6;
    e.internal_port = 5555;
    e.destination = net::Ipv4Address(0xc6336401);
    e.destination_port = destination_port;
    ledger_.take(e, 1, 1);
    REQUIRE(ledger_.commit(now_) == ledger::Ledger::Commit::done);
  }
  void next_segment() { REQUIRE(ledger_.next_segment(now_) == ledger::Ledger::Commit::done); }

  /// Those at times after the beginning: destination's port and span, 0: not known.
  std::vector<std::string> who(uint64_t from, uint64_t to) const {
    const Interval when{culvert::test::kBegin + from, culvert::test::kBegin + to};
    return texts(query::who(Archive(path_), {net::Ipv4Address(0xc0000201), 1500}, 6, {when}));
  }
  std::vector<std::string> history(uint64_t from, uint64_t to) const {
    const Interval when{culvert::test::kBegin + from, culvert::test::kBegin + to};
    return texts(query::history(Archive(path_), {net::mapped(net::Ipv4Address(0x64400001u)), 128}, {when}));
  }

 private:
  static std::vector<std::string> texts(const Finding& f) {
    const auto time = [](const std::optional<Moment>& m) {
      return m ? m->event - culvert::test::kBegin : uint64_t{0};
    };
    std::vector<std::string> all;
    for (const SessionSpan& s : f.sessions)
      all.push_back(fmt::format("{} from {} to {}", s.destination_port, time(s.since), time(s.until)));
    return all;
  }

  uint64_t now_ = culvert::test::kBegin, sequence_ = 0;
  ledger::Ledger ledger_;
  std::string path_;
};

}  // namespace

TEST_CASE("who, subscriber: sessions are told of once, with the ends that are known for theirs",
          "[logging][archive]") {
  TestDirectory directory;
  Sessions s(directory.path("l"));
  using Texts = std::vector<std::string>;
  s.put(EventKind::session_created, 443);  // 1000
  s.put(EventKind::session_created, 80);   // 2000
  s.put(EventKind::session_deleted, 443);  // 3000
  s.next_segment();
  s.put(EventKind::session_deleted, 80);  // 4000
  s.put(EventKind::session_created, 80);  // 5000
  s.next_segment();
  s.put(EventKind::session_deleted, 80);   // 6000
  s.put(EventKind::session_created, 443);  // 7000

  CHECK(s.who(500, 500) == Texts{});
  CHECK(s.who(1500, 1500) == Texts{"443 from 1000 to 3000"});
  CHECK(s.who(2500, 2500) == Texts{"443 from 1000 to 3000", "80 from 2000 to 0"});
  // Segments that are looked at each by itself: none tells of both ends of the second.
  CHECK(s.who(2500, 4500) == Texts{"443 from 1000 to 3000", "80 from 2000 to 0", "80 from 0 to 4000"});
  CHECK(s.who(4500, 6500) == Texts{"80 from 5000 to 6000"});  // the last one has its end only
  CHECK(s.who(6500, 6500) == Texts{});
  CHECK(s.who(8000, 8000) == Texts{"443 from 7000 to 0"});
  CHECK(s.history(2500, 6500) ==
        Texts{"443 from 1000 to 3000", "80 from 2000 to 4000", "80 from 5000 to 6000"});
}

TEST_CASE("who: an archive that lacks its beginning knows which times it can have", "[logging][archive]") {
  using culvert::logging::ledger::ClockNote;
  TestDirectory directory;
  const std::string path = directory.path("l");
  uint64_t now = culvert::test::kBegin;
  {
    ledger::Ledger l(path, now, {.tell = [](const std::string&) {}});
    const auto done = [](ledger::Ledger::Commit c) { REQUIRE(c == ledger::Ledger::Commit::done); };
    done(l.start("test", now));
    l.define(culvert::test::homes(), now);
    l.take(culvert::test::allocated(now += 1000, 1, 1, 0), 1, 1);
    // An hour ahead for a second.
    l.note(now += 1000, ClockNote{3'600'000});
    l.note(now += 1000, ClockNote{0});
    done(l.next_segment(now));
    l.take(culvert::test::released(now += 10'000'000, 2, 1, 0), 1, 1);
    done(l.stop(now));
  }
  const auto complete = [&](uint64_t after) {
    const Interval when{culvert::test::kBegin + after, culvert::test::kBegin + after};
    return who(Archive(path), {net::Ipv4Address(0xc0000201), 1024}, 0, {when}).complete();
  };
  CHECK(complete(2500));
  CHECK(complete(3'602'500));
  CHECK(complete(3'700'000));
  std::filesystem::remove(ledger::list_segments(path).front().path);
  CHECK_FALSE(complete(2500));
  CHECK_FALSE(complete(3'602'500));  // then, or an hour before that
  CHECK(complete(3'700'000));
}
