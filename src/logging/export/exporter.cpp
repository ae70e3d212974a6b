#include "logging/export/exporter.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace culvert::logging {
namespace {

using namespace std::chrono;
using namespace std::chrono_literals;

constexpr milliseconds kFirstBackoff = 100ms, kLongestBackoff = 5s;
constexpr milliseconds kWellAfter = 2s;    ///< a connection that holds so long is a good one
constexpr milliseconds kLookEvery = 20ms;  ///< at the ledger, when there was nothing
constexpr milliseconds kSaveEvery = 1s;
constexpr size_t kBatchBytes = 64 * 1024, kBatchEntries = 1024;

/// Entries that are sent before the exporter looks up: over UDP what the pace allows in a tenth of a second.
uint64_t most_entries(const ExportConfig& c) {
  if (!c.datagrams() || c.datagrams_per_second == 0) return kBatchEntries;
  return std::clamp<uint64_t>(c.datagrams_per_second / 10, 1, kBatchEntries);
}

/// Signals are for the main thread; one of a broken connection is for nobody.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

Exporter::Exporter(ExportConfig config, std::unique_ptr<EntrySource> source, Complain complain)
    : config_(std::move(config)),
      source_(std::move(source)),
      complain_(std::move(complain)),
      file_(config_.position_file),
      encoder_(make_encoder(config_, static_cast<uint32_t>(getpid()))),
      connection_(make_connection(config_)),
      most_entries_(most_entries(config_)),
      backoff_(kFirstBackoff),
      thread_([this] { run(); }) {}

Exporter::~Exporter() {
  stop();
  thread_.join();
}

void Exporter::run() {
  block_signals();
  for (bool found = false; !stop_.is_set();) {
    try {
      if (!found) find_position();
      found = true;
      if (open())
        while (!stop_.is_set() && turn()) {
        }
      if (!stop_.is_set()) fail(connection_->error());
    } catch (const std::exception& e) {  // of the source
      fail(e.what());
    }
  }
  end();
}

void Exporter::say(const std::string& what) const {
  complain_(fmt::format("export {}: {}", config_.name, what));
}

void Exporter::find_position() {
  const uint64_t end = source_->end();
  const auto found = file_.load();
  if (const auto* position = std::get_if<ExportPosition>(&found)) {
    if (position->sent <= end) {
      next_ = position->confirmed;
      high_ = position->sent;
    } else {
      say(
          fmt::format("its position is {}, and the ledger ends at {}: this is another ledger, which is sent "
                      "from its beginning on",
                      position->sent, end));
    }
  } else if (const auto* unreadable = std::get_if<PositionFile::Unreadable>(&found)) {
    say(unreadable->why + "; the ledger is sent from its beginning on");
  } else {
    next_ = high_ = end;
  }
  save_position();
}

bool Exporter::open() {
  if (!connection_->open(stop_)) return false;
  opened_ = steady_clock::now();
  in_order_ = true;
  encoder_->begin();
  source_->seek(next_);
  return true;
}

/// Sends what there is, or waits a little. False: the connection failed, or the end has come.
bool Exporter::turn() {
  const Batch batch = fill();
  if (out_.empty()) {
    if (!connection_->rest(batch.read == 0 ? kLookEvery : 0ms, stop_)) return false;
  } else {
    tried_ = std::max(tried_, batch.next);
    in_order_ = false;
    if (!connection_->send(out_, stop_)) return false;
    in_order_ = true;
    unconfirmed_.sent(next_, connection_->sent());
    stats_.sent.fetch_add(batch.entries, kRelaxed);
    stats_.repeated.fetch_add(batch.repeated, kRelaxed);
  }
  next_ = batch.next;
  note_arrivals();
  recover();
  return true;
}

Exporter::Batch Exporter::fill() {
  out_.clear();
  encoder_->set_time(moment_now());
  Batch batch{.next = next_};
  while (out_.bytes.size() < kBatchBytes && batch.read < most_entries_ && source_->next(entry_))
    take(entry_, batch);
  encoder_->end(out_);
  return batch;
}

void Exporter::take(const Entry& e, Batch& batch) {
  batch.read++;
  if (e.ordinal && batch.next != 0 && *e.ordinal > batch.next) miss(batch.next, *e.ordinal - 1);
  const bool again = e.ordinal && *e.ordinal < high_;
  if (e.ordinal) batch.next = *e.ordinal + 1;
  if (!encoder_->add(e, out_)) return;
  batch.entries++;
  if (again) batch.repeated++;
}

/// These are not in the ledger any more.
void Exporter::miss(uint64_t first, uint64_t last) {
  first = std::max(first, high_);  // what was sent before is not lost
  if (first > last) return;
  encoder_->add_gap(first, last, out_);
  if (last < counted_) return;  // the message about it could not be sent
  first = std::max(first, counted_);
  counted_ = last + 1;
  stats_.lost.fetch_add(last - first + 1, kRelaxed);
  say(fmt::format("events {} to {} are not in the ledger any more; this collector never gets them", first,
                  last));
}

void Exporter::note_arrivals() {
  high_ = std::max(high_, next_);
  unconfirmed_.arrived(connection_->arrived());
  count_waiting();
  stats_.confirmed.store(unconfirmed_.safe(next_), kRelaxed);
  if (steady_clock::now() - saved_at_ >= kSaveEvery) save_position();
}

void Exporter::count_waiting() {
  stats_.position.store(next_, kRelaxed);
  const uint64_t end = source_->end();
  stats_.waiting.store(end - std::min(end, next_), kRelaxed);
}

/// What a connection that holds for a while means.
void Exporter::recover() {
  if (!stats_.failing.load(kRelaxed) || steady_clock::now() - opened_ < kWellAfter) return;
  stats_.failing.store(false, kRelaxed);
  backoff_ = kFirstBackoff;
  say(fmt::format("{} port {} is reached again; {} events wait", config_.address, config_.port,
                  stats_.waiting.load(kRelaxed)));
}

void Exporter::fail(const std::string& why) {
  connection_->close();
  in_order_ = false;
  const uint64_t back = unconfirmed_.safe(next_);
  stats_.failures.fetch_add(1, kRelaxed);
  if (!stats_.failing.exchange(true, kRelaxed)) told_.clear();
  if (told_.insert(why).second) {
    const uint64_t end = std::max(high_, tried_);
    const std::string again =
        back < end ? fmt::format("; {} to {} may not have arrived and are sent again", back, end - 1) : "";
    say(fmt::format("{} port {}: {}; events wait in the ledger{}", config_.address, config_.port, why,
                    again));
  }
  unconfirmed_.clear();
  next_ = back;
  try {
    count_waiting();
  } catch (const std::exception&) {  // it may be the source that fails
  }
  save_position();
  stop_.wait(-1, 0, backoff_);
  backoff_ = std::min(2 * backoff_, kLongestBackoff);
}

void Exporter::end() {
  if (in_order_ && connection_->finish()) unconfirmed_.clear();
  connection_->close();
  save_position();
}

void Exporter::save_position() {
  saved_at_ = steady_clock::now();
  const ExportPosition position{unconfirmed_.safe(next_), std::max(high_, next_)};
  stats_.confirmed.store(position.confirmed, kRelaxed);
  if (position == saved_) return;
  const std::string error = file_.save(position);
  if (error.empty()) {
    saved_ = position;
  } else if (!save_fails_) {
    say(error + "; a start repeats what was sent since the last position that was saved");
  }
  save_fails_ = !error.empty();
}

}  // namespace culvert::logging
