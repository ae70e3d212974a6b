#include "logging/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace culvert::logging {
namespace {

using namespace std::chrono_literals;
using ledger::Ledger;

constexpr auto kLook = 5ms;        ///< how often the rings are looked at
constexpr auto kTryAgain = 200ms;  ///< a disk that failed
constexpr uint32_t kAhead = 16;    ///< events that wait for memory together
/// Milliseconds that the system's clock may move against ours before that is put on record.
constexpr int64_t kClockMoves = 100;

}  // namespace

Recorder::Recorder(std::unique_ptr<Ledger> ledger, Setup setup)
    : ledger_(std::move(ledger)),
      setup_(std::move(setup)),
      merge_(
          [this] {
            std::vector<EventMerge::Input> inputs;
            for (EventRing* ring : setup_.rings)
              inputs.push_back({ring, static_cast<uint8_t>(inputs.size())});
            return inputs;
          }(),
          setup_.moves),
      first_ordinal_(ledger_->next_ordinal()),
      defined_(ledger_->definitions()),
      synced_(std::chrono::steady_clock::now()) {
  stats_.end = first_ordinal_;
  stats_.segment_bytes = ledger_->segment_bytes();
  thread_ = std::thread([this] { run(); });
}

Recorder::~Recorder() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  // What came after the thread's last look. What cannot be written stays in the rings' files.
  const uint64_t now = setup_.clock();
  if (write_events(now)) settle(ledger_->stop(now));
}

std::string Recorder::run_errand(const std::shared_ptr<Errand>& errand,
                                 std::optional<std::chrono::milliseconds> patience) {
  std::unique_lock lock(mutex_);
  if (stop_) return "culvertd is ending";
  errands_.push_back(errand);
  wake_.notify_one();
  const auto answered = [&] { return errand->answer.has_value(); };
  if (!patience)
    answered_.wait(lock, answered);
  else if (!answered_.wait_for(lock, *patience, answered)) {
    errand->given_up = true;
    std::erase(errands_, errand);
    return fmt::format("ledger: its disk has not answered for {} s",
                       std::chrono::duration_cast<std::chrono::seconds>(*patience).count());
  }
  return *errand->answer;
}

/// From here on these hold. Whether that is on the disk.
bool Recorder::redefine(const ledger::Definitions& definitions, uint64_t now) {
  return ledger_->define(definitions, now) ? settle(ledger_->next_segment(now)) : commit(now);
}

std::string Recorder::define(const ledger::Definitions& definitions) {
  const auto errand = std::make_shared<Errand>();
  errand->run = [this, definitions](uint64_t now) {
    // Events that wait may be of what the definitions end.
    if (!write_events(now)) return false;
    if (redefine(definitions, now)) return true;
    ledger_->define(defined_, now);
    return false;
  };
  errand->then = [this, definitions](bool wanted, uint64_t now) {
    if (wanted)
      defined_ = definitions;
    else
      redefine(defined_, now);
  };
  const std::string error = run_errand(errand, setup_.patience);
  return error.empty() ? error : error + "; nothing was changed";
}

std::string Recorder::note(ledger::Type type, const ledger::SegmentNote& segment) {
  const auto errand = std::make_shared<Errand>();
  errand->run = [this, type, segment](uint64_t now) {
    // It has a later time than the events that wait.
    if (!write_events(now)) return false;
    ledger_->note(now, type, segment);
    return commit(now);
  };
  return run_errand(errand, std::nullopt);
}

void Recorder::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto rest =
          stats_.failing ? kTryAgain : std::min<std::chrono::milliseconds>(kLook, setup_.sync_every);
      wake_.wait_for(lock, rest, [this] { return stop_ || !errands_.empty(); });
      if (stop_) break;
    }
    turn();
  }
  const std::lock_guard lock(mutex_);
  for (const auto& errand : errands_) errand->answer = "culvertd is ending";
  errands_.clear();
  answered_.notify_all();
}

/// Whether events have waited long enough, or are many.
bool Recorder::due() const {
  uint64_t waiting = 0;
  for (const EventRing* ring : setup_.rings) waiting += ring->waiting();
  return waiting >= setup_.sync_events ||
         (waiting != 0 && std::chrono::steady_clock::now() - synced_ >= setup_.sync_every);
}

void Recorder::turn() {
  const uint64_t now = setup_.clock();
  bool well = (!ledger_->pending() && !ledger_->ripe(now)) || commit(now);
  const int64_t ahead = setup_.clock_ahead();
  if (well && std::abs(ahead - ledger_->state().clock_ahead()) > kClockMoves) {
    well = write_events(now);
    if (well) {
      ledger_->note(now, ledger::ClockNote{ahead});
      well = commit(now);
    }
  }
  serve(now);
  if (well && due()) write_events(now);
}

/// Runs the errands that others wait for.
void Recorder::serve(uint64_t now) {
  std::unique_lock lock(mutex_);
  while (!errands_.empty()) {
    const std::shared_ptr<Errand> errand = std::move(errands_.front());
    errands_.pop_front();
    lock.unlock();
    const bool well = errand->run(now);
    lock.lock();
    const bool wanted = !errand->given_up;
    errand->answer = well ? "" : fmt::format("ledger {}", ledger_->error());
    answered_.notify_all();
    if (!well) continue;
    lock.unlock();
    errand->then(wanted, now);
    lock.lock();
  }
}

/// Brings the waiting events to the disk.
bool Recorder::write_events(uint64_t now) {
  if (ledger_->pending() && !commit(now)) return false;
  merge_.gather();
  uint32_t taken = 0;
  for (bool more = true; more;) {
    while (more && !ledger_->full()) {
      const Event* e = merge_.next();
      more = e != nullptr;
      if (more && taken++ % kAhead == 0)
        for (uint32_t i = 1; i <= kAhead; i++)
          if (const Event* soon = merge_.behind(i)) ledger_->expect(*soon);
      if (more) ledger_->take(*e, merge_.input().worker, merge_.input().ring->epoch());
    }
    if (!commit(now)) return false;
  }
  synced_ = std::chrono::steady_clock::now();
  return true;
}

bool Recorder::commit(uint64_t now) {
  merge_.gather();
  return settle(ledger_->commit(std::min(now, merge_.next_time().value_or(now))));
}

/// What an attempt to write came to. Whether it went well.
bool Recorder::settle(Ledger::Commit result) {
  if (result == Ledger::Commit::done) {
    merge_.release();
    stats_.end = ledger_->next_ordinal();
    stats_.events = stats_.end - first_ordinal_;
    stats_.segment_bytes = ledger_->segment_bytes();
    if (stats_.failing.exchange(false)) setup_.complain("the ledger can be written again");
    return true;
  }
  stats_.errors++;
  if (!stats_.failing.exchange(true))
    setup_.complain(
        fmt::format("ledger {}; records wait in their rings, and new blocks are refused when those are full",
                    ledger_->error()));
  if (result == Ledger::Commit::start_over) merge_.forget();
  return false;
}

Recovered recover_rings(const std::string& directory, Ledger& ledger, uint64_t now) {
  std::deque<EventRing> rings;
  std::vector<EventMerge::Input> inputs;
  std::vector<std::string> paths;
  Recovered found;
  for (const auto& [path, worker] : ring_files(directory)) {
    EventRing& ring = rings.emplace_back(path);
    paths.push_back(path);
    found.events += ring.waiting();
    found.destroyed += ring.damaged();
    if (worker < ledger::kMaxSources) inputs.push_back({&ring, static_cast<uint8_t>(worker)});
  }
  EventMerge merge(inputs);
  merge.gather();
  const auto commit = [&] {
    if (ledger.commit(std::min(now, merge.next_time().value_or(now))) != Ledger::Commit::done)
      throw std::runtime_error(
          fmt::format("ledger {}; it must be written before culvertd can start", ledger.error()));
  };
  if (ledger.pending()) commit();
  while (const Event* e = merge.next()) {
    ledger.take(*e, merge.input().worker, merge.input().ring->epoch());
    if (ledger.full()) commit();
  }
  commit();
  merge.release();
  for (const std::string& path : paths) std::filesystem::remove(path);
  return found;
}

}  // namespace culvert::logging
