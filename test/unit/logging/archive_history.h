/// Made-up ledgers, written by the Ledger itself through segments, restarts, crashes and steps of the clock,
/// with a plain list of who had what beside them, which answers the questions that `culvert log who` answers.
/// All of one follows from a seed.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ledger_writing.h"
#include "logging/ledger/ledger.h"
#include "logging/ledger/retention.h"
#include "logging/ledger/sealed_format.h"
#include "logging/ledger/sealing.h"
#include "net/hash.h"

namespace culvert::test {

class ArchiveHistory {
 public:
  using Interval = logging::ledger::Interval;

  /// Somebody had a block, or an endpoint. Event clock; without an end he has it still.
  struct Fact {
    std::string who, what;
    net::Ipv6Address subscriber;
    uint16_t first_port = 0, last_port = 0;
    uint8_t protocol = 0;  ///< of a mapping; 0: a block
    net::Ipv4Address address;
    uint64_t since = 0;
    std::optional<uint64_t> until;
  };

  ArchiveHistory(std::string directory, uint64_t seed)
      : directory_(std::move(directory)), random_(seed), segment_events_(5 + below(40)) {
    open();
    start();
  }

  void live(unsigned steps) {
    for (unsigned i = 0; i < steps; i++) step();
    commit();
    if (below(2) == 0) stop();
    ledger_.reset();
  }
  /// Seals some segments that have ended, or all.
  void seal(bool all = false) {
    const auto live = logging::ledger::unsealed(directory_, all || below(8) == 0);
    size_t count = all ? live.size() : below(static_cast<uint32_t>(live.size() + 1));
    for (const auto& path : live)
      if (count-- == 0)
        break;
      else
        REQUIRE(logging::ledger::seal_one(path, [](const auto&) { return true; }, [](const std::string&) {}));
  }

  /// Another run begins, seals what ended before it, and removes what `log-retention` does not want: so it
  /// may go on from here. Whether something was removed.
  bool retain() {
    using namespace logging::ledger;
    now_ += below(40'000'000);
    open();
    start();
    const auto note = [this](Type type, const SegmentNote& segment) {
      ledger_->note(now_, type, segment);
      commit();
      return true;
    };
    for (const auto& path : unsealed(directory_, false))
      REQUIRE(seal_one(
          path, [&](const SegmentNote& segment) { return note(Type::sealed, segment); },
          [](const std::string&) {}));
    Retention retention;
    (below(2) == 0 ? retention.age_ms : retention.bytes) = 1 + below(below(2) == 0 ? 50'000'000 : 20'000);
    const auto old = to_retire(directory_, retention, now_);
    for (const Retired& r : old) {
      note(Type::retired, r.note);
      logging::ledger::retire(r);
    }
    return !old.empty();
  }

  /// The latest time that the system's clock showed up to then.
  int64_t latest_shown(uint64_t event) const {
    int64_t latest = INT64_MIN;
    for (size_t i = 0; i < model_.clock.size() && (i == 0 || model_.clock[i].first <= event); i++) {
      const uint64_t end = i + 1 < model_.clock.size() ? std::min(event, model_.clock[i + 1].first) : event;
      latest = std::max(latest, static_cast<int64_t>(end) + model_.clock[i].second);
    }
    return latest;
  }
  /// Whoever had this port, for this protocol (0: any), at a time of the system's clock.
  std::vector<Fact> who(net::Ipv4Address address, uint16_t port, uint8_t protocol,
                        const std::vector<Interval>& times) const {
    return select(times, [&](const Fact& f) {
      return f.address == address && port >= f.first_port && port <= f.last_port &&
             (f.protocol == 0 || protocol == 0 || f.protocol == protocol);
    });
  }
  /// What those in a prefix had.
  std::vector<Fact> history(const net::Ipv6Prefix& prefix, const std::vector<Interval>& times) const {
    return select(times, [&](const Fact& f) {
      return f.subscriber.masked(prefix.length) == prefix.address.masked(prefix.length);
    });
  }
  /// What times of the system's clock are by the event clock, in all the stretches between two steps of it;
  /// of steps from `archive_end` on nothing is known.
  std::vector<Interval> event_times(Interval system, uint64_t archive_end = UINT64_MAX) const {
    std::vector<Interval> all;
    const auto back = [](uint64_t t, int64_t ahead) {
      return t == UINT64_MAX ? t
                             : static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(t) - ahead));
    };
    const auto known = [&](size_t i) {
      return i < model_.clock.size() && (i == 0 || model_.clock[i].first < archive_end);
    };
    for (size_t i = 0; known(i); i++) {
      const auto [from, ahead] = model_.clock[i];
      const uint64_t begin = i == 0 ? 0 : from, end = known(i + 1) ? model_.clock[i + 1].first : UINT64_MAX;
      const Interval piece{std::max(begin, back(system.from, ahead)), std::min(end, back(system.to, ahead))};
      if (piece.from <= piece.to) all.push_back(piece);
    }
    return all;
  }

  const std::vector<Fact>& facts() const { return model_.facts; }
  const std::vector<Interval>& uncertain() const { return model_.uncertain; }
  /// Event clock and how far the system's was ahead from then on.
  const std::vector<std::pair<uint64_t, int64_t>>& clock() const { return model_.clock; }
  uint64_t last_time() const { return model_.last_time; }
  const std::string& directory() const { return directory_; }

  net::Random& random() { return random_; }
  uint32_t below(uint32_t n) { return random_.below(n); }
  static net::Ipv4Address address(uint32_t n) { return net::Ipv4Address(0xc0000200 + n % 4); }

 private:
  template <typename Is>
  std::vector<Fact> select(const std::vector<Interval>& times, Is&& is) const {
    std::vector<Fact> found;
    for (const Fact& f : model_.facts) {
      const auto has = [&](Interval i) { return f.since <= i.to && f.until.value_or(UINT64_MAX) >= i.from; };
      if (is(f) && std::ranges::any_of(times, has)) found.push_back(f);
    }
    return found;
  }

  using Event = logging::Event;
  using Kind = logging::EventKind;
  struct Model {
    std::vector<Fact> facts;
    std::map<std::string, size_t> open;  ///< places in facts, by what
    std::vector<Interval> uncertain;
    std::vector<std::pair<uint64_t, int64_t>> clock;
    uint64_t last_time = kBegin;
  };

  void open() {
    ledger_.reset();
    ledger_ = std::make_unique<logging::ledger::Ledger>(
        directory_, now_,
        logging::ledger::Ledger::Options{.tell = [](const std::string&) {},
                                         .segment_events = segment_events_});
    now_ = std::max(now_, ledger_->last_time());
  }
  /// A run of culvertd begins.
  void start() {
    REQUIRE(ledger_->start("test", now_) == logging::ledger::Ledger::Commit::done);
    ledger_->define(homes(), now_);
    note_clock();
    commit();
  }
  void note_clock() {
    if (ledger_->pending()) commit();
    if (model_.clock.empty()) model_.clock.emplace_back(now_, 0);
    if (ledger_->state().clock_ahead() == ahead_) return;
    ledger_->note(now_, logging::ledger::ClockNote{ahead_});
    model_.clock.emplace_back(now_, ahead_);
    model_.last_time = now_;
  }
  void commit() {
    commit_events();
    model_.last_time = std::max(model_.last_time, ledger_->last_time());
    committed_ = model_;
    ring_.clear();
  }
  void commit_events() {
    do REQUIRE(ledger_->commit(now_) == logging::ledger::Ledger::Commit::done);
    while (ledger_->pending());
  }
  void stop() {
    REQUIRE(ledger_->stop(now_) == logging::ledger::Ledger::Commit::done);
    model_.last_time = std::max(model_.last_time, ledger_->last_time());
  }

  void step() {
    now_ += below(3) == 0 ? 0 : below(2000);
    switch (below(60)) {
      case 0:
        now_ += below(40'000'000);  // half a night
        break;
      case 1:
        ahead_ += static_cast<int64_t>(below(40'000)) - 20'000;
        return note_clock();
      case 2:
        if (below(3) == 0)
          ahead_ = below(2) == 0 ? 0 : static_cast<int64_t>(below(200'000'000)) - 100'000'000;
        return note_clock();
      case 3:
        commit();
        stop();
        now_ += below(10'000);
        open();
        return start();
      case 4:
        return crash();
      case 5:
        return crash_machine();
      case 6:
      case 7:
      case 8:
        return mapping();
      case 9:
      case 10:
      case 11:
        return commit();
      default:
        block();
    }
    if (ledger_->full()) commit();
  }

  /// The process ends in the midst; what is in the rings is put in again.
  void crash() {
    const std::deque<Event> ring = ring_;
    model_.clock = committed_.clock;
    open();
    for (const Event& e : ring) {
      if (ledger_->full() || ledger_->ripe(e.time)) commit_events();
      ledger_->take(e, 1, epoch_);
    }
    commit_events();
    commit();
    now_ += below(1000);
    start();
  }
  /// What was not on the disk is gone.
  void crash_machine() {
    model_ = committed_;
    ring_.clear();
    epoch_++;
    sequence_ = 0;
    std::ofstream(directory_ + "/lock") << "another run of the machine\n";
    const uint64_t from = model_.last_time;
    now_ += below(1000);
    open();
    model_.uncertain.push_back({from, now_});
    start();
  }

  void push(Event e, bool with_last = false) {
    if (!with_last && (ledger_->full() || ledger_->ripe(now_))) commit();
    e.time = now_;
    e.sequence = ++sequence_;
    ring_.push_back(e);
    ledger_->take(e, 1, epoch_);
    model_.last_time = now_;
  }
  void end(const std::string& what) {
    const auto open = model_.open.find(what);
    if (open == model_.open.end()) return;
    model_.facts[open->second].until = now_;
    model_.open.erase(open);
  }
  void begin(Fact f) {
    model_.open[f.what] = model_.facts.size();
    model_.facts.push_back(std::move(f));
  }

  void block() {
    const auto n = static_cast<uint16_t>(below(3));
    const auto who = static_cast<uint8_t>(below(4));
    Event e = allocated(now_, 0, who, n);
    e.external = address(below(2));
    Fact f{.who = net::subscriber_text(e.subscriber, 128),
           .what = fmt::format("{}:{}-{}", e.external.text(), e.first_port, e.last_port),
           .subscriber = e.subscriber,
           .first_port = e.first_port,
           .last_port = e.last_port,
           .address = e.external,
           .since = now_};
    const bool held = model_.open.contains(f.what);
    if (held && below(10) != 0) {
      Event r = released(now_, 0, who, n);
      r.external = e.external;
      push(r);
      return end(f.what);
    }
    push(e);
    f.since = now_;
    end(f.what);
    begin(f);
    if (!held) return;
    // Another worker took it over in the same millisecond: the former's release comes behind.
    Event r = released(now_, 0, who, n);
    r.external = e.external;
    push(r, true);
  }

  void mapping() {
    Event e;
    e.kind = Kind::mapping_created;
    e.subscriber = net::mapped(net::Ipv4Address(0x64400000u + below(3)));
    e.external = address(below(2));
    e.first_port = e.last_port = static_cast<uint16_t>(40'000 + below(2));
    e.protocol = below(2) == 0 ? 6 : 17;
    e.origin = 2;
    e.lifetime = 100;
    e.internal_port = 80;
    Fact f{.who = net::subscriber_text(e.subscriber, 128),
           .what = fmt::format("{}:{}/{}", e.external.text(), e.first_port, e.protocol),
           .subscriber = e.subscriber,
           .first_port = e.first_port,
           .last_port = e.last_port,
           .protocol = e.protocol,
           .address = e.external,
           .since = now_};
    const auto open = model_.open.find(f.what);
    if (open != model_.open.end() && below(2) == 0) {
      e.kind = Kind::mapping_deleted;
      push(e);
      return end(f.what);
    }
    push(e);
    f.since = now_;
    // The same one's again is a renewal.
    if (open != model_.open.end() && model_.facts[open->second].who == f.who) return;
    end(f.what);
    begin(f);
  }

  std::string directory_;
  net::Random random_;
  uint32_t segment_events_;
  std::unique_ptr<logging::ledger::Ledger> ledger_;
  uint64_t now_ = kBegin;
  int64_t ahead_ = 0;
  uint64_t epoch_ = 1, sequence_ = 0;
  std::deque<Event> ring_;  ///< what is not committed
  Model model_, committed_;
};

}  // namespace culvert::test
