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

std::string Recorder::run_errand(const Errand& errand) {
  const std::lock_guard alone(errands_);
  std::unique_lock lock(mutex_);
  if (stop_) return "culvertd is ending";
  errand_ = &errand;
  answer_.reset();
  wake_.notify_one();
  answered_.wait(lock, [this] { return answer_.has_value(); });
  errand_ = nullptr;
  return *answer_;
}

std::string Recorder::define(const ledger::Definitions& definitions) {
  const std::string error = run_errand([&](uint64_t now) {
    // Events that wait may be of what the definitions end.
    if (!write_events(now)) return false;
    const bool ends = ledger_->define(definitions, now);
    if (ends ? settle(ledger_->next_segment(now)) : commit(now)) {
      defined_ = definitions;
      return true;
    }
    ledger_->define(defined_, now);
    return false;
  });
  return error.empty() ? error : error + "; nothing was changed";
}

std::string Recorder::note(ledger::Type type, const ledger::SegmentNote& segment) {
  return run_errand([&](uint64_t now) {
    // It has a later time than the events that wait.
    if (!write_events(now)) return false;
    ledger_->note(now, type, segment);
    return commit(now);
  });
}

void Recorder::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto rest =
          stats_.failing ? kTryAgain : std::min<std::chrono::milliseconds>(kLook, setup_.sync_every);
      wake_.wait_for(lock, rest, [this] { return stop_ || (errand_ != nullptr && !answer_); });
      if (stop_) break;
    }
    turn();
  }
  const std::lock_guard lock(mutex_);
  if (!answer_) answer_ = "culvertd is ending";
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

/// Runs the errand that somebody waits for, if there is one.
void Recorder::serve(uint64_t now) {
  const Errand* errand;
  {
    const std::lock_guard lock(mutex_);
    if (errand_ == nullptr || answer_) return;
    errand = errand_;
  }
  std::string error = (*errand)(now) ? "" : fmt::format("ledger {}", ledger_->error());
  const std::lock_guard lock(mutex_);
  answer_ = std::move(error);
  answered_.notify_all();
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
